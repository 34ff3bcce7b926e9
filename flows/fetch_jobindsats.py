"""Fetch from Jobindsats: the live API with a token, or the stand-in over the sample world."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.settings import Settings
from flows.snapshots import Origin, SnapshotStore
from transforms.catalogue import Catalogue
from transforms.errors import KommunekortError
from transforms.fingerprint import code_version

if TYPE_CHECKING:
    import httpx

    from flows.fetch_report import FetchReport
    from flows.sample.jobindsats import JobindsatsWorld

Progress = Callable[[str], None]


def fetch_jobindsats(
    settings: Settings,
    catalogue: Catalogue,
    origin: Origin,
    wanted: Sequence[str],
    report: FetchReport,
    on_step: Progress,
    *,
    again: bool = False,
) -> None:
    """Bring the Jobindsats sources up to date and write into `report` what became of each; one fault leaves the rest.

    Without a token the live sources are named as missing with the reason. Sample answers are asked for once per world,
    or `again`.
    """
    from flows.connectors.jobindsats import fetch
    from flows.connectors.jobindsats_tidy import tidy

    store = SnapshotStore(settings.snapshots)
    sample = origin == "sample"
    world = sample_world(settings) if sample else {}
    stale = [source for source in wanted if again or not (sample and _is_known(store, source, world))]
    report.unchanged += [source for source in wanted if source not in stale]
    if not stale:
        return
    try:
        with jobindsats_client(settings, sample=sample) as client:
            for source_id in stale:
                on_step(f"fetch {source_id}")
                before = store.newest(source_id, synthetic=sample)
                try:
                    with tempfile.TemporaryDirectory() as scratch:
                        files, query = fetch(catalogue.sources[source_id], client, Path(scratch))
                        for path, _ in files.values():  # what no build could read is not worth a snapshot
                            tidy(path, catalogue.sources[source_id], Path(scratch) / "tidy.csv")
                        asked = {**query, **({"world": world} if sample else {})}
                        made = store.add(source_id, files, origin=origin, synthetic=sample, query=asked)
                    changed = before is None or before.id != made.id
                    (report.new if changed else report.unchanged).append(source_id)
                except KommunekortError as error:
                    _keep_old(report, store, source_id, sample, str(error))
    except KommunekortError as error:
        for source_id in stale:
            _keep_old(report, store, source_id, sample, str(error))


def _keep_old(report: FetchReport, store: SnapshotStore, source_id: str, sample: bool, reason: str) -> None:
    report.kept_old[source_id] = reason
    if store.newest(source_id, synthetic=sample) is None:
        report.missing.append(source_id)


def sample_world(settings: Settings) -> dict[str, Any]:
    """Return what the sample answers are made from; the same world gives the same answers."""
    return {
        "seed": settings.sample_seed,
        "vintage": str(settings.sample_vintage),
        "code_version": code_version(),
    }


def _is_known(store: SnapshotStore, source_id: str, world: dict[str, Any]) -> bool:
    newest = store.newest(source_id, synthetic=True)
    return newest is not None and newest.manifest.query.get("world") == world


@contextmanager
def jobindsats_client(settings: Settings, *, sample: bool) -> Iterator[httpx.Client]:
    """Yield a client: for the sample, of a stand-in served while the block lasts. UsageError without a token."""
    from flows.connectors.jobindsats import connect

    if not sample:
        with connect(settings.jobindsats_url, settings.jobindsats_token, contact=settings.contact) as client:
            yield client
        return
    from pydantic import SecretStr

    from flows.sample.jobindsats_api import TOKEN, create_app
    from flows.sample.standin import running_app

    def made() -> JobindsatsWorld:
        from flows.sample.jobindsats import JobindsatsWorld as SampleAnswers
        from flows.sample.world import build_world

        return SampleAnswers(build_world(seed=settings.sample_seed, vintage=settings.sample_vintage))

    with running_app(create_app(made)) as root, connect(f"{root}/v3", SecretStr(TOKEN)) as client:
        yield client

"""Fetch: from the sample world, the live registers or a folder of files into snapshots."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flows.connectors.statbank.files import recognise_directory
from flows.run import steps
from flows.run.record import FetchReport
from flows.run.steps import Progress
from flows.settings import Settings
from flows.store.builds import refuse_invented_over_real
from flows.store.snapshots import Origin, Snapshot, SnapshotStore, replace_synced
from transforms.catalogue import Catalogue
from transforms.errors import DataRefused, KommunekortError, UsageError
from transforms.models.persons import COHORT_YEARS
from transforms.tables import code_version

if TYPE_CHECKING:
    import httpx

    from flows.connectors.statbank.client import FetchResult
    from flows.sample.cubes import Cubes
    from flows.sample.jobindsats import JobindsatsWorld


# Fetch from Jobindsats: the live API with a token, or the stand-in over the sample world.


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
    from flows.connectors.jobindsats import fetch, tidy

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

    from flows.sample.jobindsats import TOKEN, create_app
    from flows.sample.standin import running_app

    def made() -> JobindsatsWorld:
        from flows.sample.jobindsats import JobindsatsWorld as SampleAnswers
        from flows.sample.world import build_world

        return SampleAnswers(build_world(seed=settings.sample_seed, vintage=settings.sample_vintage))

    with running_app(create_app(made)) as root, connect(f"{root}/v3", SecretStr(TOKEN)) as client:
        yield client


Api = Literal["sample", "live"]


def fetch(
    settings: Settings,
    catalogue: Catalogue,
    origin: str,
    only: Sequence[str],
    on_step: Progress,
    *,
    again: bool = False,
    period: str | None = None,
) -> FetchReport:
    """Bring the newest bytes of every source (or `only` these) in; a fault at one leaves the others be.

    `origin` is `sample`, `live` or the path of a folder. With `again` an API is asked even when nothing has changed;
    with `period` the one StatBank source in `only` gets that period anew. The caller holds the writer lock. Raises
    UsageError when the folder does not exist, `period` does not fit, or invented data would come over real ones.
    """
    refuse_invented_over_real(settings, origin)
    if period is not None:
        check_period_is_for_one(catalogue, origin, only)
    wanted = [s.id for s in catalogue.sources.values() if s.connector == "statbank" and (not only or s.id in only)]
    unknown = sorted(set(only) - catalogue.sources.keys())
    if unknown:
        raise UsageError(f"no source {unknown[0]}; `kommunekort sources` lists them")
    SnapshotStore(settings.snapshots).tidy()
    api: dict[str, Api] = {"sample": "sample", "live": "live"}
    if origin in api:
        report = fetch_api(settings, catalogue, api[origin], wanted, on_step, again=again, period=period)
        others = [s.id for s in catalogue.sources.values() if s.connector == "jobindsats"]
        chosen = [source for source in others if not only or source in only]
        fetch_jobindsats(settings, catalogue, api[origin], chosen, report, on_step, again=again)
        if origin == "live" and settings.jobindsats_token is None:
            report.unasked += [source for source in chosen if source in report.missing]
        return report
    return fetch_directory(settings, catalogue, Path(origin), wanted, on_step)


def check_period_is_for_one(catalogue: Catalogue, origin: str, only: Sequence[str]) -> None:
    """Raise UsageError unless one StatBank source of an API is asked for: a period of another means something else."""
    known = [catalogue.sources[source] for source in only if source in catalogue.sources]
    if origin not in ("sample", "live") or len(only) != 1 or any(source.connector != "statbank" for source in known):
        raise UsageError("--period needs --only with one StatBank source, and an API: --from live or --from sample")


def fetch_directory(
    settings: Settings, catalogue: Catalogue, folder: Path, wanted: Sequence[str], on_step: Progress
) -> FetchReport:
    """Take the StatBank files of a folder in, one snapshot per table; name what was not recognised, and why."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder that holds the downloaded files")
    store = SnapshotStore(settings.snapshots)
    on_step(f"recognise the files in {folder}")
    found = recognise_directory(folder, catalogue)
    mark = folder / "SYNTHETIC"
    synthetic = mark.exists()
    report = FetchReport(refused_files={_shown(path, folder): why for path, why in found.refused if path != mark})
    by_source: dict[str, list[tuple[Path, str]]] = {}
    for path, recognised in found.accepted:
        by_source.setdefault(recognised.source_id, []).append((path, recognised.presentation))
    for source_id in wanted:
        files = by_source.get(source_id)
        if files is None:
            report.missing.append(source_id)
            continue
        before = store.newest(source_id, synthetic=synthetic)
        names = {_shown(path, folder).replace("/", "__"): (path, kind) for path, kind in files}
        snapshot = store.add(source_id, names, origin="directory", synthetic=synthetic)
        changed = before is None or before.id != snapshot.id
        (report.new if changed else report.unchanged).append(source_id)
    return report


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder))


def fetch_api(
    settings: Settings,
    catalogue: Catalogue,
    origin: Literal["sample", "live"],
    wanted: Sequence[str],
    on_step: Progress,
    *,
    again: bool = False,
    period: str | None = None,
) -> FetchReport:
    """Fetch from the StatBank API: the live one, or the stand-in over the sample world on loopback."""
    from flows.connectors.http import open_client
    from flows.connectors.statbank.client import fetch_all

    store = SnapshotStore(settings.snapshots)
    sources = [catalogue.sources[source_id] for source_id in wanted]
    on_step("fetch from StatBank")
    last = {source_id: snapshot.manifest.size for source_id, snapshot in _newest(store, wanted, origin).items()}

    def on_progress(source_id: str, size: int) -> None:
        steps.transfer(source_id, size, last.get(source_id))

    with statbank_base(settings, catalogue, origin) as base, open_client(base, contact=settings.contact) as client:
        results = fetch_all(
            client,
            sources,
            store,
            origin=origin,
            again=again,
            period=period,
            on_progress=on_progress,
            on_end=steps.transferred,
        )
    if origin == "live":
        refuse_synthetic(settings, results)
    report = FetchReport()
    for result in results:
        if result.status == "new":
            report.new.append(result.source_id)
        elif result.status == "unchanged":
            report.unchanged.append(result.source_id)
        else:
            report.kept_old[result.source_id] = result.message
            if result.snapshot is None:
                report.missing.append(result.source_id)
    return report


def _newest(store: SnapshotStore, wanted: Sequence[str], origin: Api) -> dict[str, Snapshot]:
    """Return source id -> newest snapshot, of those that can be read."""
    found: dict[str, Snapshot] = {}
    for source_id in wanted:
        with suppress(DataRefused):  # told by the fetch of that source
            snapshot = store.newest(source_id, synthetic=origin == "sample")
            if snapshot is not None:
                found[source_id] = snapshot
    return found


def refuse_synthetic(settings: Settings, results: Iterable[FetchResult]) -> None:
    """Raise UsageError when the address of the live API is a stand-in's: no real build would take its snapshots."""
    if any(result.snapshot is not None and result.snapshot.manifest.synthetic for result in results):
        raise UsageError(
            f"KOMMUNEKORT_STATBANK_URL: {settings.statbank_url} answers with synthetic data, and --from live takes "
            f"real data alone; use --from sample with KOMMUNEKORT_SAMPLE_URL={settings.statbank_url}"
        )


@contextmanager
def statbank_base(settings: Settings, catalogue: Catalogue, origin: Api) -> Iterator[str]:
    """Yield the base address of the StatBank API; for the sample, of the stand-in that is set, else of one served here.

    The latter lasts as long as the block; the former is another process, which may be stopped and started meanwhile.
    """
    running = settings.statbank_url if origin == "live" else settings.sample_url
    if running:
        yield running
        return
    from flows.sample.standin import running_standin

    def cubes() -> Cubes:
        from flows.sample.cubes import Cubes as SampleCubes
        from flows.sample.world import build_world

        return SampleCubes(build_world(seed=settings.sample_seed, vintage=settings.sample_vintage), catalogue)

    with running_standin(cubes, catalogue) as base:
        yield base


# The delivery step of a run: the watched drop folder, or the sample world's deliveries, received with receipts.


def receive(settings: Settings, origin: str, on_step: Progress) -> dict[str, int]:
    """Receive what has come in and return verdict -> number of receipts; nothing to receive gives an empty answer.

    With origin `sample` the synthetic deliveries of all municipalities are made and received, under a key that is
    made when there is none; else the files of the drop folder. What was received before changes nothing.
    Raises UsageError when there are files but no usable key, or when the published data are real and these are not.
    """
    refuse_invented_over_real(settings, origin)
    if origin == "sample":
        return receive_sample(settings, on_step)
    if settings.drop_folder is None:
        return {}
    from flows.deliveries.intake import deliver

    on_step(f"receive deliveries from {settings.drop_folder}")
    files, key = waiting_files(settings.drop_folder), settings.key_file.expanduser()
    receipts = deliver(files, None, settings.root, key, from_folder=True)
    return dict(Counter(str(receipt.verdict) for receipt in receipts))


def waiting_files(folder: Path) -> list[Path]:
    """Return the files of a drop folder that may hold a table, the last written last, so that a correction wins.

    Files written at the same moment go by name: the order is the same every night.
    """
    from flows.deliveries.intake import TAKEN_SUFFIXES

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; set KOMMUNEKORT_DROP_FOLDER to the folder deliveries come to")
    files = (
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in TAKEN_SUFFIXES and not path.name.startswith((".", "~$"))
    )
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))


def receive_sample(settings: Settings, on_step: Progress) -> dict[str, int]:
    """Make and receive the sample deliveries, once per world and code, in a process of its own beside the fetch."""
    wanted = {
        "seed": settings.sample_seed,
        "vintage": str(settings.sample_vintage),
        "code_version": code_version(),
    }
    mark = settings.restricted / "sample.json"
    if mark.is_file():
        known: dict[str, Any] = json.loads(mark.read_text(encoding="utf-8"))
        if known["made_from"] == wanted:
            return dict(known["verdicts"])
    on_step("write and receive the sample deliveries")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        verdicts = pool.submit(make_and_receive, settings).result()
    replace_synced(mark, json.dumps({"made_from": wanted, "verdicts": verdicts}, ensure_ascii=False))
    return verdicts


def make_and_receive(settings: Settings) -> dict[str, int]:
    """Write the deliveries of all municipalities to a folder that is removed again, receive them, count verdicts."""
    import tempfile

    from flows.deliveries.intake import deliver
    from flows.deliveries.keys import keygen
    from flows.sample.deliveries import write_deliveries
    from flows.sample.world import build_world

    key = settings.key_file.expanduser()
    if not key.exists():
        keygen(key, settings.root)
    world = build_world(seed=settings.sample_seed, vintage=settings.sample_vintage)
    with tempfile.TemporaryDirectory(prefix="kommunekort-sample-") as scratch:
        write_deliveries(world, Path(scratch), since=date(world.vintage.year - COHORT_YEARS + 1, 1, 1))
        moment = datetime.combine(world.vintage, time(12), UTC)
        files = sorted(Path(scratch).iterdir())
        receipts = deliver(files, None, settings.root, key, synthetic=True, received_at=moment)
    return dict(Counter(str(receipt.verdict) for receipt in receipts))

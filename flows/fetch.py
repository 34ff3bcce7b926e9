"""Fetch: from the sample world, the live registers or a folder of files into snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows import steps
from flows.connectors.statbank_files import recognise_directory
from flows.fetch_jobindsats import fetch_jobindsats
from flows.fetch_report import FetchReport
from flows.origins import refuse_invented_over_real
from flows.settings import Settings
from flows.snapshots import Snapshot, SnapshotStore
from transforms.catalogue import Catalogue
from transforms.errors import DataRefused, UsageError

if TYPE_CHECKING:
    from flows.connectors.statbank import FetchResult
    from flows.sample.cubes import Cubes

Api = Literal["sample", "live"]
Progress = Callable[[str], None]


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
    from flows.connectors.statbank import fetch_all

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

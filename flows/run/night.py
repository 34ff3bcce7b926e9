"""The night's work as plain functions: fetch, build, validate, publish, report. Prefect only wraps them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from expectations.rules import blocking, verdict_sentence
from flows.deliveries.store import (
    FILE,
    TABLES,
    Known,
    delete_superseded,
    deliveries_in_force,
    newest_periods,
    open_deliveries,
)
from flows.run import ages
from flows.run.build import (
    Candidate,
    build,
    describe,
    finish,
    import_ahead,
    keep_refused,
    nothing_to_wait_for,
    release_of,
)
from flows.run.fetch import fetch, receive
from flows.run.record import RunInfo, RunResult, recorded
from flows.run.steps import Progress
from flows.settings import Settings
from flows.store import baselines, builds
from flows.store.baselines import Baseline, verify
from flows.store.builds import is_synthetic, published_release, refuse_invented_over_real
from flows.store.snapshots import Snapshot, SnapshotStore, newest_of_all
from transforms.catalogue import Catalogue, load_catalogue
from transforms.errors import DataRefused, NothingNew, UsageError
from transforms.tables import code_version
from transforms.warehouse import Warehouse

# Heavy imports read ahead in a thread, while the process waits for a server or for DuckDB.

"""What takes seconds to import and every build needs."""


def rebuild(settings: Settings, name: str) -> dict[str, bool]:
    """Build the baseline again from its snapshots and deliveries; return file -> whether the bytes are the same.

    Whatever has come since is not known to it, and what is judged "by now" is judged at the frozen run's own moment.
    Raises UsageError when the code is not the one it was made with (a rebuild would prove nothing), DataRefused when
    a snapshot or a delivery is gone or changed.
    """
    from flows.run.build import build, prepare_work
    from transforms.catalogue import load_catalogue

    baseline = verify(settings, name)
    release = baseline.manifest["release"]
    if release["code_version"] != code_version():
        raise UsageError(
            f"{name} was made by code {release['code_version']}, this is {code_version()}; check that version out first"
        )
    store = SnapshotStore(settings.snapshots)
    snapshots = {source: store.read(snapshot_id) for source, snapshot_id in release["snapshots"].items()}
    candidate = build(settings, load_catalogue(), snapshots, run_again(settings, baseline))
    target = candidate.path.parent / "rebuilt"
    hashes = builds.export_parquet(candidate.path, target)
    same = {file: hashes.get(file) == digest for file, digest in baseline.manifest["files"].items() if "mart." in file}
    prepare_work(settings)
    return same


def run_again(settings: Settings, baseline: Baseline) -> RunInfo:
    """Return a new run that knows what the frozen one knew: its moment, its `as_of`, its deliveries.

    Raises DataRefused when the ledger of deliveries does not hold what the frozen run met.
    """
    from flows.deliveries.store import state_of
    from flows.run.record import RunInfo

    release = baseline.manifest["release"]
    as_of = datetime.fromisoformat(release["as_of"]) if release["as_of"] else None
    run = replace(
        RunInfo.start(settings, release["origin"], as_of),
        started_at=datetime.strptime(release["run_id"], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC),
        last_delivery=release.get("last_delivery"),  # absent: frozen before it was recorded
    )
    if state_of(settings, synthetic=release["is_synthetic"], known=run.known) != release["deliveries"]:
        up_to = f" (up to {run.last_delivery})" if run.last_delivery else ""
        raise DataRefused(
            f"{baseline.name}: {settings.restricted / FILE} does not hold the deliveries it was made of{up_to}; "
            f"restore that file from a backup of {baseline.manifest['frozen_at'][:10]} or later"
        )
    return run


# How long data are kept: snapshots and superseded person rows, and whatever a frozen baseline rests on.


def needed_snapshots(settings: Settings) -> set[str]:
    """Return the snapshot ids that kept builds and frozen baselines were made of."""
    needed = baselines.kept_snapshots(settings)
    for kept in builds.builds(settings):
        if kept.release.is_file():
            needed |= set(json.loads(kept.release.read_text(encoding="utf-8"))["snapshots"].values())
    return needed


def prune(settings: Settings) -> None:
    """Remove what is kept for rebuilds alone and has been kept long enough: snapshots, superseded person rows."""
    prune_snapshots(settings)
    prune_superseded(settings, datetime.now(UTC))


def prune_snapshots(settings: Settings) -> list[str]:
    """Remove the oldest snapshots beyond `keep_snapshots` per source that nothing rests on; return their ids."""
    store = SnapshotStore(settings.snapshots)
    needed = needed_snapshots(settings)
    removed = []
    for source in store.sources():
        excess = store.of(source)[: -settings.keep_snapshots]
        for snapshot in (s for s in excess if s.id not in needed):
            shutil.rmtree(snapshot.path)
            removed.append(snapshot.id)
    return removed


def prune_superseded(settings: Settings, now: datetime) -> list[str]:
    """Delete the person rows of deliveries superseded more than `keep_superseded_days` ago; return whose, by id.

    Those that a frozen baseline is built again from stay, and those of what is published, which may be frozen next.
    """
    if not (settings.restricted / FILE).is_file():
        return []
    releases = [frozen.manifest["release"] for frozen in baselines.baselines(settings)]
    published = builds.current(settings)
    if published is not None and published.release.is_file():
        releases.append(json.loads(published.release.read_text(encoding="utf-8")))
    with open_deliveries(settings, read_only=False) as warehouse:
        needed = {delivery_id for release in releases for delivery_id in deliveries_of(warehouse, release)}
        return delete_superseded(warehouse, now - timedelta(days=settings.keep_superseded_days), needed)


def deliveries_of(warehouse: Warehouse, release: dict[str, Any]) -> set[str]:
    """Return the ids of the deliveries whose rows a build that was made of `release` read."""
    as_of = datetime.fromisoformat(release["as_of"]) if release["as_of"] else None
    known = Known(as_of, release.get("last_delivery"))  # absent: frozen before it was recorded
    in_force = deliveries_in_force(warehouse, known, synthetic=release["is_synthetic"])
    return {delivery.delivery_id for _, kind in TABLES for delivery in newest_periods(in_force, kind)}


def silent(text: str) -> None:
    """Say nothing."""


def choose_snapshots(
    settings: Settings, catalogue: Catalogue, origin: str, as_of: datetime | None
) -> dict[str, Snapshot]:
    """Return the newest snapshot of every source known by `as_of`; real and invented data are never mixed."""
    store = SnapshotStore(settings.snapshots)
    return newest_of_all(store, catalogue.sources, as_of, synthetic=is_synthetic(origin))


def build_step(
    settings: Settings,
    catalogue: Catalogue,
    run: RunInfo,
    on_step: Progress = silent,
    *,
    force: bool = False,
    deliveries_in: Callable[[], None] = nothing_to_wait_for,
) -> Candidate:
    """Build the candidate; NothingNew when snapshots, code and settings are those of the published build.

    `deliveries_in` returns when no delivery is being received any more. UsageError when invented data would be
    published over real ones.
    """
    refuse_invented_over_real(settings, run.origin)
    builds.tidy(settings)
    snapshots = choose_snapshots(settings, catalogue, run.origin, run.as_of)
    published = published_release(settings)
    if published is not None and not force:
        deliveries_in()
        if published.get("fingerprint") == release_of(settings, snapshots, run)["fingerprint"]:
            refuse_old(catalogue, snapshots, run)
            raise NothingNew(f"nothing new since build {published['run_id']}: same snapshots, code and settings")
    return build(settings, catalogue, snapshots, run, on_step, deliveries_in)


def refuse_old(catalogue: Catalogue, snapshots: dict[str, Snapshot], run: RunInfo) -> None:
    """Raise DataRefused when a source is too old: else "nothing new" night after night would hide a frozen source."""
    stops = blocking(ages.check_ages(catalogue.sources, snapshots, run.as_of or run.started_at))
    if stops:
        told = "; ".join(verdict_sentence(outcome) for outcome in stops[:3])
        raise DataRefused(f"nothing new, and what is published has aged: {told}")


def validate_step(settings: Settings, candidate: Candidate, run: RunInfo, on_step: Progress = silent) -> None:
    """Record every rule's result in the candidate; DataRefused (and the candidate kept aside) when one stops."""
    try:
        finish(candidate, run, on_step)
    except DataRefused as refused:
        kept = keep_refused(settings, candidate)
        raise DataRefused(f"{refused}. The refused build is {kept}; its meta.validation tells all") from None


def publish_step(settings: Settings, candidate: Candidate, run: RunInfo, on_step: Progress = silent) -> builds.Build:
    """Export, dress and flip to the candidate; old builds and snapshots go, never what a frozen baseline needs."""
    build_made = builds.publish(
        settings,
        candidate.path,
        run.run_id,
        candidate.release,
        keep=baselines.kept_runs(settings),
        dress=lambda path, build: dress(settings, path, build, on_step),
    )
    prune(settings)
    return build_made


def dress(settings: Settings, candidate: Path, build: builds.Build, on_step: Progress = silent) -> None:
    """Write the report and, beside it in a process of its own, the workbook of a candidate into its build."""
    from flows.report.build import build_report, report_options
    from flows.report.workbook import write_workbook

    previous = builds.current(settings)
    options = report_options(settings, previous.path if previous else None)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        writing = pool.submit(write_workbook, candidate, build.exports / "kommunekort.xlsx")
        build_report(candidate, build.report, options, on_step)
        on_step("write the workbook")
        writing.result()


def judge_ages(settings: Settings, catalogue: Catalogue, run: RunInfo) -> dict[str, dict[str, Any]]:
    """Return the age of every source's snapshot in a run's eyes, as plain values."""
    snapshots = choose_snapshots(settings, catalogue, run.origin, run.as_of)
    return ages.as_plain(ages.source_ages(catalogue.sources, snapshots, run.as_of or run.started_at))


def run_plain(
    settings: Settings,
    origin: str,
    *,
    as_of: datetime | None = None,
    only: Sequence[str] = (),
    force: bool = False,
    on_step: Progress = silent,
) -> RunResult:
    """Fetch, build, validate and publish without Prefect; the ledger tells of every ending.

    The caller holds the writer lock. Raises NothingNew, DataRefused or UsageError.
    """
    refuse_invented_over_real(settings, origin)
    result = RunResult(RunInfo.start(settings, origin, as_of))
    with recorded(settings, result):
        catalogue = load_catalogue()
        with ThreadPoolExecutor(1) as beside:
            receiving = beside.submit(receive, settings, origin, silent)
            result.fetched = fetch(settings, catalogue, origin, only, on_step)
            if not receiving.done():
                import_ahead()  # there will be something to build, and this process has a core to spare

            def deliveries_in() -> None:
                on_step("receive deliveries")
                result.receipts = receiving.result()

            result.ages = judge_ages(settings, catalogue, result.run)
            candidate = build_step(settings, catalogue, result.run, on_step, force=force, deliveries_in=deliveries_in)
        describe(result, candidate)
        validate_step(settings, candidate, result.run, on_step)
        on_step("publish")
        published = publish_step(settings, candidate, result.run, on_step)
        result.status, result.database = "published", str(published.path)
    return result

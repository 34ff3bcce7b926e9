"""The night's work as plain functions: fetch, build, validate, publish, report. Prefect only wraps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from expectations.terms import blocking, verdict_sentence
from flows import baseline, freshness, publish
from flows.ahead import import_ahead
from flows.build import build, finish, keep_refused, nothing_to_wait_for, release_of
from flows.candidate import Candidate, RunInfo
from flows.fetch import fetch
from flows.intake import receive
from flows.origins import is_synthetic, published_release, refuse_invented_over_real
from flows.retention import prune
from flows.run_record import RunResult, describe, recorded
from flows.settings import Settings
from flows.snapshots import Snapshot, SnapshotStore, newest_of_all
from transforms.catalogue import Catalogue, load_catalogue
from transforms.errors import DataRefused, NothingNew

Progress = Callable[[str], None]


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
    publish.tidy(settings)
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
    stops = blocking(freshness.check_ages(catalogue.sources, snapshots, run.as_of or run.started_at))
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


def publish_step(settings: Settings, candidate: Candidate, run: RunInfo, on_step: Progress = silent) -> publish.Build:
    """Export, dress and flip to the candidate; old builds and snapshots go, never what a frozen baseline needs."""
    build_made = publish.publish(
        settings,
        candidate.path,
        run.run_id,
        candidate.release,
        keep=baseline.kept_runs(settings),
        dress=lambda path, build: dress(settings, path, build, on_step),
    )
    prune(settings)
    return build_made


def dress(settings: Settings, candidate: Path, build: publish.Build, on_step: Progress = silent) -> None:
    """Write the report and, beside it in a process of its own, the workbook of a candidate into its build."""
    from flows.report import build_report
    from flows.report.build import report_options
    from flows.workbook import write_workbook

    previous = publish.current(settings)
    options = report_options(settings, previous.path if previous else None)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        writing = pool.submit(write_workbook, candidate, build.exports / "kommunekort.xlsx")
        build_report(candidate, build.report, options, on_step)
        on_step("write the workbook")
        writing.result()


def judge_ages(settings: Settings, catalogue: Catalogue, run: RunInfo) -> dict[str, dict[str, Any]]:
    """Return the age of every source's snapshot in a run's eyes, as plain values."""
    snapshots = choose_snapshots(settings, catalogue, run.origin, run.as_of)
    return freshness.as_plain(freshness.source_ages(catalogue.sources, snapshots, run.as_of or run.started_at))


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

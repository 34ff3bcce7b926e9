"""The night's work as plain functions: fetch, build, validate, publish, report. Prefect only wraps them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from expectations.terms import blocking, verdict_sentence
from flows import alarms, baseline, freshness, ledger, publish
from flows.ahead import import_ahead
from flows.build import (
    Candidate,
    RunInfo,
    build,
    counts_table,
    finish,
    keep_refused,
    nothing_to_wait_for,
    release_of,
)
from flows.fetch import FetchReport, fetch
from flows.intake import receive
from flows.origins import is_synthetic, published_release, refuse_invented_over_real
from flows.retention import prune
from flows.settings import Settings
from flows.snapshots import Snapshot, SnapshotStore, newest_of_all, replace_synced
from transforms.catalogue import Catalogue, load_catalogue
from transforms.errors import DataRefused, KommunekortError, NothingNew, UsageError

Progress = Callable[[str], None]

STATUSES = {NothingNew.exit_code: "nothing_new", DataRefused.exit_code: "refused"}
"""Exit code of an error -> what a run is called that it ended; every other one is `failed`."""


def silent(text: str) -> None:
    """Say nothing."""


@dataclass
class RunResult:
    """What a run did, for the summary, the ledger and the artifacts."""

    run: RunInfo
    status: str = "running"
    message: str = ""
    fetched: FetchReport = field(default_factory=FetchReport)
    receipts: dict[str, int] = field(default_factory=dict)
    counts: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    release: dict[str, Any] = field(default_factory=dict)
    database: str | None = None
    ages: dict[str, dict[str, Any]] = field(default_factory=dict)
    flow_run_id: str | None = None
    process: dict[str, Any] = field(default_factory=ledger.this_process)

    @property
    def ending(self) -> str:
        """Return the status as ledger and alarm know it: `unconfirmed` when nothing new was seen, but not all of it.

        Such a run neither takes an alarm back nor tells that what is published is still what it should be.
        """
        return "unconfirmed" if self.status == "nothing_new" and self.fetched.failed else self.status

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON-able values."""
        run = {
            "run_id": self.run.run_id,
            "started_at": self.run.started_at.isoformat(),
            "origin": self.run.origin,
            "as_of": self.run.as_of.isoformat() if self.run.as_of else None,
        }
        told = {key: value for key, value in asdict(self).items() if key != "run"}
        ended = None if self.status == "running" else datetime.now(UTC).isoformat()
        return {**run, **told, "status": self.ending, "ended_at": ended}


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
    from flows.commands.show import report_options
    from flows.report import build_report
    from flows.workbook import write_workbook

    previous = publish.current(settings)
    options = report_options(settings, previous.path if previous else None)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        writing = pool.submit(write_workbook, candidate, build.exports / "kommunekort.xlsx")
        build_report(candidate, build.report, options, on_step)
        on_step("write the workbook")
        writing.result()


def record(settings: Settings, result: RunResult) -> Path:
    """Write the run into the ledger `data/runs/<run id>.json`; return the file, or raise UsageError."""
    path = settings.runs / f"{result.run.run_id}.json"
    try:
        replace_synced(path, json.dumps(result.as_dict(), ensure_ascii=False, indent=1, default=str))
    except OSError as error:
        raise UsageError(
            f"{settings.runs}: the ledger cannot be written ({error.strerror}); free space or check the rights"
        ) from None
    return path


def describe(result: RunResult, candidate: Candidate) -> None:
    """Copy what a candidate holds into the result."""
    result.counts = counts_table(candidate)
    result.tables = dict(candidate.tables)
    result.rules = [
        {
            "table_name": outcome.table_name,
            "rule_id": outcome.rule_id,
            "severity": outcome.severity,
            "success": outcome.success,
            "n_violations": outcome.n_violations,
            "description": outcome.description,
        }
        for outcome in candidate.outcomes
    ]
    result.release = dict(candidate.release)


@contextmanager
def recorded(settings: Settings, result: RunResult, *, alarm: bool = True) -> Iterator[RunResult]:
    """Keep ledger and alarm in step with a run, however it ends; runs that were killed earlier are closed first.

    The caller holds the writer lock. What is raised inside goes on; when sources did not answer, told as what it is.
    """
    ledger.reconcile(settings, alone=True)
    record(settings, result)
    try:
        yield result
        weigh_silence(result)
    except KommunekortError as error:
        result.status, result.message = STATUSES.get(error.exit_code, "failed"), str(error)
        weigh_silence(result)
        if result.message == str(error):
            raise
        raise (UsageError if result.status == "failed" else type(error))(result.message) from None
    except Exception as fault:
        result.status, result.message = "failed", fault_sentence(fault)
        raise
    except BaseException:
        result.status, result.message = "cancelled", "interrupted before its end"
        raise
    finally:
        try:
            record(settings, result)
        except UsageError as error:
            result.status, result.message = "failed", str(error)
        if alarm:
            alarms.follow(settings, result.run.run_id, result.ending, result.message)


def weigh_silence(result: RunResult) -> None:
    """Let what did not answer count in how a run ended: nothing new where nobody was heard is a failure.

    Else a network that is down for weeks would look like weeks without news.
    """
    fetched = result.fetched
    if fetched.silent and result.status == "nothing_new":
        result.status = "failed"
        result.message = f"{fetched.silence}; see the network and run again"
    elif fetched.silent and result.status in ("failed", "refused"):
        result.message = f"{fetched.silence}; {result.message}"
    elif result.ending == "unconfirmed":
        result.message = f"{result.message}; {fetched.silence}, so there may be news unseen"


def fault_sentence(fault: BaseException) -> str:
    """Return one line for what nobody foresaw."""
    return f"a fault of the program: {type(fault).__name__}: {' '.join(str(fault).split())[:300]}"


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

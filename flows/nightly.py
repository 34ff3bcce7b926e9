"""The Prefect flows: names, retries and artifacts around the plain functions of `flows.pipeline`.

An expected refusal ends a task and the flow in the state Failed with one sentence, never in a traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow, FlowStateHook
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run, task_run
from prefect.states import Completed, Failed

from flows import alarms, ledger, pipeline
from flows.build import Candidate, RunInfo
from flows.commands.run import end_of_day
from flows.fetch import FetchReport, fetch
from flows.intake import receive
from flows.lock import writer_lock
from flows.serve import TIMEZONE
from flows.settings import Settings
from flows.summary import markdown_summary
from transforms.catalogue import load_catalogue
from transforms.errors import KommunekortError, NothingNew

RETRIES: list[float] = [60, 600]


def told(step: Callable[[], Any]) -> Any:
    """Return what `step` returns, or a Prefect state with its one sentence when it ends as foreseen."""
    try:
        return step()
    except NothingNew as nothing:
        return Completed(name="NothingNew", message=str(nothing))
    except KommunekortError as error:
        return Failed(name="Refused" if error.exit_code == 2 else "Failed", message=str(error))


def at_night(*_: Any) -> bool:
    """Tell whether this is a deployment's run: there patience pays; at a terminal somebody is waiting."""
    return deployment.id is not None


@task(
    name="fetch",
    task_run_name="fetch-{origin}",
    retries=len(RETRIES),
    retry_delay_seconds=RETRIES,
    retry_jitter_factor=0.3,
    retry_condition_fn=at_night,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def fetch_task(settings: Settings, origin: str, only: list[str]) -> FetchReport:
    """Bring the newest bytes in; by night tried again when no source answers.

    Each request has its own retries inside the connector.
    """
    found = told(lambda: fetch(settings, load_catalogue(), origin, only, pipeline.silent))
    if isinstance(found, FetchReport) and found.silent and at_night() and task_run.run_count <= len(RETRIES):
        raise ConnectionError("no source answered")
    return cast(FetchReport, found)


@task(name="deliver", cache_policy=NO_CACHE, persist_result=False)
def deliver_task(settings: Settings, origin: str) -> dict[str, int]:
    """Receive what lies in the drop folder (or the sample world's deliveries), each with its receipt."""
    return cast(dict[str, int], told(lambda: receive(settings, origin, pipeline.silent)))


@task(name="build", cache_policy=NO_CACHE, persist_result=False)
def build_task(settings: Settings, run: RunInfo, force: bool) -> Candidate:
    """Build the candidate database. Deterministic, hence never retried."""
    return cast(Candidate, told(lambda: pipeline.build_step(settings, load_catalogue(), run, force=force)))


@task(name="validate", cache_policy=NO_CACHE, persist_result=False)
def validate_task(settings: Settings, candidate: Candidate, run: RunInfo) -> None:
    """Hold the candidate against every rule."""
    return cast(None, told(lambda: pipeline.validate_step(settings, candidate, run)))


@task(name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_task(settings: Settings, candidate: Candidate, run: RunInfo) -> str:
    """Flip analysts over to the candidate."""
    return cast(str, told(lambda: str(pipeline.publish_step(settings, candidate, run).path)))


def settings_of(data: Any) -> Settings:
    """Return the settings of a run whose parameter `data` may be absent."""
    return Settings() if data is None else Settings(data=Path(data))


def today(prefix: str) -> Callable[[], str]:
    """Return a function that names a run by the Danish date it starts on."""
    return lambda: f"{prefix}-{datetime.now(ZoneInfo(TIMEZONE)):%Y-%m-%d}"


def after_bad_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook on failure, crash and cancellation: enter and tell what the flow could not enter or tell itself."""
    settings = settings_of(flow_run.parameters.get("data"))
    record = ledger.of_flow_run(settings, str(flow_run.id))
    status = {"CRASHED": "crashed", "CANCELLED": "cancelled"}.get(state.type.name, "failed")
    message = state.message or "ended without a word"
    if record is None:
        alarms.follow(settings, flow_run.name, status, message)
    elif record["status"] == "running":
        ledger.close(settings, record, status, message)


def publish_artifacts(result: pipeline.RunResult) -> None:
    """Show the verdict, the ages, the counts and the broken rules in Prefect's UI; the ledger holds the same."""
    create_markdown_artifact(markdown_summary(result), key="nightly-summary", description="Verdict, ages and counts")
    rows: list[dict[str, Any]] = [rule for rule in result.rules if not rule["success"]]
    held = {"rule_id": "rules that hold", "n_rules": sum(1 for rule in result.rules if rule["success"])}
    create_table_artifact([held, *rows], key="validations", description="Broken rules, and how many hold")


class _Ended(Exception):
    """A task has ended the run early; carries its state."""

    def __init__(self, state: State[Any]):
        self.state = state


def _value(state: State[Any]) -> Any:
    """Return a task's value, or end the run with the task's own sentence."""
    if not state.is_completed() or state.name == "NothingNew":
        raise _Ended(state)
    return state.result()


def wait_for(future: PrefectFuture[Any]) -> State[Any]:
    """Return the final state of a task that runs beside the others."""
    future.wait()
    return future.state


HOOKS: list[FlowStateHook[..., Any]] = [after_bad_end]


@flow(
    name="nightly",
    flow_run_name=today("nightly"),
    persist_result=False,
    on_failure=HOOKS,
    on_crashed=HOOKS,
    on_cancellation=HOOKS,
)
def nightly(
    origin: str = "sample",
    data: Path | None = None,
    as_of: datetime | None = None,
    only: list[str] | None = None,
    force: bool = False,
) -> State[Any]:
    """Fetch what is new, build the mapping in a new file, hold it against every rule, and publish it.

    Ends Completed (published), NothingNew, or Failed with the sentence that says why.

    Args:
        origin: sample (synthetic), live (the public APIs), or a folder of files.
        data: Folder of everything that is written.
        as_of: Build from what was known that day.
        only: Fetch only these sources.
        force: Build even when nothing is new.
    """
    return run_flow(origin, data, as_of, force, only=list(only or ()))


@flow(
    name="build",
    flow_run_name=today("build"),
    persist_result=False,
    on_failure=HOOKS,
    on_crashed=HOOKS,
    on_cancellation=HOOKS,
)
def build(origin: str = "sample", data: Path | None = None, as_of: datetime | None = None) -> State[Any]:
    """Build from the snapshots at hand, fetching nothing; check and publish. Ends as `nightly` does.

    Args:
        origin: sample (synthetic), live (the public APIs), or a folder of files.
        data: Folder of everything that is written.
        as_of: Build from what was known that day.
    """
    return run_flow(origin, data, as_of, True, only=None)


@flow(name="fetch", flow_run_name=today("fetch"), persist_result=False, on_failure=HOOKS, on_crashed=HOOKS)
def fetch_only(origin: str = "sample", data: Path | None = None, only: list[str] | None = None) -> State[Any]:
    """Bring new bytes into the snapshots and build nothing. Ends Completed, NothingNew or Failed.

    Args:
        origin: sample (synthetic), live (the public APIs), or a folder of files.
        data: Folder of everything that is written.
        only: Fetch only these sources.
    """
    settings = settings_of(data)
    try:
        with writer_lock(settings.root):
            report: FetchReport = _value(fetch_task(settings, origin, list(only or ()), return_state=True))
    except KommunekortError as error:
        return Failed(message=str(error))
    except _Ended as ended:
        return Failed(name=ended.state.name, message=ended.state.message)
    counts = f"new: {len(report.new)}, unchanged: {len(report.unchanged)}, missing: {len(report.missing)}"
    return Completed(message=counts) if report.new else Completed(name="NothingNew", message=counts)


def run_flow(
    origin: str, data: Path | None, as_of: datetime | None, force: bool, *, only: list[str] | None
) -> State[Any]:
    """Run the tasks under the lock, ledger and alarm; fetch nothing when `only` is None. Return the final state."""
    settings = settings_of(data)
    result = pipeline.RunResult(RunInfo.start(settings, origin, end_of_day(as_of)), flow_run_id=flow_run.id)
    try:
        with writer_lock(settings.root), pipeline.recorded(settings, result):
            run_tasks(settings, result, only, force)
    except KommunekortError as error:
        return Failed(message=str(error))
    publish_artifacts(result)
    if result.status == "published":
        return Completed(message=f"published {result.run.run_id}")
    if result.status == "nothing_new":
        return Completed(name="NothingNew", message=result.message)
    return Failed(name="Refused" if result.status == "refused" else "Failed", message=result.message)


def run_tasks(settings: Settings, result: pipeline.RunResult, only: list[str] | None, force: bool) -> None:
    """Run the tasks in order and write into `result` how far they came."""
    run = result.run
    try:
        if only is not None:
            receiving = deliver_task.submit(settings, run.origin)
            result.fetched = _value(fetch_task(settings, run.origin, only, return_state=True))
            result.receipts = _value(wait_for(receiving))
        result.ages = pipeline.judge_ages(settings, load_catalogue(), run)
        candidate = _value(build_task(settings, run, force, return_state=True))
        pipeline.describe(result, candidate)
        _value(validate_task(settings, candidate, run, return_state=True))
        result.database = _value(publish_task(settings, candidate, run, return_state=True))
        result.status = "published"
    except _Ended as ended:
        names = {"NothingNew": "nothing_new", "Refused": "refused"}
        result.status = names.get(ended.state.name or "", "failed")
        result.message = ended.state.message or "ended without a word"

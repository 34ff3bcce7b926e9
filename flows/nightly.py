"""The Prefect flows: names, retries and artifacts around the plain functions of `flows.pipeline`.

An expected refusal ends a task and the flow in the state Failed with one sentence, never in a traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.flows import FlowStateHook
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run, task_run
from prefect.states import Cancelled, Failed
from prefect.tasks import Task

from flows import pipeline, run_record, steps
from flows.candidate import Candidate, RunInfo
from flows.fetch import fetch
from flows.fetch_report import FetchReport
from flows.intake import receive
from flows.moments import COPENHAGEN, end_of_day
from flows.nightly_ends import (
    after_bad_end,
    publish_artifacts,
    settings_of,
    state_of,
    state_of_fetch,
    told,
    told_when_stopped,
)
from flows.nightly_start import Busy, only_writer, tidy_prefect
from flows.settings import Settings
from transforms.catalogue import load_catalogue
from transforms.errors import KommunekortError

RETRIES: list[float] = [60, 600]


class NoAnswer(ConnectionError):
    """No source answered: the one ending of a fetch that waiting may cure."""


def at_night() -> bool:
    """Tell whether this is a deployment's run: there patience pays; at a terminal somebody is waiting."""
    return deployment.id is not None


def try_again(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Tell Prefect, which would retry a returned Failed as well, that only silence by night is worth the wait."""
    return at_night() and isinstance(state.data, NoAnswer)


@task(
    name="fetch",
    task_run_name="fetch-{origin}",
    retries=len(RETRIES),
    retry_delay_seconds=RETRIES,
    retry_jitter_factor=0.3,
    retry_condition_fn=try_again,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def fetch_task(settings: Settings, origin: str, only: list[str]) -> FetchReport:
    """Bring the newest bytes in; by night tried again when no source answers.

    Each request has its own retries inside the connector.
    """
    found = told(lambda: fetch(settings, load_catalogue(), origin, only, steps.step))
    if isinstance(found, FetchReport) and found.silent and at_night() and task_run.run_count <= len(RETRIES):
        raise NoAnswer("no source answered")
    return cast(FetchReport, found)


@task(name="deliver", cache_policy=NO_CACHE, persist_result=False)
def deliver_task(settings: Settings, origin: str) -> dict[str, int]:
    """Receive what lies in the drop folder (or the sample world's deliveries), each with its receipt."""
    return cast(dict[str, int], told(lambda: receive(settings, origin, pipeline.silent)))


@task(name="build", cache_policy=NO_CACHE, persist_result=False)
def build_task(settings: Settings, run: RunInfo, force: bool) -> Candidate:
    """Build the candidate database. Deterministic, hence never retried."""
    return cast(Candidate, told(lambda: pipeline.build_step(settings, load_catalogue(), run, steps.step, force=force)))


@task(name="validate", cache_policy=NO_CACHE, persist_result=False)
def validate_task(settings: Settings, candidate: Candidate, run: RunInfo) -> None:
    """Hold the candidate against every rule."""
    return cast(None, told(lambda: pipeline.validate_step(settings, candidate, run, steps.step)))


@task(name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_task(settings: Settings, candidate: Candidate, run: RunInfo) -> str:
    """Flip analysts over to the candidate."""
    return cast(str, told(lambda: str(pipeline.publish_step(settings, candidate, run, steps.step).path)))


def today(prefix: str) -> Callable[[], str]:
    """Return a function that names a run by the Danish date it starts on."""
    return lambda: f"{prefix}-{datetime.now(COPENHAGEN):%Y-%m-%d}"


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

    Ends Completed (published), NothingNew, or Failed with the sentence that says why; Cancelled when another run is
    writing.

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
    """Bring new bytes into the snapshots and build nothing. Ends Completed, NothingNew, Cancelled or Failed.

    Args:
        origin: sample (synthetic), live (the public APIs), or a folder of files.
        data: Folder of everything that is written.
        only: Fetch only these sources.
    """
    settings = settings_of(data)
    try:
        with only_writer(settings):
            report: FetchReport = _value(fetch_task(settings, origin, list(only or ()), return_state=True))
    except Busy as busy:
        return Cancelled(message=str(busy))
    except KommunekortError as error:
        return Failed(message=str(error))
    except _Ended as ended:
        return Failed(name=ended.state.name, message=ended.state.message)
    return state_of_fetch(report)


def run_flow(
    origin: str, data: Path | None, as_of: datetime | None, force: bool, *, only: list[str] | None
) -> State[Any]:
    """Run the tasks under the lock, ledger and alarm; fetch nothing when `only` is None. Return the final state."""
    settings = settings_of(data)
    result = run_record.RunResult(RunInfo.start(settings, origin, end_of_day(as_of)), flow_run_id=flow_run.id)
    try:
        with only_writer(settings):
            tidy_prefect(settings, flow_run.id if only is not None and at_night() else None)
            with told_when_stopped(settings, flow_run.id), run_record.recorded(settings, result):
                run_tasks(settings, result, only, force)
    except Busy as busy:
        return Cancelled(message=str(busy))
    except KommunekortError as error:
        if result.status == "running":  # not even entered in the ledger
            return Failed(message=str(error))
    publish_artifacts(result)
    return state_of(result)


def run_tasks(settings: Settings, result: run_record.RunResult, only: list[str] | None, force: bool) -> None:
    """Run the tasks in order and write into `result` how far they came."""
    run = result.run
    try:
        if only is not None:
            fetch_and_receive(settings, result, only)
        result.ages = pipeline.judge_ages(settings, load_catalogue(), run)
        candidate = _value(build_task(settings, run, force, return_state=True))
        run_record.describe(result, candidate)
        _value(validate_task(settings, candidate, run, return_state=True))
        result.database = _value(publish_task(settings, candidate, run, return_state=True))
        result.status = "published"
    except _Ended as ended:
        names = {"NothingNew": "nothing_new", "Refused": "refused"}
        result.status = names.get(ended.state.name or "", "failed")
        result.message = ended.state.message or "ended without a word"


def fetch_and_receive(settings: Settings, result: run_record.RunResult, only: list[str]) -> None:
    """Fetch, and receive deliveries beside it; neither writes any more when this ends, however it ends."""
    receiving = deliver_task.submit(settings, result.run.origin)
    try:
        result.fetched = _value(fetch_task(settings, result.run.origin, only, return_state=True))
    finally:
        received = wait_for(receiving)
    result.receipts = _value(received)

"""The Prefect flows: names, retries and artifacts around the plain functions of `flows.run.night`.

An expected refusal ends a task and the flow in the state Failed with one sentence, never in a traceback.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.exceptions import PrefectException, TerminationSignal
from prefect.flows import Flow, FlowStateHook
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run, task_run
from prefect.states import Cancelled, Completed, Failed
from prefect.tasks import Task

from flows.orchestration import server
from flows.run import build as run_build
from flows.run import night, steps
from flows.run import record as run_record
from flows.run.build import Candidate
from flows.run.fetch import fetch, receive
from flows.run.record import FetchReport, RunInfo
from flows.run.summary import markdown_summary
from flows.settings import Settings
from flows.store.builds import prepare_folder, writer_lock
from transforms.catalogue import load_catalogue
from transforms.errors import Interrupted, KommunekortError, NothingNew, UsageError
from transforms.periods import COPENHAGEN, end_of_day

# How a flow ends: the state and its sentence, the artifacts, and the hook for endings the flow cannot tell itself.


INTERRUPTED = "interrupt signal"
"""What Prefect's message says of Ctrl-C, and of nothing else."""


def settings_of(data: Any) -> Settings:
    """Return the settings of a run whose parameter `data` may be absent."""
    return Settings() if data is None else Settings(data=Path(data))


def told(step: Callable[[], Any]) -> Any:
    """Return what `step` returns, or a Prefect state with its one sentence when it ends as foreseen."""
    try:
        return step()
    except NothingNew as nothing:
        return Completed(name="NothingNew", message=str(nothing))
    except KommunekortError as error:
        return Failed(name="Refused" if error.exit_code == 2 else "Failed", message=str(error))
    except Interrupted:  # by night only SIGTERM comes; at a terminal it was Ctrl-C
        raise (TerminationSignal(signal=signal.SIGTERM) if deployment.id else KeyboardInterrupt()) from None


def state_of(result: run_record.RunResult) -> State[Any]:
    """Return the state a run of the whole night ends in."""
    if result.status == "published":
        return Completed(message=f"published {result.run.run_id}")
    if result.status == "nothing_new":
        return Completed(name="NothingNew", message=result.message)
    return Failed(name="Refused" if result.status == "refused" else "Failed", message=result.message)


def state_of_fetch(report: FetchReport) -> State[Any]:
    """Return the state a fetch ends in: silence everywhere is a fault, that of some sources is told."""
    kept = sum(1 for source in report.failed if source not in report.missing)
    if report.silent:
        return Failed(message=f"{report.silence}; {kept} keep their last snapshot")
    counts = f"new: {len(report.new)}, unchanged: {len(report.unchanged)}, missing: {len(report.missing)}"
    message = f"{counts}, kept their last snapshot: {kept}"
    return Completed(message=message) if report.new else Completed(name="NothingNew", message=message)


def publish_artifacts(result: run_record.RunResult) -> None:
    """Show the verdict, the ages, the counts and the broken rules in Prefect's UI; the ledger holds the same."""
    create_markdown_artifact(markdown_summary(result), key="nightly-summary", description="Verdict, ages and counts")
    rows: list[dict[str, Any]] = [rule for rule in result.rules if not rule["success"]]
    held = {"rule_id": "rules that hold", "n_rules": sum(1 for rule in result.rules if rule["success"])}
    create_table_artifact([held, *rows], key="validations", description="Broken rules, and how many hold")


@contextmanager
def told_when_stopped(settings: Settings, flow_run_id: str) -> Iterator[None]:
    """Turn `cancelled` into `crashed`, with its alarm, at once when the run is stopped and nobody wished it.

    The flow itself knows only that it was stopped: by SIGTERM (a restart of the service, a reboot) or for a lease that
    is lost. Prefect runs its hook after it has told the server, which may be down as well. More signals are ignored:
    one that came while the first is handled would end the process with nothing told to anybody.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as stop:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        record = run_record.of_flow_run(settings, flow_run_id)
        by_hand = isinstance(stop, KeyboardInterrupt) or server.is_being_cancelled(flow_run_id)
        if record is not None and record["status"] == "cancelled" and not by_hand:
            run_record.close(settings, record, "crashed", f"stopped before its end ({type(stop).__name__})")
        raise


def after_bad_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook on failure, crash and cancellation: enter and tell what the flow could not enter or tell itself."""
    settings = settings_of(flow_run.parameters.get("data"))
    record = run_record.of_flow_run(settings, str(flow_run.id))
    status = {"CRASHED": "crashed", "CANCELLED": "cancelled"}.get(state.type.name, "failed")
    message = state.message or "ended without a word"
    crashed = status == "crashed" and INTERRUPTED not in message
    if record is None:
        run_record.follow(settings, flow_run.name, status, message)
    elif record["status"] == "running" or (record["status"] == "cancelled" and crashed):
        run_record.close(settings, record, status, message)


# What a flow does before its first task: it takes the lock, and puts in order what earlier runs left in Prefect.


logger = logging.getLogger(__name__)


class Busy(UsageError):
    """Another run is writing."""


@contextmanager
def only_writer(settings: Settings) -> Iterator[None]:
    """Hold the writer lock; Busy when another run has it, which is no fault: that run tells how it went."""
    prepare_folder(settings.root)
    with ExitStack() as held:
        try:
            held.enter_context(writer_lock(settings.root))
        except UsageError as busy:
            raise Busy(str(busy)) from None
        yield


def tidy_prefect(settings: Settings, nightly_run: str | None) -> None:
    """Close in Prefect the runs the ledger knows as lost, and skip the nights that `nightly_run` makes needless.

    `serve` does so when it starts; a work pool has nobody else to do it. It is a courtesy: a server that does not
    answer costs no night.
    """
    lost = [record["flow_run_id"] for record in run_record.unfinished(settings) if record.get("flow_run_id")]
    try:
        if lost:
            server.close(lost)
        if nightly_run is not None:
            server.skip_overdue(settings.root, instead=nightly_run)
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("Prefect's earlier runs were not tidied up (%s)", type(error).__name__)


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
    return cast(dict[str, int], told(lambda: receive(settings, origin, night.silent)))


@task(name="build", cache_policy=NO_CACHE, persist_result=False)
def build_task(settings: Settings, run: RunInfo, force: bool) -> Candidate:
    """Build the candidate database. Deterministic, hence never retried."""
    return cast(Candidate, told(lambda: night.build_step(settings, load_catalogue(), run, steps.step, force=force)))


@task(name="validate", cache_policy=NO_CACHE, persist_result=False)
def validate_task(settings: Settings, candidate: Candidate, run: RunInfo) -> None:
    """Hold the candidate against every rule."""
    return cast(None, told(lambda: night.validate_step(settings, candidate, run, steps.step)))


@task(name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_task(settings: Settings, candidate: Candidate, run: RunInfo) -> str:
    """Flip analysts over to the candidate."""
    return cast(str, told(lambda: str(night.publish_step(settings, candidate, run, steps.step).path)))


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
        result.ages = night.judge_ages(settings, load_catalogue(), run)
        candidate = _value(build_task(settings, run, force, return_state=True))
        run_build.describe(result, candidate)
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

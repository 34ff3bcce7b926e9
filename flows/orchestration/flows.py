"""The Prefect flows: names, retries and artifacts around the plain functions of `flows.run.night`.

An expected refusal ends a task and the flow in the state Failed with one sentence, never in a traceback.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.exceptions import PrefectException, TerminationSignal
from prefect.flows import Flow, FlowStateHook
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run, task_run
from prefect.states import Cancelled, Completed
from prefect.tasks import Task

from flows.orchestration import server
from flows.run import night, steps
from flows.run import record as run_record
from flows.run.night import Asked, Beside, Given, Made
from flows.run.processes import guard_children
from flows.run.record import FetchReport
from flows.run.summary import markdown_summary, validation_rows
from flows.settings import Settings, settings_from
from flows.store.builds import Busy, writer_lock
from transforms.errors import Interrupted, KommunekortError, UsageError
from transforms.periods import COPENHAGEN, end_of_day

# How a flow ends: the state and its sentence, the artifacts, and the hook for endings the flow cannot tell itself.


INTERRUPTED = "interrupt signal"
"""What Prefect's message says of Ctrl-C, and of nothing else."""


def state_of(result: run_record.RunResult) -> State[Any]:
    """Return the state a run ends in."""
    return _state(result.ending, result.message or f"{result.ending.status} {result.run.run_id}")


def task_state(error: KommunekortError) -> State[Any]:
    """Return the state of a task that ended as foreseen, in one sentence and without a traceback."""
    return _state(run_record.ENDINGS[run_record.status_of(error)], str(error))


def _state(ending: run_record.Ending, message: str) -> State[Any]:
    return State(type=StateType[ending.prefect_type], name=ending.prefect_name, message=message)


def publish_artifacts(settings: Settings, result: run_record.RunResult) -> None:
    """Show the verdict, deliveries, changes, links and the broken rules in Prefect's UI; the ledger holds the same."""
    told = "Verdict, ages, counts, deliveries, changes and where to read on"
    create_markdown_artifact(markdown_summary(result, settings), key="nightly-summary", description=told)
    told = "Broken rules with what they ask, and how many hold"
    create_table_artifact(validation_rows(result.rules), key="validations", description=told)


class InTheRunsLog(steps.Listener):
    """Writes what a run does into its log in Prefect, in whatever thread it does it."""

    def __init__(self, log: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self.log = log
        self.told: set[str] = set()

    def step(self, text: str) -> None:
        """Write down a step; the pages of the report are one."""
        text = "write the report" if text.startswith("report: ") else text
        if text not in self.told:
            self.told.add(text)
            self.log.info("%s", text)

    def warn(self, text: str) -> None:
        """Write down a warning."""
        self.log.warning("%s", text)

    def transferred(self, name: str) -> None:
        """Write down that something has been received."""
        self.log.info("received %s", name)


@contextmanager
def alarm_when_stopped(settings: Settings, flow_run_id: str) -> Iterator[None]:
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
        # Only the runner of a deployment sends a signal because somebody cancelled the run at the server.
        by_hand = isinstance(stop, KeyboardInterrupt) or (at_night() and server.is_being_cancelled(flow_run_id))
        if record is not None and record["status"] == "cancelled" and not by_hand:
            run_record.close(settings, record, "crashed", f"stopped before its end ({type(stop).__name__})")
        raise


def after_bad_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook on failure, crash and cancellation: enter and tell what the flow could not enter or tell itself."""
    settings = settings_from(flow_run.parameters.get("data"))
    record = run_record.of_flow_run(settings, str(flow_run.id))
    if record is None and state.type.name == "CANCELLING":
        # `serve` stops, and with it a run that had not begun: one that met another writer, and has ended so.
        return
    status = {"CRASHED": "crashed", "CANCELLED": "cancelled"}.get(state.type.name, "failed")
    message = state.message or "ended without a word"
    crashed = status == "crashed" and INTERRUPTED not in message
    if record is None:
        run_record.settle_alarm(settings, flow_run.name, status, message)
    elif record["status"] == "running" or (record["status"] == "cancelled" and crashed):
        run_record.close(settings, record, status, message)


# What a flow does before its first task: it takes the lock, and puts in order what earlier runs left in Prefect.


logger = logging.getLogger(__name__)


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


def perform(work: Callable[[], Any], kept: list[Any]) -> Any:
    """Do a step's work and lay into `kept` what it made or raised; return what Prefect shows of it.

    A signal that came while DuckDB was at work is what Prefect would have made of it: by night only SIGTERM comes, at a
    terminal it was Ctrl-C.
    """
    try:
        kept.append(work())
    except KommunekortError as error:
        kept.append(error)
        return task_state(error)
    except Interrupted:
        raise (TerminationSignal(signal=signal.SIGTERM) if deployment.id else KeyboardInterrupt()) from None
    except Exception as fault:
        kept.append(fault)
        raise
    return Completed()


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
def fetch_task(work: Callable[[], FetchReport], kept: list[Any], origin: str) -> Any:
    """Bring the newest bytes in; by night tried again when no source answers.

    Each request has its own retries inside the connector.
    """
    kept.clear()
    shown = perform(work, kept)
    found = kept[0]
    if isinstance(found, FetchReport) and found.silent and at_night() and task_run.run_count <= len(RETRIES):
        raise NoAnswer("no source answered")
    return shown


def _do(work: Callable[[], Any], kept: list[Any], origin: str) -> Any:
    return perform(work, kept)


# Deterministic, hence never retried.
TASKS: dict[str, Task[..., Any]] = {"fetch": fetch_task} | {
    name: task(name=name, description=told, cache_policy=NO_CACHE, persist_result=False)(_do)
    for name, told in {
        "deliver": "Receive what lies in the drop folder (or the sample world's deliveries), each with its receipt.",
        "build": "Build the candidate database.",
        "validate": "Hold the candidate against every rule.",
        "publish": "Flip analysts over to the candidate.",
    }.items()
}


def made(kept: list[Any], state: State[Any]) -> Any:
    """Return what a task made, or raise what it raised; UsageError when Prefect ended it before it could."""
    if not kept:
        raise UsageError(state.message or "ended without a word")
    if isinstance(kept[0], BaseException):
        raise kept[0]
    return kept[0]


@dataclass(frozen=True)
class AsTasks:
    """Run the steps of a night as tasks of Prefect."""

    origin: str

    def step(self, name: str, work: Callable[Given, Made]) -> Callable[Given, Made]:
        """Return the step as a task that runs to its end."""

        def run(*given: Given.args, **named: Given.kwargs) -> Made:
            kept: list[Any] = []
            state = cast(State[Any], TASKS[name](partial(work, *given, **named), kept, self.origin, return_state=True))
            return cast(Made, made(kept, state))

        return run

    @contextmanager
    def beside(self, name: str, work: Callable[[], Made]) -> Iterator[Beside[Made]]:
        """Run a step as a task beside the others."""
        kept: list[Any] = []
        future = TASKS[name].submit(work, kept, self.origin)
        try:
            yield TaskBeside(future, kept)
        finally:
            future.wait()


@dataclass(frozen=True)
class TaskBeside:
    """A task at work beside the others."""

    future: PrefectFuture[Any]
    kept: list[Any]

    def done(self) -> bool:
        """Tell whether it has ended."""
        return self.future.state.is_final()

    def result(self) -> Any:
        """Wait for its end; return what it made, or raise what it raised."""
        self.future.wait()
        return made(self.kept, self.future.state)


def today(prefix: str) -> Callable[[], str]:
    """Return a function that names a run by the Danish date it starts on."""
    return lambda: f"{prefix}-{datetime.now(COPENHAGEN):%Y-%m-%d}"


HOOKS: list[FlowStateHook[..., Any]] = [after_bad_end]
ENDS: dict[str, Any] = {"on_failure": HOOKS, "on_crashed": HOOKS, "on_cancellation": HOOKS}


@flow(name="nightly", flow_run_name=today("nightly"), persist_result=False, **ENDS)
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
    return run_flow(data, Asked(origin, as_of=end_of_day(as_of), only=list(only or ()), force=force))


@flow(name="build", flow_run_name=today("build"), persist_result=False, **ENDS)
def build(origin: str = "sample", data: Path | None = None, as_of: datetime | None = None) -> State[Any]:
    """Build from the snapshots at hand, fetching nothing; check and publish. Ends as `nightly` does.

    Args:
        origin: sample (synthetic), live (the public APIs), or a folder of files.
        data: Folder of everything that is written.
        as_of: Build from what was known that day.
    """
    return run_flow(data, Asked(origin, first="build", as_of=end_of_day(as_of)))


@flow(name="fetch", flow_run_name=today("fetch"), persist_result=False, on_failure=HOOKS, on_crashed=HOOKS)
def fetch_only(origin: str = "sample", data: Path | None = None, only: list[str] | None = None) -> State[Any]:
    """Bring new bytes into the snapshots and build nothing. Ends Completed, NothingNew, Cancelled or Failed.

    Args:
        origin: sample (synthetic), live (the public APIs), or a folder of files.
        data: Folder of everything that is written.
        only: Fetch only these sources.
    """
    return run_flow(data, Asked(origin, last="fetch", only=list(only or ())))


def run_flow(data: Path | None, asked: Asked) -> State[Any]:
    """Run what is asked for as tasks under the lock, ledger and alarm; return the final state."""
    settings = settings_from(data)
    if at_night():
        guard_children()
    try:
        with writer_lock(settings.root):
            result = night.new_result(settings, asked)
            result.flow_run_id = flow_run.id
            is_night = asked.covers("fetch") and asked.covers("publish") and at_night()
            tidy_prefect(settings, flow_run.id if is_night else None)
            log = InTheRunsLog(get_run_logger() if flow_run.id else logger)
            with alarm_when_stopped(settings, flow_run.id), steps.listening(log):
                night.run(settings, asked, AsTasks(asked.origin), result)
    except Busy as busy:
        return Cancelled(message=str(busy))
    except KommunekortError as error:  # not even entered in the ledger
        return task_state(error)
    publish_artifacts(settings, result)
    return state_of(result)

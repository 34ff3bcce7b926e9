"""What the flows do around the plain functions: what is tried again, how a run ends, and what its end leaves."""

from __future__ import annotations

import os
import signal
import threading
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelling, Completed, Failed, Running, exception_to_crashed_state
from prefect.utilities.asyncutils import run_coro_as_sync

from flows.orchestration import flows, server
from flows.orchestration.flows import alarm_when_stopped
from flows.run import night
from flows.run import record as run_record
from flows.run.night import Asked
from flows.run.record import FetchReport, RunInfo
from flows.settings import Settings
from flows.store.builds import writer_lock
from transforms.errors import DataRefused, Interrupted, UsageError
from transforms.warehouse import Warehouse


@pytest.fixture
def ours(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def test_only_fetching_is_tried_again() -> None:
    retries = {name: task.retries for name, task in flows.TASKS.items()}
    assert retries == {"fetch": 2, "deliver": 0, "build": 0, "validate": 0, "publish": 0}


@dataclass
class Attempt:
    """Stands in for Prefect's runtime: which deployment, which try."""

    id: str | None = None
    run_count: int = 1


@pytest.mark.parametrize(
    ("deployment", "attempt", "again"), [("d1", 1, True), ("d1", 2, True), ("d1", 3, False), (None, 1, False)]
)
def test_fetching_waits_by_night_when_no_source_answers(
    ours: Settings, monkeypatch: pytest.MonkeyPatch, deployment: str | None, attempt: int, again: bool
) -> None:
    silent = FetchReport(kept_old={"statbank_folk1a": "no answer"})
    monkeypatch.setattr(flows, "deployment", Attempt(id=deployment))
    monkeypatch.setattr(flows, "task_run", Attempt(run_count=attempt))
    kept: list[Any] = ["of the try before"]
    if again:
        with pytest.raises(ConnectionError, match="no source answered"):
            flows.fetch_task.fn(lambda: silent, kept, "live")
    else:
        assert flows.fetch_task.fn(lambda: silent, kept, "live").is_completed()
    assert kept == [silent]
    assert flows.at_night() is (deployment is not None)


def state_after(step: Any) -> State[Any]:
    """Return the state in which Prefect asks whether to try again."""
    try:
        outcome = flows.perform(step, [])
    except Exception as fault:
        return Failed(data=fault)
    assert isinstance(outcome, State)
    return outcome


@pytest.mark.parametrize(
    ("fault", "again"),
    [
        (flows.NoAnswer("no source answered"), True),
        (UsageError("no source statbank_typo"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_only_silence_is_waited_for(monkeypatch: pytest.MonkeyPatch, fault: Exception, again: bool) -> None:
    """Prefect asks about a returned Failed as well: a typo would hold lock and slot for eleven minutes."""

    def step() -> None:
        raise fault

    monkeypatch.setattr(flows, "deployment", Attempt(id="d1"))
    asked: Any = flows.fetch_task.retry_condition_fn
    state = state_after(step)
    assert asked(flows.fetch_task, None, state) is again
    monkeypatch.setattr(flows, "deployment", Attempt(id=None))
    assert asked(flows.fetch_task, None, state) is False


def test_one_silent_source_is_no_reason_to_wait() -> None:
    assert FetchReport(kept_old={"a": "x"}).silent
    assert not FetchReport(kept_old={"a": "x"}, unchanged=["b"]).silent
    assert not FetchReport().silent


@dataclass
class Ended:
    """What a hook is given of a flow run and its state."""

    id: str
    name: str
    parameters: dict[str, Any]
    type: Any = None
    message: str = "killed"


@pytest.mark.parametrize(
    ("before", "kind", "after", "alarmed"),
    [
        ("running", "CRASHED", "crashed", True),
        ("running", "CANCELLED", "cancelled", False),
        ("cancelled", "CRASHED", "crashed", True),  # SIGTERM, or the lease is lost
        ("cancelled", "CANCELLED", "cancelled", False),  # a person
        ("published", "CRASHED", "published", False),
        (None, "CANCELLED", None, False),
        ("published", "FAILED", "published", False),
        (None, "FAILED", None, True),
    ],
)
def test_the_hook_enters_what_the_flow_could_not(
    ours: Settings, before: str | None, kind: str, after: str | None, alarmed: bool
) -> None:
    if before is not None:
        result = run_record.RunResult(RunInfo.start(ours, "live"), status=before, flow_run_id="f1")
        run_record.record(ours, result)
    run: Any = Ended("f1", "nightly-2026-11-22", {"data": str(ours.root)})
    run.type = type("Kind", (), {"name": kind})
    flows.after_bad_end(flows.nightly, run, run)
    record = run_record.of_flow_run(ours, "f1")
    assert (record["status"] if record else None) == after
    assert (run_record.standing_alarm(ours) is not None) is alarmed


def test_ctrl_c_at_a_terminal_stays_cancelled(ours: Settings) -> None:
    result = run_record.RunResult(RunInfo.start(ours, "live"), status="cancelled", flow_run_id="f1")
    run_record.record(ours, result)
    state: Any = run_coro_as_sync(exception_to_crashed_state(KeyboardInterrupt()))
    run: Any = Ended("f1", "nightly-2026-11-22", {"data": str(ours.root)})
    flows.after_bad_end(flows.nightly, run, state)
    record = run_record.of_flow_run(ours, "f1")
    assert record is not None
    assert record["status"] == "cancelled"
    assert run_record.standing_alarm(ours) is None


@pytest.mark.long
@pytest.mark.parametrize(
    ("report", "name", "message"),
    [
        (FetchReport(kept_old={"a": "no answer"}, new=["b"], unchanged=["c"]), "Completed", "new: 1, unchanged: 1"),
        (FetchReport(kept_old={"a": "no answer"}, unchanged=["c"]), "NothingNew", "kept their last snapshot: 1"),
        (
            FetchReport(kept_old={"a": "x", "b": "y"}, missing=["b"]),
            "Failed",
            "none of 2 sources answered (first a: x)",
        ),
    ],
)
def test_a_fetch_tells_what_it_brought(
    ours: Settings, monkeypatch: pytest.MonkeyPatch, report: FetchReport, name: str, message: str
) -> None:
    monkeypatch.setattr(night, "fetch", lambda *given, **options: report)
    monkeypatch.setattr(flows, "AsTasks", lambda origin: night.InThisProcess())
    monkeypatch.setattr(flows, "publish_artifacts", lambda settings, result: None)
    state = flows.run_flow(ours.root, Asked("live", last="fetch"))
    assert (state.name, message in (state.message or "")) == (name, True)
    assert (run_record.standing_alarm(ours) is not None) is (name == "Failed")


class Waited:
    """Stands in for the future of the task that receives deliveries."""

    def __init__(self) -> None:
        self.state, self.is_over = Completed(), False

    def wait(self) -> None:
        self.is_over = True


@pytest.mark.parametrize("ending", [UsageError("no such folder"), KeyboardInterrupt()])
def test_nobody_receives_deliveries_after_the_lock_is_given_back(
    ours: Settings, monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    receiving = Waited()

    def fetching(*given: object, **more: object) -> Any:
        raise ending

    tasks = {"deliver": Namespace(submit=lambda *given: receiving), "fetch": fetching}
    monkeypatch.setattr(flows, "TASKS", tasks)
    with pytest.raises(type(ending)):
        night.go(ours, Asked("live"), run_record.RunResult(RunInfo.start(ours, "live")), flows.AsTasks("live"))
    assert receiving.is_over


def test_what_is_refused_between_the_tasks_is_refused_with_its_artifacts(
    ours: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*given: object) -> Any:
        raise DataRefused("manifest.json cannot be read")

    shown: list[run_record.RunResult] = []
    monkeypatch.setattr(night, "judge_ages", unreadable)
    monkeypatch.setattr(flows, "publish_artifacts", lambda settings, result: shown.append(result))
    state = flows.run_flow(ours.root, Asked("live", first="build"))
    assert (state.name, state.message) == ("Refused", "manifest.json cannot be read")
    assert [result.status for result in shown] == ["refused"]
    assert next(run_record.records(ours))["status"] == "refused"


def test_another_writer_is_no_fault_but_a_data_folder_that_is_none_is(ours: Settings) -> None:
    with writer_lock(ours.root):
        state = flows.run_flow(ours.root, Asked("live", first="build"))
    assert state.is_cancelled()
    assert "another run is writing here" in (state.message or "")
    in_the_way = ours.root / "file"
    in_the_way.write_text("", encoding="utf-8")
    state = flows.run_flow(in_the_way, Asked("live", first="build"))
    assert state.is_failed()
    assert f"{in_the_way} is no folder" in (state.message or "")


class Terminated(BaseException):
    """Stands in for Prefect's TerminationSignal, which a test process should not be sent."""


@pytest.mark.parametrize(
    ("stop", "wished", "deployed", "status"),
    [
        (Terminated(), False, True, "crashed"),
        (Terminated(), True, True, "cancelled"),
        (Terminated(), True, False, "crashed"),  # only a deployment's runner sends the signal of who cancels
        (KeyboardInterrupt(), False, False, "cancelled"),
    ],
)
def test_a_run_that_is_stopped_has_crashed_unless_somebody_wished_it(
    ours: Settings, monkeypatch: pytest.MonkeyPatch, stop: BaseException, wished: bool, deployed: bool, status: str
) -> None:
    monkeypatch.setattr("flows.orchestration.server.is_being_cancelled", lambda run: wished)
    monkeypatch.setattr("flows.orchestration.flows.at_night", lambda: deployed)
    monkeypatch.setattr("signal.signal", lambda *given: None)
    result = run_record.RunResult(RunInfo.start(ours, "live"), flow_run_id="f1")
    with (
        pytest.raises(type(stop)),
        writer_lock(ours.root),
        alarm_when_stopped(ours, "f1"),
        run_record.recorded(ours, result),
    ):
        raise stop
    assert next(run_record.records(ours))["status"] == status
    assert (run_record.standing_alarm(ours) is not None) is (status == "crashed")


@pytest.mark.parametrize(
    ("answers", "wished"),
    [
        ([Cancelling()], True),
        ([httpx.ReadTimeout("busy"), Cancelling()], True),
        ([httpx.ReadTimeout("busy")] * 3, False),
        ([httpx.ConnectError("nobody there"), Cancelling()], False),
        ([Running()], False),
    ],
)
def test_a_busy_server_is_asked_again_who_wished_the_end(
    monkeypatch: pytest.MonkeyPatch, answers: list[State[Any] | Exception], wished: bool
) -> None:
    given = iter(answers)

    class Client:
        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read_flow_run(self, flow_run_id: UUID) -> SimpleNamespace:
            answer = next(given)
            if isinstance(answer, Exception):
                raise answer
            return SimpleNamespace(state=answer)

    monkeypatch.setattr(server, "get_client", lambda **options: Client())
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert server.is_being_cancelled(str(uuid4())) is wished


@pytest.mark.long
def test_sigterm_in_a_query_is_no_fault_of_the_query() -> None:
    """DuckDB alone would say RuntimeError, and the run would count as failed."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(number)

    before = signal.signal(signal.SIGTERM, stop)
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGTERM])
    timer.start()
    try:
        with Warehouse.open() as warehouse, pytest.raises(Interrupted):
            warehouse.rows("SELECT count(*) FROM range(10_000_000) a, range(10_000) b WHERE a.range % 7 = b.range % 11")
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("deployed", "becomes"), [("d1", TerminationSignal), (None, KeyboardInterrupt)])
def test_a_query_that_is_interrupted_is_what_the_signal_meant(
    monkeypatch: pytest.MonkeyPatch, deployed: str | None, becomes: type[BaseException]
) -> None:
    def interrupted() -> None:
        raise Interrupted("Query interrupted")

    monkeypatch.setattr("flows.orchestration.flows.deployment", Namespace(id=deployed))
    with pytest.raises(becomes):
        flows.perform(interrupted, [])

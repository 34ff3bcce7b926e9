"""The one table of endings, and every command's stretch of the one night."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli.health import status_facts
from flows.cli.main import app
from flows.orchestration import flows as deployment
from flows.orchestration.flows import run_flow, state_of
from flows.run import record as run_record
from flows.run.night import ORDER, Asked
from flows.run.processes import Terminated, uninterrupted
from flows.run.record import ENDINGS, RunInfo, RunResult, error_of, status_of
from flows.settings import ROOT, Settings
from flows.store import baselines, builds
from flows.store.snapshots import replace_synced
from tests.fixtures.world import Published, run_from
from transforms.errors import DataRefused, NothingNew, UsageError

pytestmark = pytest.mark.usefixtures("in_a_hurry")


TOMORROW = datetime.now(UTC) + timedelta(days=1)


def command(*words: str | Path) -> Result:
    ended = CliRunner().invoke(app, [str(word) for word in words])
    ended.exit_code = getattr(ended.exception, "exit_code", ended.exit_code)
    return ended


@pytest.mark.parametrize("error", [NothingNew("x"), DataRefused("x"), UsageError("x")])
def test_an_error_names_an_ending_with_its_own_exit_code(error: Any) -> None:
    told = error_of(status_of(error), "y")
    assert (type(told), told and told.exit_code, str(told)) == (type(error), error.exit_code, "y")


@pytest.mark.parametrize("status", ENDINGS)
def test_every_ending_is_told_alike_to_prefect_command_and_alarm(status: str, tmp_path: Path) -> None:
    ours = Settings(data=tmp_path)
    ending = ENDINGS[status]
    state = state_of(RunResult(RunInfo.start(ours, "live"), status=status, message="why"))
    assert (state.type.name, state.name) == (ending.prefect_type, ending.prefect_name)
    assert state.is_completed() == (ending.exit_code in (0, 3))
    assert (error_of(status, "why") is None) == (ending.exit_code == 0)
    run_record.raise_alarm(ours, "r0", "failed", "before")
    run_record.settle_alarm(ours, "r1", status, "why")
    standing = run_record.standing_alarm(ours)
    assert {"clear": None, "raise": "r1", "leave": "r0"}[ending.alarm] == (standing and standing["run_id"])


@pytest.fixture
def stoppable() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise Terminated(number)

    before = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("writing", "status"), [(0, "crashed"), (1, "published")])
@pytest.mark.usefixtures("stoppable")
def test_a_signal_while_the_ledger_is_written_leaves_no_run_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writing: int, status: str, after: bool
) -> None:
    times = itertools.count()

    def written(path: Path, text: str) -> None:
        steps = [lambda: replace_synced(path, text), terminate if next(times) == writing else lambda: None]
        for step in steps if after else steps[::-1]:
            step()

    monkeypatch.setattr(run_record, "replace_synced", written)
    ours = Settings(data=tmp_path)
    result = RunResult(RunInfo.start(ours, "live"), is_watched=True)
    with pytest.raises(Terminated), run_record.recorded(ours, result):
        result.status = "published"
    assert next(run_record.records(ours))["status"] == status
    assert (run_record.standing_alarm(ours) is None) == (status == "published")


@pytest.mark.usefixtures("stoppable")
def test_what_must_be_done_whole_is_and_then_the_signal_ends_it() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            terminate()
            done.append("whole")

    with pytest.raises(Terminated):
        work()
    assert done == ["whole"]
    with pytest.raises(Terminated):
        terminate()


CATCHES_ALL = """
import logging, os, signal
from flows.run.processes import raise_on_signals, stopped
raise_on_signals()
class Tidy:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        [None for _ in range(1000)]
try:
    os.kill(os.getpid(), signal.SIGTERM)
    [None for _ in range(1000)]
except BaseException:
    logging.getLogger("library").error("closing failed", exc_info=True)
Tidy()
print(stopped())
"""


def test_a_library_that_catches_a_signal_tells_nothing_of_it() -> None:
    ended = subprocess.run([sys.executable, "-c", CATCHES_ALL], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (ended.stdout, ended.stderr) == ("stopped before its end (SIGTERM)\n", "")


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        (Asked("sample"), ORDER),
        (Asked("sample", first="build"), ("build", "validate", "publish")),
        (Asked("sample", first="build", last="validate"), ("build", "validate")),
        (Asked("sample", first="publish"), ("publish",)),
        (Asked("sample", last="fetch"), ("fetch",)),
    ],
)
def test_every_command_goes_a_stretch_of_the_night(asked: Asked, steps: tuple[str, ...]) -> None:
    assert tuple(step for step in ORDER if asked.covers(step)) == steps


def newest(ours: Published) -> dict[str, Any]:
    return next(run_record.records(ours.settings))


@pytest.mark.long
def test_validate_and_publish_are_the_rest_of_the_night(own_data: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a freeze with few builds kept: report, ledger and the baseline's own build stand."""
    monkeypatch.setenv("KOMMUNEKORT_KEEP_BUILDS", "1")
    data = own_data.settings.root
    frozen = baselines.freeze(own_data.settings, "nulpunkt").manifest["run_id"]
    assert command("validate", "--data", data).exit_code == 0
    waiting = newest(own_data)
    assert waiting["status"] == "validated"
    ended = command("publish", "--json", "--data", data)
    assert ended.exit_code == 0, ended.exception
    run_id = own_data.release["run_id"]
    assert (run_id, newest(own_data)["status"]) == (waiting["run_id"], "published")
    assert newest(own_data)["rules"] == waiting["rules"], "what was validated is what is told of"
    assert frozen in {build.run_id for build in builds.builds(own_data.settings)}, "the baseline's build stays"
    assert (data / "report" / "index.html").read_text(encoding="utf-8") == f"SYNTHETIC {run_id}\n"
    assert (data / "exports").resolve().name == f"exports-{run_id}"
    assert not (data / "validated.json").exists()
    assert [fault for fault in status_facts(own_data.settings)["faults"] if "alarm" in fault] == []


@pytest.mark.long
def test_a_publication_that_fails_is_in_the_ledger_and_raises_the_alarm(
    own_data: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = own_data.settings.root
    assert command("validate", "--data", data).exit_code == 0
    before = own_data.state()
    with monkeypatch.context() as patch:
        patch.setattr(builds, "export_parquet", lambda *given: os.fsync(-1))
        assert command("publish", "--data", data).exit_code == 1
    assert (newest(own_data)["status"], own_data.state()) == ("failed", before)
    assert run_record.standing_alarm(own_data.settings) is not None
    assert command("publish", "--data", data).exit_code == 0, "the candidate still waits"
    assert run_record.standing_alarm(own_data.settings) is None


DOORS = ("run --plain --force", "build", "deployment")
DAYS = ("", f"--as-of={TOMORROW:%Y-%m-%d}")


@pytest.mark.long
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("as_of", DAYS)
def test_the_alarm_tells_of_nights_by_whatever_door(own_data: Published, door: str, as_of: str) -> None:
    """A good night takes it back; who builds as of a day sees how that ends."""
    ours = own_data.settings
    run_record.raise_alarm(ours, "r1", "failed", "something earlier")
    if door == "deployment":
        moment = TOMORROW if as_of else None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deployment, "publish_artifacts", lambda settings, result: None)
            patch.setattr(deployment, "AsTasks", lambda origin: None)
            assert run_flow(ours.root, Asked(str(own_data.origin), first="build", as_of=moment)).is_completed()
    else:
        words = [*door.split(), "--from", str(own_data.origin), "--data", str(ours.root), *([as_of] if as_of else [])]
        assert command(*words).exit_code == 0
    assert (run_record.standing_alarm(ours) is not None) is bool(as_of)


def test_fetch_is_in_the_ledger_and_confirms_nothing(own_data: Published) -> None:
    ours = own_data.settings
    good = run_record.last_good(ours)
    run_record.raise_alarm(ours, "r1", "failed", "something earlier")
    assert command("fetch", "--from", own_data.origin, "--data", ours.root).exit_code == 3
    assert newest(own_data)["status"] == "unconfirmed"
    assert run_record.last_good(ours) == good
    assert run_record.standing_alarm(ours) is not None
    with pytest.raises(NothingNew):
        run_from(ours, own_data.origin)
    assert run_record.standing_alarm(ours) is None

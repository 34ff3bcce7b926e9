"""Bad nights under a real Prefect server: cancelled, killed, the server gone; and the run from a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.run import record as run_record
from flows.settings import Settings
from tests.flows.prefect_help import ROOT, Server, at_work, records, running_server, serving, wait_for

pytestmark = [pytest.mark.flow, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("prefect")) as running:
        yield running


def good_run(server: Server, data: Path) -> None:
    """Trigger nightly and see it publish, with no alarm left."""
    run = server.ended(server.trigger("nightly/nightly", "-p", "force=true"))
    assert run["state"]["name"] == "Completed", run["state"]["message"]
    assert records(data)[-1]["status"] == "published"
    assert not (data / "ALARM.json").exists()


def test_triggered_by_hand(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(server, few_extracts, data):
        told = server.prefect("deployment", "run", "nightly/nightly", "--watch")
        assert "Completed" in told
        (record,) = records(data)
        assert record["status"] == "published"
        assert set(server.artifacts(record["flow_run_id"])) == {"nightly-summary", "validations"}
        nothing = server.ended(server.trigger("fetch/fetch"))
        assert nothing["state"]["name"] == "NothingNew"
        again = server.ended(server.trigger("nightly/nightly"))
        assert again["state"]["name"] == "NothingNew"
        assert "nothing new since build" in again["state"]["message"]
        early = server.ended(server.trigger("build/build", "-p", 'as_of="2016-12-31"'))
        assert early["state"]["name"] == "Failed"
        assert "no snapshot" in early["state"]["message"]
        assert not (data / "ALARM.json").exists(), "what is built as of a day says nothing of tonight"
        built = server.ended(server.trigger("build/build"))
        assert built["state"]["name"] == "Completed"
        assert not (data / "ALARM.json").exists()
    assert server.outside() == []


def test_a_second_run_is_cancelled_and_another_flow_waits(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(server, few_extracts, data):
        ours = server.trigger("nightly/nightly")
        process = at_work(data)["process"]["pid"]
        os.kill(process, signal.SIGSTOP)  # else it may be done before the next one comes
        try:
            late = server.trigger("nightly/nightly")
            assert server.ended(late)["state"]["type"] == "CANCELLED"
            waiting = server.trigger("fetch/fetch")
        finally:
            os.kill(process, signal.SIGCONT)
        assert server.ended(ours)["state"]["name"] == "Completed"
        # The limit is per deployment: a fetch waits until serve has its hands free.
        assert server.ended(waiting)["state"]["name"] == "NothingNew"
    published = [record for record in records(data) if record["status"] == "published"]
    assert len(published) == 1


def test_cancelled_midway(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(server, few_extracts, data):
        run = server.trigger("nightly/nightly")
        at_work(data)
        server.prefect("flow-run", "cancel", run)
        assert server.ended(run)["state"]["type"] == "CANCELLED"
        wait_for(lambda: records(data)[-1]["status"] == "cancelled", 30, f"the ledger says so: {records(data)[-1]}")
        assert not (data / "kommunekort.duckdb").exists()
        good_run(server, data)


def test_the_run_is_killed(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(server, few_extracts, data):
        run = server.trigger("nightly/nightly")
        os.kill(at_work(data)["process"]["pid"], signal.SIGKILL)
        assert server.ended(run)["state"]["type"] == "CRASHED"
        wait_for(lambda: records(data)[-1]["status"] == "crashed", 30, "the ledger says so")
        wait_for((data / "ALARM.json").exists, 30, "the alarm is raised")
        good_run(server, data)


def test_the_machine_goes_down(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    """Kill serve and the run it started: Prefect alone would call the run Running for ever and cancel all others."""
    data = tmp_path / "data"
    with serving(server, few_extracts, data) as process:
        run = server.trigger("nightly/nightly")
        pid = at_work(data)["process"]["pid"]
        process.kill()
        os.kill(pid, signal.SIGKILL)
        process.wait()
    lost = Settings(data=data)
    wait_for(lambda: run_record.is_gone(records(data)[-1]["process"]), 10, "the run has died")
    status = kommunekort(server, "status", "--data", str(data), "--json")
    assert status.returncode == 2
    faults = " ".join(json.loads(status.stdout)["faults"])
    assert "ended without a word" in faults
    assert "`kommunekort serve` was killed" in faults
    with serving(server, few_extracts, data):
        assert server.ended(run)["state"]["type"] == "CRASHED"
        assert [record["status"] for record in run_record.records(lost)] == ["crashed"]
        assert (data / "ALARM.json").exists()
        good_run(server, data)


def test_the_server_restarts_midway(few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(tmp_path / "prefect") as server, serving(server, few_extracts, data):
        server.trigger("nightly/nightly")
        at_work(data)
        server.stop()
        server.start()
        wait_for(lambda: records(data)[-1]["status"] == "published", 120, "the run publishes all the same")
        wait_for(lambda: not at_work_now(data), 60, "it ends")
        good_run(server, data)


def at_work_now(data: Path) -> bool:
    return any(record["status"] == "running" for record in records(data))


def kommunekort(server: Server, *arguments: str, own_server: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command at a terminal, with the standing server or (PREFECT_API_URL unset) one of its own."""
    env = server.env
    if own_server:
        env = {key: value for key, value in env.items() if not key.startswith(("PREFECT_", "DO_NOT"))}
        env["PYTHONPATH"] = str(server.folder / "grumbling")
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *arguments],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


GRUMBLE = """
import logging, pathlib, sys
if "uvicorn" in sys.orig_argv:
    from uvicorn.server import Server
    ended = Server.shutdown
    async def shutdown(*arguments, **named):
        pathlib.Path(__file__).with_name("grumbled").touch()
        log = logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool")
        log.error("Exception during reset or similar", exc_info=RuntimeError())
        await ended(*arguments, **named)
    Server.shutdown = shutdown
"""
"""What a server that is ended in the middle of a request may tell."""


@pytest.mark.parametrize("own_server", [True, False], ids=["own-server", "standing-server"])
def test_from_a_terminal(server: Server, few_extracts: Path, tmp_path: Path, own_server: bool) -> None:
    data = tmp_path / "data"
    grumbling = server.folder / "grumbling"
    grumbling.mkdir(exist_ok=True)
    (grumbling / "sitecustomize.py").write_text(GRUMBLE, encoding="utf-8")
    flags = ("--data", str(data), "--from", str(few_extracts))
    done = kommunekort(server, "run", *flags, own_server=own_server)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SYNTHETIC DATA" in done.stdout
    again = kommunekort(server, "run", *flags, own_server=own_server)
    assert (again.returncode, again.stderr) == (3, "")
    assert again.stdout.splitlines()[-1].startswith("kommunekort: nothing new since build")
    absent = kommunekort(server, "run", "--data", str(data), "--from", str(tmp_path / "nowhere"), own_server=own_server)
    assert absent.returncode == 1
    (line,) = absent.stderr.splitlines()
    assert line == (
        f"kommunekort: {tmp_path / 'nowhere'}: no such folder; give the folder that holds the downloaded files"
    )
    assert (data / "ALARM.json").exists()
    assert (data / ".prefect").is_dir() is own_server
    assert (grumbling / "grumbled").exists() or not own_server
    assert server.outside() == []


def test_a_refusal_at_a_terminal_is_one_sentence(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in few_extracts.iterdir():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        (broken / file.name).write_text("".join(lines[:20]), encoding="utf-8")
    flags = ("run", "--data", str(tmp_path / "data"), "--from", str(broken))
    under_prefect = kommunekort(server, *flags)
    plain = kommunekort(server, "run", "--plain", "--data", str(tmp_path / "plain"), "--from", str(broken))
    assert under_prefect.returncode == plain.returncode == 2
    (line,) = under_prefect.stderr.splitlines()
    assert line.startswith("kommunekort: no source is usable ")
    assert line == plain.stderr.strip()
    assert "Traceback" not in under_prefect.stdout + under_prefect.stderr

"""What earlier nights left in Prefect is put in order: missed, lost, stopped and colliding runs, on a real server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.run import record as run_record
from flows.store.builds import writer_lock
from tests.flows.prefect_help import (
    Server,
    at_work,
    end_group,
    in_half_a_day,
    records,
    running_server,
    serving,
    wait_for,
)

pytestmark = [pytest.mark.flow, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("prefect")) as running:
        yield running


def missed(server: Server, nights: int, parameters: dict[str, Any] | None = None) -> list[str]:
    """Leave overdue runs of nightly behind, as a server does while nobody serves; return their ids, oldest first."""
    deployment = httpx.get(f"{server.api}/deployments/name/nightly/nightly", timeout=30).json()["id"]
    found = []
    for night in range(nights, 0, -1):
        due = (datetime.now(UTC) - timedelta(days=night)).isoformat()
        state = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": due}}
        body = {"state": state, "parameters": parameters or {}}
        found.append(server.post(f"deployments/{deployment}/create_flow_run", body)["id"])
    return found


def names(server: Server, runs: list[str]) -> list[str]:
    return [server.ended(run)["state"]["name"] for run in runs]


def register_for_pool(server: Server, origin: Path, data: Path) -> None:
    server.prefect("work-pool", "create", "--type", "process", "--overwrite", "kommunekort")
    told = server.kommunekort(
        "serve", "--from", str(origin), "--data", str(data), "--pool", "kommunekort", "--cron", in_half_a_day()
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "registered for pool kommunekort: nightly/nightly, fetch/fetch, build/build\n"


def test_five_missed_nights_are_one_run(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(server, few_extracts, data):
        pass
    nights = missed(server, 5)
    (asked_for,) = missed(server, 1, {"as_of": "2016-12-31T00:00:00"})
    with serving(server, few_extracts, data):
        assert names(server, nights) == ["Skipped"] * 4 + ["Completed"]
        assert names(server, [asked_for]) == ["Failed"]  # nothing was known in 2016; but it did run
    assert sorted(record["status"] for record in records(data)) == ["failed", "published"]


def test_a_worker_that_was_away_runs_one_night(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    """Nobody registers anew when a worker comes back: the first run sees to the others."""
    data = tmp_path / "data"
    register_for_pool(server, few_extracts, data)
    nights = missed(server, 4)
    worker = server.spawn(["-m", "prefect", "worker", "start", "--pool", "kommunekort", "--limit", "1"], "worker.log")
    try:
        ended = names(server, nights)
    finally:
        end_group(worker)
    assert sorted(ended) == ["Completed", "Skipped", "Skipped", "Skipped"]
    assert [record["status"] for record in records(data)] == ["published"]


def test_what_a_person_cancels_in_a_pool_stays_cancelled(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    register_for_pool(server, few_extracts, data)
    worker = server.spawn(["-m", "prefect", "worker", "start", "--pool", "kommunekort", "--limit", "1"], "worker.log")
    try:
        run = server.trigger("nightly/nightly")
        ours = at_work(data)["process"]
        os.kill(ours["pid"], signal.SIGSTOP)  # else it may be done before the word comes
        server.prefect("flow-run", "cancel", run)
        os.kill(ours["pid"], signal.SIGCONT)
        assert server.ended(run)["state"]["type"] == "CANCELLED"
        wait_for(lambda: run_record.is_gone(ours), 60, "the run ends")
    finally:
        end_group(worker)
    assert [record["status"] for record in records(data)] == ["cancelled"]
    assert not (data / "ALARM.json").exists()


def test_the_schedule_of_a_pool_is_known(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    register_for_pool(server, few_extracts, data)
    status = server.kommunekort("status", "--data", str(data), "--json")
    schedule = json.loads(status.stdout)["schedule"]
    assert schedule["kept_by"] == "the workers of pool kommunekort"
    assert schedule["is_served"]
    assert schedule["next_run"]


def test_a_pool_that_is_missing_is_named(server: Server, tmp_path: Path) -> None:
    told = server.kommunekort("serve", "--data", str(tmp_path / "data"), "--pool", "nowhere")
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert line.startswith("kommunekort: --pool nowhere: ")
    assert "prefect work-pool create --type process nowhere" in line
    assert not (tmp_path / "data" / "serve.json").exists()


def test_a_stopped_run_raises_the_alarm(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(server, few_extracts, data):
        for _ in range(3):  # a library may swallow what the signal's handler raises: such a run goes on and ends well
            run = server.trigger("nightly/nightly", "-p", "force=true")
            os.kill(at_work(data)["process"]["pid"], signal.SIGTERM)
            state = server.ended(run)["state"]["type"]
            if state != "COMPLETED":
                break
        assert state == "CRASHED"
        assert records(data)[-1]["status"] == "crashed"
        assert "stopped before its end" in json.loads((data / "ALARM.json").read_text())["message"]


def test_a_restarted_service_raises_the_alarm(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    """SIGTERM reaches serve and its run, as systemctl restart and a reboot send it; serve then kills the run."""
    data = tmp_path / "data"
    with serving(server, few_extracts, data) as process:
        run = server.trigger("nightly/nightly")
        ours = at_work(data)["process"]
        for pid in (ours["pid"], process.pid):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: run_record.is_gone(ours), 60, "the run ends")
    with serving(server, few_extracts, data):
        assert server.ended(run, 10)["state"]["type"] == "CRASHED"
        assert records(data)[-1]["status"] == "crashed"
        assert (data / "ALARM.json").exists()


@pytest.mark.parametrize("deployment", ["nightly/nightly", "fetch/fetch"])
def test_a_run_that_meets_another_writer_is_cancelled_without_alarm(
    server: Server, few_extracts: Path, tmp_path: Path, deployment: str
) -> None:
    data = tmp_path / "data"
    with serving(server, few_extracts, data), writer_lock(data):
        run = server.ended(server.trigger(deployment))
    assert run["state"]["type"] == "CANCELLED"
    assert "another run is writing here" in run["state"]["message"]
    assert not (data / "ALARM.json").exists()
    assert records(data) == []


def test_at_a_terminal_another_writer_is_one_sentence_and_no_alarm(
    server: Server, few_extracts: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with writer_lock(data):
        told = server.kommunekort("run", "--data", str(data), "--from", str(few_extracts))
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert "another run is writing here" in line
    assert not (data / "ALARM.json").exists()


def test_a_run_keeps_its_lease_when_the_server_restarts(few_extracts: Path, tmp_path: Path) -> None:
    """Were it in the server's memory, the run would be stopped at its next renewal, with 410."""
    data = tmp_path / "data"
    with running_server(tmp_path / "prefect") as server, serving(server, few_extracts, data):
        run = server.trigger("nightly/nightly")
        process = at_work(data)["process"]["pid"]
        os.kill(process, signal.SIGSTOP)
        try:
            state = httpx.get(f"{server.api}/flow_runs/{run}", timeout=30).json()["state"]
            lease = state["state_details"]["deployment_concurrency_lease_id"]
            server.stop()
            server.start()
            renewed = httpx.post(f"{server.api}/v2/concurrency_limits/leases/{lease}/renew", json={}, timeout=30)
            assert renewed.status_code == 204, renewed.text
        finally:
            os.kill(process, signal.SIGCONT)
        assert server.ended(run)["state"]["name"] == "Completed"


def test_a_lost_run_is_closed_by_the_next(server: Server, few_extracts: Path, tmp_path: Path) -> None:
    """A work pool has no serve that would close it when it starts."""
    data = tmp_path / "data"
    register_for_pool(server, few_extracts, data)
    worker = server.spawn(["-m", "prefect", "worker", "start", "--pool", "kommunekort", "--limit", "1"], "worker.log")
    lost = server.trigger("nightly/nightly")
    pid = at_work(data)["process"]["pid"]
    os.killpg(worker.pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    worker.wait()
    told = server.kommunekort("run", "--data", str(data), "--from", str(few_extracts))
    assert told.returncode == 0, told.stderr
    assert server.ended(lost, 10)["state"]["type"] == "CRASHED"
    assert [record["status"] for record in records(data)] == ["crashed", "published"]

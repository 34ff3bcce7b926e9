"""What is registered with Prefect fits the flows, and what can go wrong before that is told in one sentence."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prefect.server.schemas.schedules import CronSchedule

from flows.cli.health import next_run, schedule_facts
from flows.orchestration.serve import CRON, deployments, write_note
from flows.settings import Settings
from flows.store.builds import prepare_folder
from transforms.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ours(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def flow_of(deployment: Any) -> Any:
    module, _, name = deployment.entrypoint.rpartition(".")
    return getattr(import_module(module), name)


def test_every_deployment_calls_its_flow_with_what_the_flow_takes(ours: Settings) -> None:
    made = deployments(ours, "live", CRON)
    assert [deployment.full_name for deployment in made] == ["nightly/nightly", "fetch/fetch", "build/build"]
    for deployment in made:
        flow = flow_of(deployment)
        inspect.signature(flow.fn).bind(**deployment.parameters)
        assert flow.validate_parameters(deployment.parameters)
        assert deployment.parameters == {"origin": "live", "data": str(ours.root)}
        for schedule in deployment.schedules or []:
            inspect.signature(flow.fn).bind(**{**deployment.parameters, **(schedule.parameters or {})})


def test_nightly_runs_at_two_in_danish_time_and_never_twice_at_once(ours: Settings) -> None:
    made = deployments(ours, "live", CRON)
    (schedule,) = made[0].schedules or []
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "Europe/Copenhagen")
    assert schedule.active in (True, None)
    assert [deployment.schedules or [] for deployment in made[1:]] == [[], []]
    for deployment in made:
        assert deployment.concurrency_limit == 1
        assert deployment.concurrency_options.collision_strategy.value == "CANCEL_NEW"


def test_parameters_are_typed_and_described_for_the_form_in_the_browser(ours: Settings) -> None:
    schema = deployments(ours, "sample", CRON)[0]._parameter_openapi_schema.model_dump()["properties"]
    assert set(schema) == {"origin", "data", "as_of", "only", "force"}
    assert schema["force"]["type"] == "boolean"
    assert {"format": "date-time", "type": "string"} in schema["as_of"]["anyOf"]
    assert all(parameter["description"] for parameter in schema.values())


@pytest.mark.parametrize("cron", ["every night", "61 2 * * *", ""])
def test_a_cron_line_that_is_none(ours: Settings, cron: str) -> None:
    with pytest.raises(UsageError, match="--cron"):
        deployments(ours, "live", cron)


def test_the_note_of_a_pool_says_who_keeps_the_schedule(ours: Settings) -> None:
    prepare_folder(ours.root)
    write_note(ours, CRON, kept_by="the workers of pool p")
    schedule = schedule_facts(ours, datetime(2026, 11, 22, 12, tzinfo=UTC))
    assert schedule is not None
    assert (schedule["kept_by"], schedule["is_served"]) == ("the workers of pool p", True)
    assert schedule["next_run"] == "2026-11-23T02:00:00+01:00"


def kommunekort(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "url", "told"),
    [
        ("serve", None, "serve needs a standing Prefect server"),
        ("serve", "http://127.0.0.1:9/api", "no Prefect server answers there"),
        ("run", "http://127.0.0.1:9/api", "no Prefect server answers there"),
        ("run", "127.0.0.1:9", "no Prefect server answers there"),
    ],
)
def test_without_a_server_one_sentence_is_told(ours: Settings, command: str, url: str | None, told: str) -> None:
    ended = kommunekort(command, "--data", str(ours.root), **({"PREFECT_API_URL": url} if url else {}))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert told in line
    assert not (ours.root / "runs").exists()


@pytest.mark.parametrize("cron", ["0 2 * * *", "30 2 * * *", "15 1 * * *", "0 3 * * *", "0 2 * * 0"])
@pytest.mark.parametrize("evening", ["2027-03-27T20:00:01+00:00", "2027-10-30T20:00:01+00:00"])
def test_status_tells_what_prefect_will_do_on_the_nights_of_the_clock_change(cron: str, evening: str) -> None:
    """02:00 does not exist in spring and exists twice in autumn."""
    schedule = CronSchedule(cron=cron, timezone="Europe/Copenhagen")
    with ThreadPoolExecutor(1) as thread:  # the browser of other tests keeps a loop running in this one
        for minutes in range(0, 12 * 60, 25):
            moment = datetime.fromisoformat(evening) + timedelta(minutes=minutes)
            (due,) = thread.submit(asyncio.run, schedule.get_dates(1, moment)).result()
            told = next_run(cron, "Europe/Copenhagen", moment)
            assert told is not None
            assert told.astimezone(UTC) == due.astimezone(UTC), (cron, moment)

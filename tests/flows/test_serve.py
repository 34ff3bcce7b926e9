"""What is registered with Prefect fits the flows, and what can go wrong before that is told in one sentence."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flows import alarms, ledger, nightly, pipeline
from flows.build import RunInfo
from flows.fetch import FetchReport
from flows.serve import CRON, deployments
from flows.settings import Settings
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


def test_only_fetching_is_tried_again() -> None:
    retries = {
        task.name: task.retries
        for task in (nightly.fetch_task, nightly.build_task, nightly.validate_task, nightly.publish_task)
    }
    assert retries == {"fetch": 2, "build": 0, "validate": 0, "publish": 0}


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
    monkeypatch.setattr(nightly, "fetch", lambda *given: silent)
    monkeypatch.setattr(nightly, "deployment", Attempt(id=deployment))
    monkeypatch.setattr(nightly, "task_run", Attempt(run_count=attempt))
    if again:
        with pytest.raises(ConnectionError, match="no source answered"):
            nightly.fetch_task.fn(ours, "live", [])
    else:
        assert nightly.fetch_task.fn(ours, "live", []) is silent
    assert nightly.at_night() is (deployment is not None)


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
        ("published", "FAILED", "published", False),
        (None, "FAILED", None, True),
    ],
)
def test_the_hook_enters_what_the_flow_could_not(
    ours: Settings, before: str | None, kind: str, after: str | None, alarmed: bool
) -> None:
    if before is not None:
        result = pipeline.RunResult(RunInfo.start(ours, "live"), status=before, flow_run_id="f1")
        pipeline.record(ours, result)
    run: Any = Ended("f1", "nightly-2026-11-22", {"data": str(ours.root)})
    run.type = type("Kind", (), {"name": kind})
    nightly.after_bad_end(nightly.nightly, run, run)
    record = ledger.of_flow_run(ours, "f1")
    assert (record["status"] if record else None) == after
    assert (alarms.standing(ours) is not None) is alarmed


def kommunekort(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


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

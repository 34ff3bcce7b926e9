"""The Prefect flows: names, retries and artifacts around the plain functions of `flows.pipeline`.

An expected refusal ends a task and the flow in the state Failed with one sentence, never in a traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import pipeline
from flows.build import Candidate, RunInfo
from flows.fetch import FetchReport, fetch
from flows.lock import writer_lock
from flows.settings import Settings
from flows.summary import markdown_summary
from transforms.catalogue import load_catalogue
from transforms.errors import KommunekortError, NothingNew


def told(step: Callable[[], Any]) -> Any:
    """Return what `step` returns, or a Prefect state with its one sentence when it ends as foreseen."""
    try:
        return step()
    except NothingNew as nothing:
        return Completed(name="NothingNew", message=str(nothing))
    except KommunekortError as error:
        return Failed(name="Refused" if error.exit_code == 2 else "Failed", message=str(error))


@task(name="fetch", retries=2, retry_delay_seconds=[10, 60], retry_jitter_factor=0.3, cache_policy=NO_CACHE)
def fetch_task(settings: Settings, origin: str, only: list[str]) -> FetchReport:
    """Bring the newest bytes in. Retried as a whole: each request has its own retries inside the connector."""
    return cast(FetchReport, told(lambda: fetch(settings, load_catalogue(), origin, only, pipeline.silent)))


@task(name="build", cache_policy=NO_CACHE)
def build_task(settings: Settings, run: RunInfo, force: bool) -> Candidate:
    """Build the candidate database. Deterministic, hence never retried."""
    return cast(Candidate, told(lambda: pipeline.build_step(settings, load_catalogue(), run, force=force)))


@task(name="validate", cache_policy=NO_CACHE)
def validate_task(settings: Settings, candidate: Candidate, run: RunInfo) -> None:
    """Hold the candidate against every rule."""
    return cast(None, told(lambda: pipeline.validate_step(settings, candidate, run)))


@task(name="publish", cache_policy=NO_CACHE)
def publish_task(settings: Settings, candidate: Candidate, run: RunInfo) -> str:
    """Flip analysts over to the candidate."""
    return cast(str, told(lambda: str(pipeline.publish_step(settings, candidate, run).path)))


def publish_artifacts(result: pipeline.RunResult) -> None:
    """Show the verdict, the counts and the broken rules in Prefect's UI; the ledger file holds the same."""
    create_markdown_artifact(markdown_summary(result), key="nightly-summary", description="Verdict, ages and counts")
    rows: list[dict[str, Any]] = [rule for rule in result.rules if not rule["success"]]
    create_table_artifact(rows or [{"rule_id": "every rule holds"}], key="validations", description="Broken rules")


class _Ended(Exception):
    """A task has ended the run early; carries its state."""

    def __init__(self, state: State[Any]):
        self.state = state


def _value(state: State[Any]) -> Any:
    """Return a task's value, or end the run with the task's own sentence."""
    if not state.is_completed() or state.name == "NothingNew":
        raise _Ended(state)
    return state.result()


@flow(name="nightly", flow_run_name="nightly-{origin}", persist_result=False, validate_parameters=True)
def nightly(
    origin: str = "sample",
    data: Path | None = None,
    as_of: datetime | None = None,
    only: list[str] | None = None,
    force: bool = False,
) -> State[Any]:
    """Fetch what is new, build the mapping in a new file, hold it against every rule, and publish it.

    `origin` is `sample`, `live` or a folder of downloaded files; `data` moves everything that is written;
    `as_of` builds from what was known that day; `only` names the sources to fetch; `force` builds even when
    nothing is new. Ends Completed (published), NothingNew, or Failed with the sentence that says why.
    """
    settings = Settings() if data is None else Settings(data=data)
    result = pipeline.RunResult(RunInfo.start(origin, as_of))
    try:
        with writer_lock(settings.root):
            try:
                run_tasks(settings, result, list(only or ()), force)
            finally:
                pipeline.record(settings, result)
    except KommunekortError as error:
        return Failed(message=str(error))
    publish_artifacts(result)
    if result.status == "published":
        return Completed(message=f"published {result.run.run_id}")
    if result.status == "nothing_new":
        return Completed(name="NothingNew", message=result.message)
    return Failed(name="Refused" if result.status == "refused" else "Failed", message=result.message)


def run_tasks(settings: Settings, result: pipeline.RunResult, only: list[str], force: bool) -> None:
    """Run the tasks in order and write into `result` how far they came."""
    run = result.run
    try:
        result.fetched = _value(fetch_task(settings, run.origin, only, return_state=True))
        candidate = _value(build_task(settings, run, force, return_state=True))
        pipeline.describe(result, candidate)
        _value(validate_task(settings, candidate, run, return_state=True))
        result.database = _value(publish_task(settings, candidate, run, return_state=True))
        result.status = "published"
    except _Ended as ended:
        names = {"NothingNew": "nothing_new", "Refused": "refused"}
        result.status = names.get(ended.state.name or "", "failed")
        result.message = ended.state.message or "ended without a word"

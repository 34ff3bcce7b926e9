"""Runs as the Prefect server knows them: the lost ones closed and the overdue ones skipped, so that nothing piles up.

Prefect itself starts every run that was missed, one after the other, and calls a run whose machine went down Running
for ever.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelled, Crashed

from transforms.errors import UsageError

ASKED = 3
TAG = "kommunekort"
LOST = "the process ended without a word"
SHUT_DOWN = "Runner is shutting down."
"""Prefect's own message on the runs that end with their runner: it calls them cancelled, though nobody wished it."""
SKIPPED = "overdue, and a newer run does the same"


def check_pool(pool: str) -> None:
    """Raise UsageError when the server has no such work pool."""
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            raise UsageError(
                f"--pool {pool}: the server has no such work pool; "
                f"make it with `prefect work-pool create --type process {pool}`"
            ) from None


def close_unfinished(data: Path, *, pending: bool) -> list[str]:
    """Close every unfinished run on this data folder; return the ids of those nobody had asked to cancel.

    Only whoever holds the writer lock knows that none of them is at work. `pending` are those nobody has begun yet: a
    work pool's worker may be about to. A run that Prefect cancelled because its runner stopped was not finished either.
    """
    unfinished = [StateType.RUNNING, StateType.CANCELLING, *([StateType.PENDING] if pending else [])]
    with get_client(sync_client=True) as client:
        runs = _runs_on(client, data, {"state": {"type": {"any_": unfinished}}})
        cancelled = _runs_on(client, data, {"state": {"type": {"any_": [StateType.CANCELLED]}}})
        runs += [run for run in cancelled if run.state is not None and run.state.message == SHUT_DOWN]
        for run in runs:
            _close(client, run)
    return [str(run.id) for run in runs if run.state_type != StateType.CANCELLING]


def close(flow_run_ids: Iterable[str]) -> None:
    """Close these runs where this server knows them and believes them unfinished."""
    with get_client(sync_client=True) as client:
        for flow_run_id in flow_run_ids:
            try:
                run = client.read_flow_run(UUID(flow_run_id))
            except ObjectNotFound:
                continue
            if run.state is not None and not run.state.is_final():
                _close(client, run)


def _close(client: SyncPrefectClient, run: FlowRun) -> None:
    wished = run.state_type == StateType.CANCELLING
    client.set_flow_run_state(run.id, Cancelled(message=LOST) if wished else Crashed(message=LOST), force=True)


def is_being_cancelled(flow_run_id: str) -> bool:
    """Tell whether somebody has asked the server to cancel this run; no when the server does not say within seconds.

    A server that is at work with the cancellation may be too busy for the first answer.
    """
    for attempt in range(ASKED):
        try:
            with get_client(sync_client=True, httpx_settings={"timeout": 5.0}) as client:
                state = client.read_flow_run(UUID(flow_run_id)).state
        except httpx.ConnectError:  # there is no server to say so
            return False
        except (httpx.HTTPError, PrefectException):
            time.sleep(attempt)
        else:
            asked = state is not None and (state.is_cancelling() or state.is_cancelled())
            return asked and state is not None and state.message != SHUT_DOWN
    return False


def skip_overdue(data: Path, *, instead: str | None = None) -> None:
    """Cancel the overdue runs of `nightly` on this data folder that a newer one makes needless.

    Of runs with the same parameters the newest is kept, or none when the run `instead` has these parameters and is at
    work. What somebody asked for with parameters of its own stays.
    """
    due = {
        "state": {"type": {"any_": [StateType.SCHEDULED]}},
        "next_scheduled_start_time": {"before_": datetime.now(UTC)},
    }
    with get_client(sync_client=True) as client:
        provided = [client.read_flow_run(UUID(instead)).parameters] if instead else []
        for run in _runs_on(client, data, due, flow="nightly"):
            if run.parameters not in provided:
                provided.append(run.parameters)
            else:
                client.set_flow_run_state(run.id, Cancelled(name="Skipped", message=SKIPPED), force=True)


def _runs_on(client: SyncPrefectClient, data: Path, chosen: dict[str, Any], flow: str | None = None) -> list[FlowRun]:
    """Return the chosen runs of our deployments on one data folder, the last due first."""
    runs = client.read_flow_runs(
        flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}) if flow else None,
        flow_run_filter=FlowRunFilter.model_validate({**chosen, "tags": {"all_": [TAG]}}),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
    )
    return [run for run in runs if run.parameters.get("data") == str(data)]


# Running the flow from a terminal: the server it needs, and Prefect kept from telling what the command tells.


def check_server() -> None:
    """Raise UsageError in one sentence when PREFECT_API_URL names a server that does not answer."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return
    met = ""
    with suppress(httpx.HTTPError, httpx.InvalidURL):
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=5.0)
        if answer.is_success and answer.text.strip() == "true":  # a page of something else may answer as well
            return
        by = answer.headers.get("via") or answer.headers.get("server") or "something else"
        met = f" ({by} answers {answer.status_code} in its place: a proxy? see HTTP_PROXY and NO_PROXY)"
    raise UsageError(
        f"PREFECT_API_URL={url}: no Prefect server answers there{met}; start it with `prefect server start`, "
        "unset the variable, or run with --plain"
    )

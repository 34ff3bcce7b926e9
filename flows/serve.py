"""Deployments and schedule: what Prefect may start here, when, and never twice at once.

`data/serve.json` says who serves, and since when, so that `status` and `doctor` need no Prefect.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from flows import ledger
from flows.lock import writer_lock
from flows.settings import Settings
from flows.snapshots import replace_synced
from transforms.errors import UsageError

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

CRON = "0 2 * * *"
TIMEZONE = "Europe/Copenhagen"
LOST = "the process ended without a word; closed when `kommunekort serve` started again"


def deployments(settings: Settings, origin: str, cron: str) -> list[RunnerDeployment]:
    """Return the deployments `nightly` (scheduled), `fetch` and `build`, each with at most one run at a time.

    A run that is due while another is at work is cancelled: after an outage the late runs do not pile up.
    Raises UsageError when `cron` is no cron line.
    """
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.nightly import build, fetch_only, nightly

    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    common: dict[str, Any] = {
        "parameters": {"origin": origin, "data": str(settings.root)},
        "concurrency_limit": one,
        "tags": ["kommunekort"],
        "entrypoint_type": EntrypointType.MODULE_PATH,
        # Whatever loop the caller runs in, these are made here and now.
        "_sync": True,
    }
    try:
        schedule = Cron(cron, timezone=TIMEZONE)
        made = [
            nightly.to_deployment("nightly", schedule=schedule, **common),
            fetch_only.to_deployment("fetch", **common),
            build.to_deployment("build", **common),
        ]
        return cast("list[RunnerDeployment]", made)
    except ValueError as error:
        raise UsageError(f"--cron {cron!r}: {' '.join(str(error).split())[:200]}") from None


def register(settings: Settings, origin: str, cron: str, pool: str | None) -> list[str]:
    """Register the deployments with the server (for a work pool, if named) and return their names."""
    names = []
    for deployment in deployments(settings, origin, cron):
        deployment.apply(work_pool_name=pool)
        names.append(deployment.full_name)
    return names


def serve(settings: Settings, origin: str, cron: str) -> None:
    """Register the deployments, then watch for their runs and start them here, until told to stop."""
    from prefect import serve as prefect_serve

    wanted = deployments(settings, origin, cron)
    tidy_up(settings)
    note = settings.root / "serve.json"
    told = {"cron": cron, "timezone": TIMEZONE, "started_at": datetime.now(UTC).isoformat()}
    replace_synced(note, json.dumps({**told, "process": ledger.this_process()}, indent=1))
    try:
        prefect_serve(*wanted, pause_on_shutdown=False, limit=1, print_starting_message=False)
    finally:
        note.unlink(missing_ok=True)


def served(settings: Settings) -> dict[str, Any] | None:
    """Return what `serve` noted (cron, timezone, started_at, process), with `is_gone`; None when it is not set up."""
    try:
        note: dict[str, Any] = json.loads((settings.root / "serve.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {**note, "is_gone": ledger.is_gone(note.get("process") or {})}


def tidy_up(settings: Settings) -> list[str]:
    """Close what an earlier, killed `serve` left open, in the ledger and in Prefect; return the names closed.

    An open run in Prefect would hold the one slot of its deployment, and every later run would be cancelled.
    Nothing is touched while another run writes here: it may be the very run.
    """
    ledger.reconcile(settings, alone=False)
    try:
        with writer_lock(settings.root):
            ledger.reconcile(settings, alone=True)
            return _close_in_prefect()
    except UsageError:
        return []


def _close_in_prefect() -> list[str]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterTags
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    unfinished = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    chosen = FlowRunFilter(
        state=FlowRunFilterState.model_validate({"type": {"any_": unfinished}}),
        tags=FlowRunFilterTags(all_=["kommunekort"]),
    )
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=chosen)
        for run in runs:
            client.set_flow_run_state(run.id, Crashed(message=LOST), force=True)
    return [run.name for run in runs]

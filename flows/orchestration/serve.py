"""Deployments and schedule: what Prefect may start here, when, and never twice at once.

`data/serve.json` says who serves, and since when, so that `status` and `doctor` need no Prefect.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from flows.run import record as run_record
from flows.run.processes import end_runs_first
from flows.settings import Settings
from flows.store.builds import is_gone, this_process, writer_lock
from flows.store.snapshots import read_json, replace_synced
from transforms.errors import UsageError
from transforms.periods import TIMEZONE

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment


CRON = "0 2 * * *"


def deployments(settings: Settings, origin: str, cron: str) -> list[RunnerDeployment]:
    """Return the deployments `nightly` (scheduled), `fetch` and `build`, each with at most one run at a time.

    A run that is due while another is at work is cancelled: after an outage the late runs do not pile up.
    Raises UsageError when `cron` is no cron line.
    """
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.orchestration.flows import build, fetch_only, nightly
    from flows.orchestration.server import TAG

    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    common: dict[str, Any] = {
        "parameters": {"origin": origin, "data": str(settings.root)},
        "concurrency_limit": one,
        "tags": [TAG],
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


def register(settings: Settings, origin: str, cron: str, pool: str) -> list[str]:
    """Register the deployments for the workers of a work pool and return their names; UsageError without that pool."""
    from flows.orchestration.server import check_pool

    wanted = deployments(settings, origin, cron)
    check_pool(pool)
    for deployment in wanted:
        deployment.apply(work_pool_name=pool)
    tidy_up(settings, pending=False)
    write_note(settings, cron, kept_by=f"the workers of pool {pool}")
    return [deployment.full_name for deployment in wanted]


def serve(settings: Settings, origin: str, cron: str) -> None:
    """Register the deployments, then watch for their runs and start them here, until told to stop."""
    from prefect import serve as prefect_serve

    wanted = deployments(settings, origin, cron)
    tidy_up(settings, pending=True)
    process = this_process()
    write_note(settings, cron, kept_by="kommunekort serve", process=process)
    end_runs_first()
    try:
        # The folder of Prefect's runner in /tmp belongs to whichever user of the machine came first.
        tempfile.tempdir = tempfile.mkdtemp(prefix="kommunekort-serve-")
        prefect_serve(*wanted, pause_on_shutdown=False, limit=1, print_starting_message=False)
    finally:
        if (served(settings) or {}).get("process") == process:  # else another has taken over
            note_of(settings).unlink(missing_ok=True)


def note_of(settings: Settings) -> Path:
    """Return the file that says who keeps the schedule."""
    return settings.root / "serve.json"


def write_note(settings: Settings, cron: str, *, kept_by: str, process: dict[str, Any] | None = None) -> None:
    """Write down the schedule and who keeps it: this process, or a work pool whose workers are not known here."""
    told = {"cron": cron, "timezone": TIMEZONE, "started_at": datetime.now(UTC).isoformat(), "kept_by": kept_by}
    replace_synced(note_of(settings), json.dumps({**told, **({"process": process} if process else {})}, indent=1))


def served(settings: Settings) -> dict[str, Any] | None:
    """Return what is noted of the schedule (cron, timezone, started_at, kept_by, process); None when it is not set up.

    `is_gone` says that the process which kept it has ended; of a work pool's workers nothing is known.
    """
    try:
        note: dict[str, Any] = read_json(note_of(settings))
        told = {key: str(note[key]) for key in ("cron", "timezone", "started_at")}
        process = dict(note.get("process") or {})
        ZoneInfo(told["timezone"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**note, **told, "is_gone": is_gone(process)}


def tidy_up(settings: Settings, *, pending: bool) -> None:
    """Close what was lost, in the ledger and in Prefect, and skip the overdue nights but the newest.

    An open run in Prefect would hold the one slot of its deployment, and every later run would be cancelled. None is
    closed while another run writes here: it may be the very run.
    """
    from flows.orchestration import server

    run_record.reconcile(settings, alone=False)
    with suppress(UsageError), writer_lock(settings.root):
        run_record.reconcile(settings, alone=True)
        for flow_run_id in server.close_unfinished(settings.root, pending=pending):
            record = run_record.of_flow_run(settings, flow_run_id)
            if record is not None and record["status"] == "cancelled":  # by the end of `serve`, not by a person
                run_record.close(settings, record, "crashed", server.LOST)
    server.skip_overdue(settings.root)

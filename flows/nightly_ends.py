"""How a flow ends: the state and its sentence, the artifacts, and the hook for endings the flow cannot tell itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import TerminationSignal
from prefect.flows import Flow
from prefect.runtime import deployment
from prefect.states import Completed, Failed

from flows import alarms, ledger, prefect_runs, run_record
from flows.fetch_report import FetchReport
from flows.settings import Settings
from flows.summary import markdown_summary
from transforms.errors import Interrupted, KommunekortError, NothingNew

INTERRUPTED = "interrupt signal"
"""What Prefect's message says of Ctrl-C, and of nothing else."""


def settings_of(data: Any) -> Settings:
    """Return the settings of a run whose parameter `data` may be absent."""
    return Settings() if data is None else Settings(data=Path(data))


def told(step: Callable[[], Any]) -> Any:
    """Return what `step` returns, or a Prefect state with its one sentence when it ends as foreseen."""
    try:
        return step()
    except NothingNew as nothing:
        return Completed(name="NothingNew", message=str(nothing))
    except KommunekortError as error:
        return Failed(name="Refused" if error.exit_code == 2 else "Failed", message=str(error))
    except Interrupted:  # by night only SIGTERM comes; at a terminal it was Ctrl-C
        raise (TerminationSignal(signal=signal.SIGTERM) if deployment.id else KeyboardInterrupt()) from None


def state_of(result: run_record.RunResult) -> State[Any]:
    """Return the state a run of the whole night ends in."""
    if result.status == "published":
        return Completed(message=f"published {result.run.run_id}")
    if result.status == "nothing_new":
        return Completed(name="NothingNew", message=result.message)
    return Failed(name="Refused" if result.status == "refused" else "Failed", message=result.message)


def state_of_fetch(report: FetchReport) -> State[Any]:
    """Return the state a fetch ends in: silence everywhere is a fault, that of some sources is told."""
    kept = sum(1 for source in report.failed if source not in report.missing)
    if report.silent:
        return Failed(message=f"{report.silence}; {kept} keep their last snapshot")
    counts = f"new: {len(report.new)}, unchanged: {len(report.unchanged)}, missing: {len(report.missing)}"
    message = f"{counts}, kept their last snapshot: {kept}"
    return Completed(message=message) if report.new else Completed(name="NothingNew", message=message)


def publish_artifacts(result: run_record.RunResult) -> None:
    """Show the verdict, the ages, the counts and the broken rules in Prefect's UI; the ledger holds the same."""
    create_markdown_artifact(markdown_summary(result), key="nightly-summary", description="Verdict, ages and counts")
    rows: list[dict[str, Any]] = [rule for rule in result.rules if not rule["success"]]
    held = {"rule_id": "rules that hold", "n_rules": sum(1 for rule in result.rules if rule["success"])}
    create_table_artifact([held, *rows], key="validations", description="Broken rules, and how many hold")


@contextmanager
def told_when_stopped(settings: Settings, flow_run_id: str) -> Iterator[None]:
    """Turn `cancelled` into `crashed`, with its alarm, at once when the run is stopped and nobody wished it.

    The flow itself knows only that it was stopped: by SIGTERM (a restart of the service, a reboot) or for a lease that
    is lost. Prefect runs its hook after it has told the server, which may be down as well. More signals are ignored:
    one that came while the first is handled would end the process with nothing told to anybody.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as stop:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        record = ledger.of_flow_run(settings, flow_run_id)
        by_hand = isinstance(stop, KeyboardInterrupt) or prefect_runs.is_being_cancelled(flow_run_id)
        if record is not None and record["status"] == "cancelled" and not by_hand:
            ledger.close(settings, record, "crashed", f"stopped before its end ({type(stop).__name__})")
        raise


def after_bad_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook on failure, crash and cancellation: enter and tell what the flow could not enter or tell itself."""
    settings = settings_of(flow_run.parameters.get("data"))
    record = ledger.of_flow_run(settings, str(flow_run.id))
    status = {"CRASHED": "crashed", "CANCELLED": "cancelled"}.get(state.type.name, "failed")
    message = state.message or "ended without a word"
    crashed = status == "crashed" and INTERRUPTED not in message
    if record is None:
        alarms.follow(settings, flow_run.name, status, message)
    elif record["status"] == "running" or (record["status"] == "cancelled" and crashed):
        ledger.close(settings, record, status, message)

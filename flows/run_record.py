"""What a run did, kept in the ledger and told by the alarm however it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import alarms, ledger
from flows.candidate import Candidate, RunInfo, counts_table
from flows.fetch_report import FetchReport
from flows.settings import Settings
from flows.snapshots import replace_synced
from transforms.errors import DataRefused, KommunekortError, NothingNew, UsageError

STATUSES = {NothingNew.exit_code: "nothing_new", DataRefused.exit_code: "refused"}
"""Exit code of an error -> what a run is called that it ended; every other one is `failed`."""


@dataclass
class RunResult:
    """What a run did, for the summary, the ledger and the artifacts."""

    run: RunInfo
    status: str = "running"
    message: str = ""
    fetched: FetchReport = field(default_factory=FetchReport)
    receipts: dict[str, int] = field(default_factory=dict)
    counts: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    release: dict[str, Any] = field(default_factory=dict)
    database: str | None = None
    ages: dict[str, dict[str, Any]] = field(default_factory=dict)
    flow_run_id: str | None = None
    process: dict[str, Any] = field(default_factory=ledger.this_process)

    @property
    def ending(self) -> str:
        """Return the status as ledger and alarm know it: `unconfirmed` when nothing new was seen, but not all of it.

        Such a run neither takes an alarm back nor tells that what is published is still what it should be.
        """
        return "unconfirmed" if self.status == "nothing_new" and self.fetched.failed else self.status

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON-able values."""
        run = {
            "run_id": self.run.run_id,
            "started_at": self.run.started_at.isoformat(),
            "origin": self.run.origin,
            "as_of": self.run.as_of.isoformat() if self.run.as_of else None,
        }
        told = {key: value for key, value in asdict(self).items() if key != "run"}
        ended = None if self.status == "running" else datetime.now(UTC).isoformat()
        return {**run, **told, "status": self.ending, "ended_at": ended}


def record(settings: Settings, result: RunResult) -> Path:
    """Write the run into the ledger `data/runs/<run id>.json`; return the file, or raise UsageError."""
    path = settings.runs / f"{result.run.run_id}.json"
    try:
        replace_synced(path, json.dumps(result.as_dict(), ensure_ascii=False, indent=1, default=str))
    except OSError as error:
        raise UsageError(
            f"{settings.runs}: the ledger cannot be written ({error.strerror}); free space or check the rights"
        ) from None
    return path


def describe(result: RunResult, candidate: Candidate) -> None:
    """Copy what a candidate holds into the result."""
    result.counts = counts_table(candidate)
    result.tables = dict(candidate.tables)
    result.rules = [
        {
            "table_name": outcome.table_name,
            "rule_id": outcome.rule_id,
            "severity": outcome.severity,
            "success": outcome.success,
            "n_violations": outcome.n_violations,
            "description": outcome.description,
        }
        for outcome in candidate.outcomes
    ]
    result.release = dict(candidate.release)


@contextmanager
def recorded(settings: Settings, result: RunResult, *, alarm: bool = True) -> Iterator[RunResult]:
    """Keep ledger and alarm in step with a run, however it ends; runs that were killed earlier are closed first.

    The caller holds the writer lock. What is raised inside goes on; when sources did not answer, told as what it is.
    """
    ledger.reconcile(settings, alone=True)
    record(settings, result)
    try:
        yield result
        weigh_silence(result)
    except KommunekortError as error:
        result.status, result.message = STATUSES.get(error.exit_code, "failed"), str(error)
        weigh_silence(result)
        if result.message == str(error):
            raise
        raise (UsageError if result.status == "failed" else type(error))(result.message) from None
    except Exception as fault:
        result.status, result.message = "failed", fault_sentence(fault)
        raise
    except BaseException:
        result.status, result.message = "cancelled", "interrupted before its end"
        raise
    finally:
        try:
            record(settings, result)
        except UsageError as error:
            result.status, result.message = "failed", str(error)
        if alarm:
            alarms.follow(settings, result.run.run_id, result.ending, result.message)


def weigh_silence(result: RunResult) -> None:
    """Let what did not answer count in how a run ended: nothing new where nobody was heard is a failure.

    Else a network that is down for weeks would look like weeks without news.
    """
    fetched = result.fetched
    if fetched.silent and result.status == "nothing_new":
        result.status = "failed"
        result.message = f"{fetched.silence}; see the network and run again"
    elif fetched.silent and result.status in ("failed", "refused"):
        result.message = f"{fetched.silence}; {result.message}"
    elif result.ending == "unconfirmed":
        result.message = f"{result.message}; {fetched.silence}, so there may be news unseen"


def fault_sentence(fault: BaseException) -> str:
    """Return one line for what nobody foresaw."""
    return f"a fault of the program: {type(fault).__name__}: {' '.join(str(fault).split())[:300]}"

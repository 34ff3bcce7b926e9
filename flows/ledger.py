"""The run ledger `data/runs/<run id>.json`: one record per run, written when it starts and again when it ends.

A run that was killed leaves a record that still says `running`. It is found by its process: number, start and boot.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flows import alarms
from flows.settings import Settings
from flows.snapshots import replace_synced

GOOD = ("published", "nothing_new")
"""The endings of a run after which what is published is what it should be."""
LOOK_BACK = 50
"""Records searched for unfinished runs: fifty nights."""


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other one: host, boot, number and start (clock ticks since boot)."""
    return {"host": platform.node(), "boot_id": _boot_id(), "pid": os.getpid(), "start": _start_of(os.getpid())}


def is_gone(process: dict[str, Any]) -> bool:
    """Tell whether a process has surely ended; False when it runs, or ran on another host and cannot be known."""
    if process.get("host") != platform.node():
        return False
    if process.get("boot_id") != _boot_id():
        return True
    start = _start_of(int(process["pid"]))
    return start is None or start != process.get("start")


@cache
def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _start_of(pid: int) -> int | None:
    """Return when a process started, or None when there is none (a zombie counts as ended)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _alive_without_proc(pid)


def _alive_without_proc(pid: int) -> int | None:
    """Return 0 for a live process where the system has no /proc (macOS), else None."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the records of the ledger, newest first; a file that is no record is passed over."""
    for path in sorted(settings.runs.glob("*.json"), reverse=True):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and "run_id" in record:
            yield record


def of_flow_run(settings: Settings, flow_run_id: str) -> dict[str, Any] | None:
    """Return the record of a Prefect flow run, or None when it never came to one."""
    recent = (record for record, _ in zip(records(settings), range(LOOK_BACK), strict=False))
    return next((record for record in recent if record.get("flow_run_id") == flow_run_id), None)


def last_good(settings: Settings) -> dict[str, Any] | None:
    """Return the record of the newest run that ended well, or None."""
    return next((record for record in records(settings) if record.get("status") in GOOD), None)


def unfinished(settings: Settings) -> list[dict[str, Any]]:
    """Return the recent records that say `running`, newest first."""
    recent = (record for record, _ in zip(records(settings), range(LOOK_BACK), strict=False))
    return [record for record in recent if record.get("status") == "running"]


def close(settings: Settings, record: dict[str, Any], status: str, message: str) -> None:
    """Write the ending of a run that could not write it itself, and follow it with the alarm."""
    ended = {**record, "status": status, "message": message, "ended_at": datetime.now(UTC).isoformat()}
    replace_synced(settings.runs / f"{record['run_id']}.json", json.dumps(ended, ensure_ascii=False, indent=1))
    alarms.follow(settings, str(record["run_id"]), status, message)


def reconcile(settings: Settings, *, alone: bool) -> list[str]:
    """Mark runs whose process has ended as crashed; return their run ids, oldest first.

    `alone` is the word of whoever holds the writer lock: no other run can be at work, whatever its record says.
    """
    lost = [record for record in unfinished(settings) if alone or is_gone(record.get("process") or {})]
    for record in reversed(lost):
        close(settings, record, "crashed", "the process ended without a word (killed, or the machine went down)")
    return [str(record["run_id"]) for record in reversed(lost)]

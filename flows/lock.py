"""One writer at a time: an operating-system lock that dies with its process."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from transforms.errors import UsageError


def prepare_folder(root: Path) -> None:
    """Make the data folder; UsageError in one sentence when it cannot be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".write-probe-{os.getpid()}"
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{root}: cannot write to the data directory ({error.strerror}); choose another with --data"
        ) from None


@contextmanager
def writer_lock(root: Path) -> Iterator[None]:
    """Hold the only right to write under `root`; UsageError naming the holder when another process has it.

    `flock` is released by the kernel when the process ends, however it ends, so a lock is never stale; what the
    lock file says about its holder is only for people.
    """
    prepare_folder(root)
    path = root / ".lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{root}: another run is writing here ({_holder(path)}); wait for it to end") from None
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "started_at": started}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _holder(path: Path) -> str:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return f"process {known['pid']} since {known['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "process unknown"

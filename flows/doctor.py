"""What can be wrong with the data folder, each fault with its cure in one line; and all checks together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from flows import doctor_install, ledger
from flows.doctor_install import Fault
from flows.lock import prepare_folder
from flows.origins import command
from flows.publish import current
from flows.settings import Settings
from flows.snapshots import SnapshotStore
from transforms.errors import KommunekortError

MIN_FREE_BYTES = 2_000_000_000
"""A full build of the sample, its exports and its spill files take under one gigabyte."""
LONG_RUN_HOURS = 6
Check = Callable[[Settings], Iterator[Fault]]


def check_folder(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the data folder cannot be written or its disk is nearly full."""
    try:
        prepare_folder(settings.root)
    except KommunekortError as error:
        yield Fault("data folder", str(error).partition(";")[0], f"chown it to {os.getuid()}, or give another --data")
        return
    free = shutil.disk_usage(settings.root).free
    if free < MIN_FREE_BYTES:
        yield Fault("disk", f"{free / 1e9:.1f} GB free under {settings.root}", "free space, or set KOMMUNEKORT_DATA")


def check_modes(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when person-level data or the key can be read by others."""
    key = settings.key_file.expanduser()
    for path, mode in ((settings.restricted, 0o700), (key, 0o600)):
        if path.exists() and (found := path.stat().st_mode & 0o777) & ~mode:
            yield Fault("modes", f"{path} has mode {found:04o}", f"chmod {mode:04o} {path}")


def check_work(settings: Settings) -> Iterator[Fault]:
    """Yield a fault for a run that writes too long, and for what a killed run left behind."""
    pid = lock_holder(settings.root)
    work = settings.root / ".work"
    if pid is not None:
        hours = hours_running(settings)
        if hours is not None and hours > LONG_RUN_HOURS:
            yield Fault(
                "lock", f"process {pid} has been writing for {hours:.0f} hours", f"see what it does; kill {pid}"
            )
        return
    if (work / "candidate.duckdb").exists():
        yield Fault("leftovers", f"{work} is what a killed run left", f"`{command(settings, 'run')}` clears it")
    for part in settings.snapshots.glob("*/.part-*"):
        yield Fault("leftovers", f"{part} is a snapshot that was never finished", f"rm -r {part}")


def lock_holder(root: Path) -> int | None:
    """Return the process that holds the writer lock, or None. The lock itself is not tried: a run could miss it."""
    lock, table = root / ".lock", Path("/proc/locks")
    if not lock.exists() or not table.exists():
        return None
    inode = str(lock.stat().st_ino)
    for line in table.read_text(encoding="ascii").splitlines():
        words = line.split()
        if "FLOCK" in words and words[-3].rpartition(":")[2] == inode:
            return int(words[-4])
    return None


def hours_running(settings: Settings) -> float | None:
    """Return for how long the newest unfinished run has been at work, in hours."""
    for record in ledger.unfinished(settings):
        return (datetime.now(UTC) - datetime.fromisoformat(record["started_at"])).total_seconds() / 3600
    return None


def check_published(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the link analysts open is broken, or what it points at cannot be read."""
    from transforms.warehouse import DatabaseError, Warehouse

    again = f"`{command(settings, 'run', '--force')}`"
    if not settings.published.is_symlink():
        if settings.published.exists():
            yield Fault("published", f"{settings.published} is no link", f"move it away, then {again}")
        return
    now = current(settings)
    if now is None:
        yield Fault("published", f"{settings.published} points at nothing", f"`kommunekort rollback`, or {again}")
        return
    try:
        with Warehouse.open(now.path, read_only=True) as warehouse:
            warehouse.scalar("SELECT count(*) FROM meta.run")
    except (DatabaseError, KommunekortError):
        yield Fault("published", f"{now.path} cannot be read", f"`kommunekort rollback`, then {again}")
    if not now.release.is_file():
        yield Fault("published", f"{now.release} is absent", again)


def check_snapshots(settings: Settings) -> Iterator[Fault]:
    """Yield a fault per source whose newest snapshot has changed since it was received."""
    store = SnapshotStore(settings.snapshots)
    if not store.root.is_dir():
        return
    for folder in sorted(path for path in store.root.iterdir() if path.is_dir()):
        try:
            newest = store.newest(folder.name)
            if newest is not None:
                newest.verify()
        except KommunekortError as error:
            found, _, cure = str(error).partition("; ")
            yield Fault("snapshots", found, cure)


def check_state(settings: Settings) -> Iterator[Fault]:
    """Yield what `status` finds wrong: alarm, ages of sources and publication, schedule."""
    from flows.status import status_facts

    try:
        faults = status_facts(settings)["faults"]
    except KommunekortError as error:
        faults = [str(error)]
    for fault in faults:
        found, _, cure = str(fault).rpartition("; ")
        yield Fault("state", found or cure, cure if found else "kommunekort status")


CHECKS: dict[str, Check] = {
    "Python": doctor_install.check_python,
    "required versions": doctor_install.check_requirements,
    "locked versions": doctor_install.check_lock_file,
    "encryption extension": doctor_install.check_extension,
    "Prefect": doctor_install.check_prefect,
    "data folder and disk": check_folder,
    "file modes": check_modes,
    "lock and leftovers": check_work,
    "published database": check_published,
    "snapshots": check_snapshots,
    "ages, alarm and schedule": check_state,
}


def examine(settings: Settings, *, live: bool = False) -> dict[str, list[Fault]]:
    """Return check -> its faults (none: healthy)."""
    checks = {**CHECKS, **({"sources on the network": doctor_install.check_sources_live} if live else {})}
    return {name: list(check(settings)) for name, check in checks.items()}

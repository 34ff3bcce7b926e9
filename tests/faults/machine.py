"""The machine's own faults: a full disk, a read-only one, locks, a clock that goes back, readers that hold files."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from flows.run import build
from flows.settings import Settings
from flows.store import builds as store_builds
from flows.store import snapshots
from tests.faults.child import start
from tests.faults.kills import PATIENCE, leftovers, whole
from tests.faults.tally import Tally
from tests.fixtures.world import Published, run_from
from transforms.errors import UsageError
from transforms.warehouse import Warehouse

LIMITS_KB = (0.5, 6, 60, 300, 900, 4000)


def try_run(data: Path, origin: Path, tally: Tally, where: str) -> None:
    """Run into a fault that must end in one sentence and leave what is published alone."""
    published = Published(Settings(data=data, threads=1), origin)
    before = published.state()
    try:
        run_from(published.settings, origin, force=True)
        tally.fail(f"{where}: the run did not notice")
        return
    except UsageError as error:
        if "\n" in str(error) or published.state() != before:
            tally.fail(f"{where}: {error}", wrong=True)
            return
    tally.survive()


def recover(data: Path, origin: Path, tally: Tally, where: str) -> None:
    """Run again without the fault."""
    settings = Settings(data=data, threads=1)
    began = time.monotonic()
    run_from(settings, origin, force=True)
    fault = whole(settings, set()) or ", ".join(leftovers(settings))
    if fault:
        tally.fail(f"{where}: after recovery {fault}", wrong=True)
    tally.slowest = max(tally.slowest, time.monotonic() - began)


@contextmanager
def files_no_larger_than(kilobytes: float) -> Iterator[None]:
    """Let every write beyond a size fail in this process, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(kilobytes * 1024), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full_disk(folder: Path, base: Path, origin: Path, limits: tuple[float, ...] = LIMITS_KB) -> Tally:
    """Let writing fail ever later in the run, then in the publication, then recover."""
    tally = Tally("disk full")
    data = folder / "full"
    shutil.copytree(base, data, symlinks=True)
    for limit in limits:
        with files_no_larger_than(limit):
            try_run(data, origin, tally, f"no file over {limit} KB")
    for name in ("export_parquet", "replace_synced"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store_builds, name, _no_space)
            try_run(data, origin, tally, f"no space in {name}")
    recover(data, origin, tally, "disk full")
    return tally


def _no_space(*args: object, **named: object) -> None:
    raise OSError(28, "No space left on device")


def read_only_disk(folder: Path, base: Path, origin: Path) -> Tally:
    """Mount the data folder read-only (as root), else take the right to write from it; then recover."""
    tally = Tally("disk read-only")
    data = folder / "read-only"
    shutil.copytree(base, data, symlinks=True)
    mounted = mount(data, "ro")
    if not mounted and os.geteuid() != 0:
        data.chmod(0o555)
    elif not mounted:
        shutil.rmtree(data)
        data.symlink_to("/proc/self/nowhere")
    try:
        try_run(data, origin, tally, "read-only")
    finally:
        if mounted:
            subprocess.run(["umount", str(data)], check=True)
        elif not data.is_symlink():
            data.chmod(0o755)
    if not data.is_symlink():
        recover(data, origin, tally, "read-only")
    return tally


def mount(folder: Path, option: str) -> bool:
    """Bind a folder onto itself, read-only; False where that is not allowed."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        return False
    bound = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True)
    if bound.returncode:
        return False
    again = subprocess.run(["mount", "-o", f"remount,bind,{option}", str(folder)], capture_output=True)
    if again.returncode:
        subprocess.run(["umount", str(folder)], check=True)
    return not again.returncode


class EarlierClock(datetime):
    """A clock that is wrong by `shift`."""

    shift: ClassVar[timedelta] = timedelta()

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        """Return the shifted moment."""
        return datetime.now(UTC) + cls.shift


def clock_back(folder: Path, base: Path, origin: Path, days: int = 400) -> Tally:
    """Set the clock back by more than a year and run, roll back, prune: what came last stays last."""
    tally = Tally("clock goes back")
    data = folder / "clock"
    shutil.copytree(base, data, symlinks=True)
    settings = Settings(data=data, threads=1, keep_builds=2)
    changed = changed_extracts(folder / "changed", origin)
    before = store_builds.current(settings)
    with pytest.MonkeyPatch.context() as patch:
        EarlierClock.shift = -timedelta(days=days)
        patch.setattr(build, "datetime", EarlierClock)
        patch.setattr(snapshots, "datetime", EarlierClock)
        result = run_from(settings, changed)
        checks = {
            "the new bytes are not used": result.fetched.new == ["statbank_aulkp01"],
            "the newest build is not published": store_builds.builds(settings)[-1] == store_builds.current(settings),
            "rollback does not go to the build before": store_builds.rollback(settings) == before,
        }
        forth = run_from(settings, changed, force=True)
        checks["pruning took the published build"] = store_builds.current(settings) is not None
        checks["the last run is not the last build"] = store_builds.builds(settings)[-1].run_id == forth.run.run_id
        checks["more builds are kept than asked for"] = len(store_builds.builds(settings)) == 2
    for complaint, good in checks.items():
        if good:
            tally.survive()
        else:
            tally.fail(complaint, wrong=True)
    if fault := whole(settings, set()):
        tally.fail(fault, wrong=True)
    return tally


def changed_extracts(folder: Path, origin: Path) -> Path:
    """Return a copy of the extracts in which one unemployment rate has moved by a tenth."""
    shutil.copytree(origin, folder)
    path = folder / "aulkp01.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("101;TOT;TOT;"))
    keys, value = lines[place].rsplit(";", 1)
    lines[place] = f"{keys};{float(value) + 0.1:.1f}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def dead_lock(folder: Path, base: Path, origin: Path) -> Tally:
    """Leave the lock of a process that was killed, with its number in it; nobody has to remove it."""
    tally = Tally("lock of a dead process")
    data = folder / "lock"
    shutil.copytree(base, data, symlinks=True)
    process = start(data, origin)
    _stop_when_writing(process, data)
    process.kill()
    process.join(30)
    assert f'"pid": {process.pid}' in (data / ".lock").read_text(encoding="utf-8")
    began = time.monotonic()
    run_from(Settings(data=data, threads=1), origin, force=True)
    tally.survive(time.monotonic() - began)
    return tally


def two_at_once(folder: Path, base: Path, origin: Path, times: int = 3) -> Tally:
    """Start a run while another writes: one works, the other says who does, and one build is added."""
    tally = Tally("two runs at once")
    data = folder / "two"
    shutil.copytree(base, data, symlinks=True)
    settings = Settings(data=data)
    for _ in range(times):
        builds = {build.run_id for build in store_builds.builds(settings)}
        first = start(data, origin)
        _stop_when_writing(first, data)
        second = start(data, origin)
        second.join(PATIENCE)
        os.kill(first.pid, signal.SIGCONT)
        first.join(PATIENCE)
        codes = [first.exitcode, second.exitcode]
        said = (data / "said").read_text(encoding="utf-8") if (data / "said").exists() else ""
        if codes == [0, 1] and "another run is writing here (process" in said:
            added = {build.run_id for build in store_builds.builds(settings)} - builds
            if len(added) == 1 and whole(settings, set()) is None:
                tally.survive()
                continue
        tally.fail(f"exit codes {codes}, said {said!r}", wrong=True)
    return tally


def _stop_when_writing(process: Any, data: Path) -> None:
    """Stop the run while it holds the lock, so that it cannot have ended before the other has begun."""
    for _ in range(60_000):
        with suppress(FileNotFoundError):
            if f'"pid": {process.pid}' in (data / ".lock").read_text(encoding="utf-8"):
                break
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGSTOP)


def held_file(folder: Path, base: Path, origin: Path) -> Tally:
    """Publish, and prune, while a reader holds the file: it goes on reading what it opened."""
    tally = Tally("reader holds the file")
    data = folder / "held"
    shutil.copytree(base, data, symlinks=True)
    settings = Settings(data=data, threads=1, keep_builds=1)
    published = Published(settings, origin)
    with Warehouse.open(settings.published, read_only=True) as reader:
        first = reader.scalar("SELECT run_id FROM meta.run")
        run_from(settings, origin, force=True)
        with suppress(UsageError):
            store_builds.rollback(settings)
        held = reader.rows("SELECT run_id, (SELECT count(*) FROM mart.mapping) FROM meta.run")
        now = published.rows("SELECT run_id FROM meta.run")[0][0]
    if held == [(first, 98)] and now > first and [b.run_id for b in store_builds.builds(settings)] == [now]:
        tally.survive()
    else:
        tally.fail(f"the reader of {first} saw {held}, published is {now}", wrong=True)
    return tally

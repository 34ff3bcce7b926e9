"""Other people's machines: file systems that refuse what ours allows, users without a home, umasks, closed streams."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flows.cli.health import status_facts
from flows.run.record import records, standing_alarm
from flows.settings import Settings
from flows.store import builds
from tests.faults.kills import whole
from tests.faults.tally import Tally
from tests.faults.users import OTHER, OWNER, Answer, User, answers, give
from tests.fixtures.world import run_from
from transforms.errors import KommunekortError


def refuse(function: str, number: int, where: Callable[[str], bool] = lambda path: True) -> Callable[..., Any]:
    """Return a stand-in for a function of `os` that fails with this error on the paths that are meant."""
    real = getattr(os, function)

    def refusing(*args: Any, **named: Any) -> Any:
        if any(isinstance(arg, int | str | Path) and where(str(arg)) for arg in args[:2]):
            raise OSError(number, os.strerror(number), str(args[0]))
        return real(*args, **named)

    return refusing


def no_locks(number: int) -> Callable[..., None]:
    """Return a stand-in for `flock` where there are none."""

    def refusing(*given: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refusing


FILE_SYSTEMS: dict[str, tuple[dict[str, Any], bool]] = {
    "no flock (ENOTSUP)": ({"fcntl.flock": no_locks(errno.ENOTSUP)}, True),
    "no flock (ENOLCK)": ({"fcntl.flock": no_locks(errno.ENOLCK)}, True),
    "no flock (ENOSYS)": ({"fcntl.flock": no_locks(errno.ENOSYS)}, True),
    "no symbolic links": ({"os.symlink": refuse("symlink", errno.EPERM)}, True),
    "rename over a link refused": (
        {
            "os.replace": refuse("replace", errno.EPERM, lambda path: path.endswith(("kommunekort.duckdb", "exports"))),
            "os.rename": refuse("rename", errno.EPERM, lambda path: path.endswith(("kommunekort.duckdb", "exports"))),
        },
        False,
    ),
    "fsync refused (EINVAL)": ({"os.fsync": refuse("fsync", errno.EINVAL)}, False),
    "fsync fails (EIO)": ({"os.fsync": refuse("fsync", errno.EIO)}, False),
    "fsync: quota (EDQUOT)": ({"os.fsync": refuse("fsync", errno.EDQUOT)}, False),
    "chmod refused": ({"os.chmod": refuse("chmod", errno.EPERM)}, False),
    "no rename across folders": (
        {
            "os.rename": refuse("rename", errno.EXDEV, lambda path: path.endswith("candidate.duckdb")),
            "os.replace": refuse("replace", errno.EXDEV, lambda path: path.endswith("candidate.duckdb")),
        },
        True,
    ),
    "no new folders (EDQUOT)": ({"os.mkdir": refuse("mkdir", errno.EDQUOT)}, False),
    "nothing can be removed": (
        {"os.unlink": refuse("unlink", errno.EACCES), "os.rmdir": refuse("rmdir", errno.EACCES)},
        False,
    ),
}
"""Fault -> what is put in place of the system's functions, and whether the night must publish all the same."""


def file_systems(folder: Path, base: Path, origin: Path, every: int = 1) -> Tally:
    """Run a first and a later night where the file system refuses something; then, where it no longer does."""
    tally = Tally("file systems")
    for number, (name, (stand_ins, must_publish)) in enumerate(FILE_SYSTEMS.items()):
        for first in (True, False):
            if (2 * number + first) % every:
                continue
            data = folder / f"place-{number}-{first}"
            if not first:
                shutil.copytree(base, data, symlinks=True)
            with pytest.MonkeyPatch.context() as patch:
                for path, stand_in in stand_ins.items():
                    patch.setattr(path, stand_in)
                fault, told = a_night(Settings(data=data, threads=1), origin, must_publish=must_publish)
            where = f"{name}, {'first' if first else 'later'} night"
            tally.table.append((where, told, fault is None))
            if fault is None:
                fault = after(Settings(data=data, threads=1), origin)
            if fault:
                tally.fail(f"{where}: {fault}")
            else:
                tally.survive()
            shutil.rmtree(data, ignore_errors=True)
    return tally


def a_night(settings: Settings, origin: Path, *, must_publish: bool) -> tuple[str | None, str]:
    """Run once; return what is wrong with how it went, or None, and what was said."""
    try:
        result = run_from(settings, origin, force=True)
    except KommunekortError as error:
        told = str(error)
        if must_publish:
            return "nothing is published", told
        if "\n" in told:
            return "more than one sentence", told
        if next(records(settings), {}).get("status") == "running":
            return "the ledger says running", told
        if standing_alarm(settings) is None and not can_tell_nobody(settings):
            return "no alarm", told
        return None, told
    except Exception as error:
        return f"a fault of the program: {type(error).__name__}: {error}", ""
    if builds.current(settings) is None:
        return "published, and nothing is there", ""
    status_facts(settings)
    return None, "published: " + ("; ".join(result.warnings) or "as ever")


def can_tell_nobody(settings: Settings) -> bool:
    """Tell whether not even the alarm can be written: then the exit code is all there is."""
    try:
        probe = settings.root / ".probe"
        with probe.open("w") as file:
            os.fsync(file.fileno())
        probe.replace(probe.with_name(".probed"))
        (settings.root / ".probed").unlink()
    except OSError:
        return True
    return not settings.root.is_dir()


def after(settings: Settings, origin: Path) -> str | None:
    """Run where everything is allowed again; return what is wrong then."""
    try:
        run_from(settings, origin, force=True)
    except Exception as error:
        return f"afterwards {type(error).__name__}: {error}"
    return whole(settings, set())


# Lock files, where the file system has no locks.


def lock_files(folder: Path, base: Path, origin: Path) -> Tally:
    """Without `flock` a second writer is told who holds the folder; what a dead one left is taken over."""
    tally = Tally("lock files")
    data = folder / "lock-file"
    shutil.copytree(base, data, symlinks=True)
    settings = Settings(data=data, threads=1)
    held = data / ".lock.held"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks(errno.ENOTSUP))
        with builds.writer_lock(data):
            check(
                tally, "a second writer is not told who writes", refused(settings, origin, f"process {os.getpid()} on")
            )
        check(tally, "the lock file stays behind", not held.exists())
        ended = subprocess.Popen(["true"])
        ended.wait()
        here = builds.this_process()
        for name, left in {
            "of a process that has ended": {**here, "pid": ended.pid, "start": 1},
            "of a boot before": {**here, "boot_id": "before"},
            "that says nothing": {},
            "with no number": {**here, "pid": "x"},
        }.items():
            held.write_text(json.dumps(left), encoding="utf-8")
            check(tally, f"a lock file {name} stops the night", a_night(settings, origin, must_publish=True)[0] is None)
        held.write_text(json.dumps({**here, "host": "another-host"}), encoding="utf-8")
        check(tally, "a lock of another computer is taken over", refused(settings, origin, "on another-host"))
        held.unlink()
        for text in ("", "{", "[1]"):
            held.write_text(text, encoding="utf-8")
            check(
                tally, f"a garbled lock file ({text}) stops it", a_night(settings, origin, must_publish=True)[0] is None
            )
    return tally


def check(tally: Tally, complaint: str, good: bool) -> None:
    """Count one check."""
    if good:
        tally.survive()
    else:
        tally.fail(complaint)


def refused(settings: Settings, origin: Path, told: str) -> bool:
    """Tell whether a run is refused with these words."""
    try:
        run_from(settings, origin, force=True)
    except KommunekortError as error:
        return told in str(error)
    return False


# Users, homes, umasks and streams: the real command, started as another user of the machine where we may.


@dataclass(frozen=True)
class Start:
    """How a command is started: environment, umask, and a shell's words before it (`"$@"` is the command)."""

    env: dict[str, str] = field(default_factory=dict)
    umask: int = 0o022
    shell: str = 'exec "$@"'
    told: str | None = None
    """What it must say and refuse; None when it must publish."""
    words: tuple[str, ...] = ("--plain",)


def starts(folder: Path) -> dict[str, Start]:
    """Return fault -> how the night is started; `folder` has a home that can be read and not written."""
    home = folder / "read-only-home"
    home.mkdir(exist_ok=True)
    home.chmod(0o555)
    return {
        "no HOME and no entry in passwd": Start(),
        "HOME that is not there": Start({"HOME": "/nonexistent/home"}),
        "read-only HOME": Start({"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}),
        "HOME of another user": Start({"HOME": "/root"}),
        "HOME that is a file": Start({"HOME": "/etc/hostname"}),
        "HOME empty": Start({"HOME": ""}),
        "PREFECT_HOME unwritable": Start({"PREFECT_HOME": str(home)}, told="PREFECT_HOME=", words=()),
        "PREFECT_HOME below a file": Start({"PREFECT_HOME": "/etc/hostname/x"}, told="PREFECT_HOME=", words=()),
        "deleted working directory": Start(shell='d=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$@"'),
        "closed standard output": Start(shell='exec "$@" >&-'),
        "closed standard input, output and error": Start(shell='exec "$@" <&- >&- 2>&-'),
        "full standard output": Start(shell='exec "$@" >/dev/full', told="No space left on device"),
        "PYTHONIOENCODING=ascii, LC_ALL=C": Start({"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
        "PYTHONIOENCODING=latin-1:strict": Start({"PYTHONIOENCODING": "latin-1:strict"}),
        "unknown locale, dumb terminal, ten columns": Start({"LC_ALL": "xx_YY", "TERM": "dumb", "COLUMNS": "10"}),
        "TMPDIR unwritable": Start({"TMPDIR": str(home)}),
        "TMPDIR that is not there": Start({"TMPDIR": "/nonexistent"}),
        "umask 077": Start(umask=0o077),
        "umask 000": Start(umask=0),
        "umask 777": Start(umask=0o777, told=""),
        "few open files": Start(shell='ulimit -n 24; exec "$@"', told=""),
        "files that may not grow": Start(shell='ulimit -f 1000; exec "$@"', told="no file may grow that large"),
        "little memory for DuckDB": Start({"KOMMUNEKORT_MEMORY_LIMIT": "10MB"}, told="too little memory"),
        "a memory limit that is none": Start({"KOMMUNEKORT_MEMORY_LIMIT": "lots"}, told="KOMMUNEKORT_MEMORY_LIMIT: "),
        "SIGTERM, SIGINT and SIGHUP ignored": Start(shell="trap '' TERM INT HUP; exec \"$@\""),
        "a setting that is none": Start({"KOMMUNEKORT_KEEP_BUILD": "3"}, told="no such setting"),
        "an argument that is empty": Start(words=("--plain", "--only", ""), told="an argument is empty"),
        "time zone that is none": Start({"TZ": "Europa/Koebenhavn"}),
    }


def odd_starts(folder: Path, base: Path, origin: Path, every: int = 1) -> Tally:
    """Start nights and the commands that look as machines of others do; each publishes, or says why in one sentence."""
    tally = Tally("users, homes and streams")
    uid = OWNER if answers((OWNER, OTHER)) else None
    if uid is None:
        tally.name += " (as one user: only root can be two)"
    for number, (name, start) in enumerate(starts(folder).items()):
        if number % every:
            continue
        data = folder / f"start-{number}"
        shutil.copytree(base, data, symlinks=True)
        if uid is not None:
            give(uid, data, origin)
        user = User(uid, start.env, start.umask, start.shell)
        night = user.run("run", *start.words, "--force", "--from", origin, "--data", data, hurried=True)
        fault = fault_of_start(start, night, Settings(data=data), user, uid)
        tally.table.append((name, night.sentence if night.code else "published", fault is None))
        check(tally, f"{name}: {fault}", fault is None)
        shutil.rmtree(data)
    return tally


def fault_of_start(start: Start, night: Answer, settings: Settings, user: User, uid: int | None) -> str | None:
    """Return what is wrong with how a night ended, with what it left, or with the commands that look at it."""
    if fault := night.fault():
        return fault
    if start.told is None and night.code:
        return f"exit {night.code}: {night.sentence}"
    if start.told and start.told not in night.sentence:
        return f"exit {night.code}, and not {start.told!r}: {night.sentence}"
    if start.told not in ("no such setting", "KOMMUNEKORT_MEMORY_LIMIT: "):
        for words in (("status",), ("doctor",)):
            looked = user.run(*words, "--data", settings.root)
            # What cannot be written to a full disk cannot be told.
            if "fault of the program" in looked.err or "Traceback" in looked.err:
                return f"{words[0]}: {looked.err[-300:]}"
    if fault := whole(settings, set()):
        return fault
    if loose := [path for path in settings.root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o002]:
        return f"every user may write {loose[0].relative_to(settings.root)}"
    if night.code == 0 and uid is not None:
        seen = User(OTHER).run(
            "sql", "SELECT count(*) AS n FROM mart.mapping", "--format", "csv", "--data", settings.root
        )
        if seen.out.split() != ["n", "98"]:
            return f"another user reads {seen.out}{seen.err}"
    return None


def second_user(folder: Path, base: Path, origin: Path) -> Tally:
    """Let a second user of the machine try every command: reading works, writing is refused, and nothing changes."""
    tally = Tally("second user of the data folder")
    if not answers((OWNER, OTHER)):
        tally.name += " (not tried: only root can be two users)"
        tally.survive()
        return tally
    data = folder / "second"
    shutil.copytree(base, data, symlinks=True)
    give(OWNER, data, origin)
    delivery = folder / "second.csv"
    delivery.write_text("CPR-nr.;Navn\n", encoding="utf-8")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in data.rglob("*"))
    writing = [
        ("run", "--plain", "--from", str(origin)),
        ("run", "--from", str(origin)),
        ("fetch", "--from", str(origin)),
        ("build",),
        ("validate",),
        ("publish",),
        ("rollback",),
        ("deliver", str(delivery), "-m", "840"),
        ("freeze", "nulpunkt"),
        ("report",),
        ("workbook",),
        ("forget", "--yes"),
    ]
    reading = [
        ("status", "--json"),
        ("doctor",),
        ("sources",),
        ("describe", "mart.mapping"),
        ("profile", "Odense"),
        ("workbook", "--to", str(folder / "own" / "book.xlsx")),
        ("report", "--to", str(folder / "own" / "report")),
    ]
    (folder / "own").mkdir()
    give(OTHER, folder / "own")
    user = User(OTHER)
    for words in [*writing, *reading]:
        answer = user.run(*words, "--data", data, input="0101601000\n")
        as_it_should = answer.code == 0 or words == ("doctor",)
        if words in writing:
            as_it_should = answer.code == 1 and "it belongs to user" in answer.sentence
        # What is wrong there is what doctor prints, and no refusal.
        fault = (answer.fault() if words != ("doctor",) else None) or (
            None if as_it_should else f"exit {answer.code}: {answer.sentence}"
        )
        tally.table.append((f"second user: {' '.join(words[:2])}", answer.sentence[:160], fault is None))
        check(tally, f"{words[0]}: {fault}", fault is None)
    after_all = sorted((str(path), path.lstat().st_mtime_ns) for path in data.rglob("*"))
    check(tally, "something of the first user's has changed", before == after_all)
    return tally

"""Runs in processes of their own, to be killed: at any moment, or just before a chosen file-system event."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flows.run.processes import GUARDED_BY
from flows.settings import Settings, quiet_prefect
from tests.fixtures.world import hurry, run_from
from transforms.errors import KommunekortError, NothingNew

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5.0
"""How long a run may take to end after a signal, and what it started after a SIGKILL."""
EVENTS = ("fsync", "rename", "replace", "symlink", "unlink", "mkdir", "rmdir")

# Never forked: the libraries start threads when imported, and a fork among threads may hang.
CONTEXT = multiprocessing.get_context("spawn")


@contextmanager
def traced(on_event: Callable[[str, str], None]) -> Iterator[None]:
    """Call `on_event(name, path)` before every file-system event of this process (rename: `from -> to`)."""
    real = {name: getattr(os, name) for name in EVENTS}

    def wrapped(name: str) -> Callable[..., Any]:
        def event(*args: Any, **named: Any) -> Any:
            paths = [_path_of(arg) for arg in args[: 2 if name in ("rename", "replace", "symlink") else 1]]
            on_event(name, " -> ".join(paths))
            return real[name](*args, **named)

        return event

    try:
        for name in EVENTS:
            setattr(os, name, wrapped(name))
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _path_of(arg: Any) -> str:
    return str(Path(f"/proc/self/fd/{arg}").readlink()) if isinstance(arg, int) else str(arg)


def run_child(data: str, origin: str, die_before: int | None, api: str | None, started: Any) -> None:
    """Run the pipeline as `run --force` does, plain or under the Prefect server at `api`.

    Die before the n-th file-system event when told to.
    """
    left = [die_before]

    def maybe_die(name: str, path: str) -> None:
        if left[0] is not None:
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    with pytest.MonkeyPatch.context() as patch, traced(maybe_die):
        hurry(patch)
        work = under_prefect(api, Path(data).parent / "prefect-home") if api else run_from
        started.set()
        try:
            work(Settings(data=Path(data), threads=1), origin, force=True)
        except NothingNew:
            os._exit(3)
        except KommunekortError as error:
            (Path(data) / "said").write_text(str(error), encoding="utf-8")
            os._exit(error.exit_code)
    os._exit(0)


def under_prefect(api: str, home: Path) -> Callable[..., Any]:
    """Return what runs the night as `run` does with the Prefect server at `api`, everything imported."""
    os.environ.update(PREFECT_API_URL=api, PREFECT_HOME=str(home), KOMMUNEKORT_THREADS="1")
    quiet_prefect(home)
    from flows.cli import run
    from flows.run.night import Asked

    import_module("flows.orchestration.flows")

    def work(settings: Settings, origin: str, *, force: bool) -> None:
        run.end(run.run_prefect(settings, Asked(origin, force=force), quiet=True), silent=False)

    return work


def start(data: Path, origin: Path | str, die_before: int | None = None, api: str | None = None) -> Any:
    """Start a run in a child; return its process once the run itself begins."""
    started = CONTEXT.Event()
    process = CONTEXT.Process(target=run_child, args=(str(data), str(origin), die_before, api, started))
    process.start()
    started.wait(600)
    return process


def relatives(mark: str) -> list[int]:
    """Return the processes below /proc whose environment names `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            state = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"NIGHT={mark}" in told and state != "Z":
            found.append(int(folder.name))
    return found


def start_command(data: Path, *words: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start the command in a session of its own; return it and the mark its relatives carry."""
    mark = f"{data.name}-{time.time_ns()}"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", GUARDED_BY))}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.main", *words, "--data", str(data)],
        env={**kept, "NIGHT": mark, "PYTHONPATH": str(ROOT), "KOMMUNEKORT_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    return process, mark


def work_until(process: Any, seconds: float) -> float:
    """Let a process work for so many seconds of processor time, or to its end; return how many it had."""
    before = had = work_of(process.pid) or 0.0
    while (now := work_of(process.pid)) is not None:
        had = now - before
        if had >= seconds:
            break
        time.sleep(0.005)
    return had


def work_of(pid: int) -> float | None:
    """Return the processor time a process has had, in seconds; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""Runs in processes of their own, to be killed: at any moment, or just before a chosen file-system event."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.settings import Settings
from tests.fixtures.world import hurry, run_from
from transforms.errors import KommunekortError, NothingNew

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


def run_child(data: str, origin: str, die_before: int | None, started: Any) -> None:
    """Run the pipeline as `run --plain --force` does; die before the n-th file-system event when told to."""
    left = [die_before]

    def maybe_die(name: str, path: str) -> None:
        if left[0] is not None:
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    with pytest.MonkeyPatch.context() as patch, traced(maybe_die):
        hurry(patch)
        started.set()
        try:
            run_from(Settings(data=Path(data), threads=1), origin, force=True)
        except NothingNew:
            os._exit(3)
        except KommunekortError as error:
            (Path(data) / "said").write_text(str(error), encoding="utf-8")
            os._exit(error.exit_code)
    os._exit(0)


def start(data: Path, origin: Path | str, die_before: int | None = None) -> Any:
    """Start a run in a child; return its process once the run itself begins."""
    started = CONTEXT.Event()
    process = CONTEXT.Process(target=run_child, args=(str(data), str(origin), die_before, started))
    process.start()
    started.wait(60)
    return process

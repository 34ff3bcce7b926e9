"""What ends with a run: no child outlives it, and a signal ends it within five seconds, told in ledger and alarm."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

GUARDED_BY = "GUARDED_BY_KOMMUNEKORT"
"""Set in the environment of everything a run starts: by whom it is ended when the run has ended, however it did."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that end programs."""
SECONDS = 2.0
"""After a signal a program has so long to end by itself; then its last words are written and it is ended."""
LAST_WORDS_SECONDS = 1.0
GUARD = """
import os, signal, sys, time
mark, pipe = sys.argv[1].encode(), int(sys.argv[2])
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.read(pipe, 1)  # empty as soon as the guarded process has ended: it alone holds the other end
for _ in range(30):
    left = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                lines = file.read().split(b"\\0")
            marks = [line.partition(b"=")[2] for line in lines if line.startswith(sys.argv[3].encode())]
            if any(found == mark or found.startswith(mark + b"/") for found in marks):
                os.kill(pid, signal.SIGKILL)
                left.append(pid)
        except OSError:
            continue
    if not left:
        break
    time.sleep(0.1)
"""


class Terminated(BaseException):
    """A signal ends the program, and nobody at a terminal sent it. Like KeyboardInterrupt, no Exception."""

    def __init__(self, number: int):
        super().__init__(f"stopped before its end ({signal.Signals(number).name})")
        self.number = number


def guard_children() -> None:
    """Have every process that is started from now on ended when this one has ended, be it by SIGKILL.

    A small process of its own waits for that at a pipe which this one holds open. Only where there is /proc.
    """
    if not Path("/proc/self/environ").exists():
        return
    outer = os.environ.get(GUARDED_BY)
    mark = f"{outer}/{os.getpid()}" if outer else f"{os.getpid()}-{time.time_ns()}"
    if outer and outer.rpartition("/")[2].partition("-")[0] == str(os.getpid()):
        return  # this process is guarded already
    waiting, held = os.pipe()
    command = [sys.executable, "-I", "-S", "-c", GUARD, mark, str(waiting), f"{GUARDED_BY}="]
    with contextlib.suppress(OSError):
        subprocess.Popen(
            command,
            pass_fds=[waiting],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        os.environ[GUARDED_BY] = mark
    os.close(waiting)
    _held.append(held)


_held: list[int] = []
_stopped_by: list[int] = []


def stopped() -> Terminated | None:
    """Return the signal that ended the program, for who was told less: DuckDB turns what is raised into its own."""
    return Terminated(_stopped_by[-1]) if _stopped_by else None


def at_terminal() -> bool:
    """Tell whether somebody sits at a terminal and may have pressed Ctrl-C."""
    with contextlib.suppress(OSError):
        return os.isatty(0)
    return False


def raise_on_signals() -> None:
    """Let SIGTERM, and SIGINT where nobody sits at a terminal, raise Terminated in the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and at_terminal():
            raise KeyboardInterrupt
        _stopped_by.append(number)
        # A library that catches it, in a callback or as it tidies up, would tell of it as of a fault of its own.
        logging.disable(logging.CRITICAL)
        sys.unraisablehook = lambda unraisable: None
        raise Terminated(number)

    _on_signals(stop)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a signal that ends programs wait for the end of a block that must be done whole; `ended_in_time` does not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING}
    _on_signals(lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _on_signals(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> None:
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def end_at_once_on_signals() -> None:
    """Let a signal end the program where it stands: its work is done, and what it started is ended with it."""
    _on_signals(signal.SIG_DFL)


@contextlib.contextmanager
def ended_in_time(last_words: Callable[[int], None]) -> Iterator[None]:
    """End the program five seconds after a signal at the latest, whatever it waits for then.

    Whoever handles the signal has the first of them; `last_words` is called, with its number, when that is not done.
    Within another such block only the words are added, to be said first.
    """
    _last_words.insert(0, last_words)
    try:
        if len(_last_words) > 1 or threading.current_thread() is not threading.main_thread():
            yield
            return
        listening, told = os.pipe()
        os.set_blocking(told, False)
        before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        over = threading.Event()
        threading.Thread(target=_wait, args=(listening, over), daemon=True, name="signals").start()
        try:
            yield
        finally:
            over.set()
            signal.set_wakeup_fd(before)
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.close(told)
    finally:
        _last_words.remove(last_words)


_last_words: list[Callable[[int], None]] = []
_has_runs = threading.Event()


def end_runs_first() -> None:
    """Let this program, which starts runs and ends them when it is told to end, take its time for that."""
    _has_runs.set()


def _wait(listening: int, over: threading.Event) -> None:
    """Wait for a signal that ends programs, then for the program to end, and end it."""
    number = 0
    while number not in ENDING:
        byte = os.read(listening, 1)
        if not byte or _has_runs.is_set():
            os.close(listening)
            return
        number = byte[0]
    # A library that never lets go keeps the last words back as well; then the kernel ends the program without them.
    signal.setitimer(signal.ITIMER_REAL, SECONDS + 2 * LAST_WORDS_SECONDS)
    over.wait(SECONDS)
    if not over.is_set():
        speaking = threading.Thread(target=lambda: [say(number) for say in list(_last_words)], daemon=True)
        speaking.start()
        speaking.join(LAST_WORDS_SECONDS)
        os._exit(128 + number)


@contextlib.contextmanager
def nothing_to_tell() -> Iterator[None]:
    """Let Ctrl-C end what goes before any work, such as imports, without a traceback."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)

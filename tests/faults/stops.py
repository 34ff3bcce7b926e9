"""Signals: a run ends within five seconds, in ledger and alarm, and leaves no process behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from flows.run.record import records, standing_alarm
from flows.settings import Settings
from tests.faults.child import SECONDS, relatives, start_command, work_until
from tests.faults.kills import whole
from tests.faults.tally import Tally


def stop_at_random(folder: Path, base: Path, origin: Path, times: int, *, plain: bool = True, seed: int = 19) -> Tally:
    """Stop runs by SIGTERM, SIGINT and SIGKILL in turn, each at a random moment of its work."""
    tally = Tally(f"signals, {'plain' if plain else 'under Prefect'}")
    # A shell that starts this in the background lets it ignore SIGINT, and what it starts would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    dice = random.Random(seed)
    words = ["run", "--force", "--from", str(origin), *(["--plain"] if plain else [])]
    length = None
    for number in range(times):
        data = folder / f"stop-{number}"
        shutil.copytree(base, data, symlinks=True)
        settings = Settings(data=data)
        before = len(list(settings.runs.glob("*.json")))
        if length is None:
            process, _ = start_command(data, *words)
            began = time.monotonic()
            work = work_until(process, 600)
            process.wait(600)
            length = work if plain else time.monotonic() - began
            before += 1
        sign = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)[number % 3]
        moment = dice.uniform(0, length)
        process, mark = start_command(data, *words)
        # Not while Python itself starts. Under Prefect a run waits more than it works, for its server.
        work_until(process, max(moment, 0.1) if plain else 0.1)
        if not plain:
            time.sleep(moment)
        process.send_signal(sign)
        began = time.monotonic()
        tally_stop(tally, settings, process, mark, f"{sign.name} after {moment:.1f} s of {length:.1f}", before, began)
        shutil.rmtree(data, ignore_errors=True)  # what did not end in time may still write
    return tally


def tally_stop(
    tally: Tally, settings: Settings, process: subprocess.Popen[bytes], mark: str, where: str, before: int, began: float
) -> None:
    """Judge what a signal left: how long it took, who is still there, what ledger and alarm say."""
    killed = where.startswith("SIGKILL")
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        tally.fail(f"{where}: still at work after {SECONDS:.0f} s")
        return
    while relatives(mark) and time.monotonic() - began < SECONDS:
        time.sleep(0.1)
    seconds = time.monotonic() - began
    left = relatives(mark)
    tally.orphans += len(left)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    said = process.stderr.read().decode(errors="replace") if process.stderr else ""
    newest = next(records(settings), {"status": "nothing"})
    entered = len(list(settings.runs.glob("*.json"))) > before
    if left:
        tally.fail(f"{where}: {len(left)} processes left behind")
    elif "fault of the program" in said or "Traceback" in said:
        tally.fail(f"{where}: said {said[-300:]}")
    elif fault := whole(settings, set()):
        tally.fail(f"{where}: {fault}", wrong=True)
    elif entered and not killed and newest["status"] == "running":
        tally.fail(f"{where}: the ledger says running")
    elif entered and newest["status"] == "crashed" and standing_alarm(settings) is None:
        tally.fail(f"{where}: crashed without alarm")
    else:
        tally.survive(seconds)

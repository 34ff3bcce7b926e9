"""SIGKILL: at random moments of a whole run, and before every file-system event of its publication."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flows.settings import Settings
from flows.store import builds
from flows.store.snapshots import read_json, sha256_of
from tests.faults.child import SECONDS, relatives, start, start_command, traced, work_until
from tests.faults.tally import Tally
from tests.fixtures.world import Published, run_from
from tests.flows.prefect_help import Server, running_server
from transforms.errors import KommunekortError
from transforms.warehouse import Warehouse

PATIENCE = 1800.0
"""Seconds a run may take before it counts as hanging; a busy machine is no fault."""


def whole(settings: Settings, known: set[str]) -> str | None:
    """Return what is wrong with what is published, or None: a complete build that is no half of anything."""
    now = builds.current(settings)
    if now is None:
        return "nothing is published any more" if known else None
    try:
        with Warehouse.open(settings.published, read_only=True) as warehouse:
            told = warehouse.rows("SELECT run_id FROM meta.run")
            rows = warehouse.scalar("SELECT count(*) FROM mart.mapping")
            checked = warehouse.scalar(
                "SELECT count(*) FROM meta.validation WHERE severity = 'critical' AND NOT success"
            )
    except (KommunekortError, Exception) as error:
        return f"the published file cannot be read: {error}"
    release = read_json(now.release)
    if told != [(now.run_id,)] or release["run_id"] != now.run_id:
        return f"file, release and run disagree: {told}, {release['run_id']}, {now.run_id}"
    if (rows, checked) != (98, 0):
        return f"{rows} rows and {checked} broken rules are published"
    for name, digest in release["exports"].items():
        if sha256_of(now.exports / name) != digest:
            return f"{name} is not the export of this build"
    exported = settings.exports.resolve().name.removeprefix("exports-")
    if settings.exports.exists() and exported not in known | {now.run_id}:
        return f"the exports are of {exported}, which nobody published"
    return None


def leftovers(settings: Settings) -> list[str]:
    """Return what a finished run must not leave behind."""
    kept = {build.run_id for build in builds.builds(settings)}
    strays = [*settings.builds.glob(".*"), *settings.snapshots.glob("*/.part-*"), *settings.snapshots.glob(".fetch-*")]
    strays += [p for p in settings.builds.iterdir() if not any(run_id in p.name for run_id in kept)]
    return [str(path.relative_to(settings.root)) for path in strays]


def after_kill(data: Path, origin: Path, tally: Tally, where: str) -> None:
    """Check what the dead run left, run again, and check that everything is in order."""
    settings = Settings(data=data, threads=1)
    known = {build.run_id for build in builds.builds(settings)}
    rows = counts(settings)
    if fault := whole(settings, known):
        tally.fail(f"{where}: {fault}", wrong=True)
        return
    started = time.monotonic()
    process = start(data, origin)
    process.join(PATIENCE)
    seconds = time.monotonic() - started
    if process.exitcode != 0:
        told = (data / "said").read_text(encoding="utf-8") if (data / "said").exists() else ""
        tally.fail(f"{where}: the next run ended {process.exitcode}: {told}")
    elif fault := whole(settings, set()):
        tally.fail(f"{where}: after recovery {fault}", wrong=True)
    elif rows is not None and counts(settings) != rows:
        tally.fail(f"{where}: rows before and after differ", rows=1)
    elif strays := leftovers(settings):
        tally.fail(f"{where}: left behind {strays}")
    else:
        tally.survive(seconds)


def counts(settings: Settings) -> list[tuple[object, ...]] | None:
    """Return rows loaded per source of what is published, or None."""
    if builds.current(settings) is None:
        return None
    return Published(settings, settings.root).rows(
        "SELECT source_id, rows_in_count, rows_loaded_count FROM meta.snapshot ORDER BY 1"
    )


def kill_at_random(folder: Path, origin: Path, times: int, seed: int = 98) -> Tally:
    """Kill `times` runs at random moments; after each what is published must be whole.

    Eight kills to a folder, the first of them in its first run. One time in eight the next run may recover, else it
    is killed as well; after the last it recovers, and everything must be in order.
    Every twentieth is one under a Prefect server that stands, every hundredth one with a server of its own.
    """
    tally = Tally("SIGKILL at a random moment")
    with ExitStack() as ends:
        runs = Runs(folder, origin, ends)
        for number in range(times):
            dice = random.Random(f"{seed}-{number}")
            data = folder / f"killed-{number // 8}"
            settings = Settings(data=data, threads=1)
            known = {build.run_id for build in builds.builds(settings)}
            where = f"kill {number}, {runs.kill(data, number, dice, tally)}"
            last = number % 8 == 7 or number == times - 1
            if last or dice.random() < 1 / 8:
                after_kill(data, origin, tally, where)
            elif fault := whole(settings, known):
                tally.fail(f"{where}: {fault}", wrong=True)
            else:
                tally.survive()
            if last:
                shutil.rmtree(data)
                told = f"{tally.survived} of {tally.injected} survived ({runs.told()})"
                print("\n  ".join([told, *tally.complaints]), file=sys.stderr, flush=True)
    tally.name += f" ({runs.told()})"
    return tally


def wait(process: Any, seconds: float) -> None:
    """Wait for the end of a process of subprocess or of multiprocessing."""
    process.wait(seconds) if isinstance(process, subprocess.Popen) else process.join(seconds)


class Runs:
    """Runs to be killed at random moments: plain, under a standing Prefect server, and with one of their own.

    A moment is the processor time the run has had, so that all of its length is met on a busy machine too.
    """

    def __init__(self, folder: Path, origin: Path, ends: ExitStack) -> None:
        self.folder = folder
        self.origin = origin
        self.ends = ends
        self.lengths: dict[str, float] = {}
        self.killed: dict[str, int] = {}
        self.server: Server | None = None

    def kill(self, data: Path, number: int, dice: random.Random, tally: Tally) -> str:
        """Kill one run and return what was killed, and when. Its relatives must be gone within five seconds."""
        if number % 100 == 49:
            kind, begin = "with a Prefect server of its own", self._command
        elif number % 20 == 19:
            kind, begin = "under a standing Prefect server", self._under_server
        else:
            kind, begin = "plain", self._plain
        if kind not in self.lengths:
            for _ in range(2):  # the second publishes over the first, and is compared with it
                process, _ = begin(self.folder / f"whole-{number}")
                self.lengths[kind] = work_until(process, PATIENCE)
                wait(process, PATIENCE)
        moment = dice.uniform(0, self.lengths[kind])
        process, mark = begin(data)
        work_until(process, moment)
        time.sleep(dice.uniform(0, 0.01))
        process.kill()
        wait(process, PATIENCE)
        self.killed[kind] = self.killed.get(kind, 0) + 1
        where = f"{kind}, after {moment:.2f} s of {self.lengths[kind]:.2f}"
        began = time.monotonic()
        while mark and relatives(mark) and time.monotonic() - began < SECONDS:
            time.sleep(0.1)
        if mark and (left := relatives(mark)):
            tally.orphans += len(left)
            tally.complaints.append(f"{where}: {len(left)} processes left behind")
        return where

    def told(self) -> str:
        """Return how many of which kind were killed."""
        return ", ".join(f"{count} {kind} of {self.lengths[kind]:.1f} s" for kind, count in self.killed.items())

    def _plain(self, data: Path) -> tuple[Any, str]:
        return start(data, self.origin), ""

    def _under_server(self, data: Path) -> tuple[Any, str]:
        if self.server is None:
            self.server = self.ends.enter_context(running_server(self.folder / "prefect"))
        return start(data, self.origin, api=self.server.api), ""

    def _command(self, data: Path) -> tuple[Any, str]:
        return start_command(data, "run", "--force", "--from", str(self.origin), "--quiet")


def events_of_a_run(folder: Path, origin: Path) -> list[tuple[str, str]]:
    """Return every file-system event of a run over a published build, in order."""
    events: list[tuple[str, str]] = []
    with traced(lambda name, path: events.append((name, path))):
        run_from(Settings(data=folder, threads=1), origin, force=True)
    return events


def kill_at_events(folder: Path, base: Path, origin: Path, most: int) -> Tally:
    """Kill runs before file-system events: every one of the publication when `most` allows, else an even choice."""
    tally = Tally("SIGKILL between write and rename")
    trial = folder / "trial"
    shutil.copytree(base, trial, symlinks=True)
    events = events_of_a_run(trial, origin)
    begins = next(number for number, (_, path) in enumerate(events) if "exports-" in path)
    places = list(range(begins, len(events)))
    if len(places) > most:
        places = [places[number * len(places) // most] for number in range(most)]
    for place in places:
        data = folder / f"event-{place}"
        shutil.copytree(base, data, symlinks=True)
        process = start(data, origin, die_before=place)
        process.join(PATIENCE)
        name, path = events[place]
        if process.exitcode != -9:
            tally.fail(f"event {place} ({name} {Path(path).name}) was never reached: exit {process.exitcode}")
        else:
            after_kill(data, origin, tally, f"killed before {name} {Path(path).name}")
        shutil.rmtree(data)
    return tally

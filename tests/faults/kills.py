"""SIGKILL: at random moments of a whole run, and before every file-system event of its publication."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

from flows.settings import Settings
from flows.store import builds
from flows.store.snapshots import sha256_of
from tests.faults.child import start, traced
from tests.faults.tally import Tally
from tests.fixtures.world import Published, run_from
from transforms.errors import KommunekortError
from transforms.warehouse import Warehouse


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
    release = json.loads(now.release.read_text(encoding="utf-8"))
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
    process.join(120)
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
    """Kill `times` runs at random moments: every fourth the first of its folder, the others over a published build."""
    tally = Tally("SIGKILL at a random moment")
    dice = random.Random(seed)
    first = folder / "first"
    process = start(first, origin)
    began = time.monotonic()
    process.join(180)
    length = time.monotonic() - began
    for number in range(times):
        data = folder / f"fresh-{number}" if number % 4 == 0 else first
        moment = dice.uniform(0, length)
        process = start(data, origin)
        time.sleep(moment)
        process.kill()
        process.join(30)
        after_kill(data, origin, tally, f"killed after {moment:.2f} s of {length:.2f}")
        if data is not first:
            shutil.rmtree(data)
    return tally


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
        process.join(120)
        name, path = events[place]
        if process.exitcode != -9:
            tally.fail(f"event {place} ({name} {Path(path).name}) was never reached: exit {process.exitcode}")
        else:
            after_kill(data, origin, tally, f"killed before {name} {Path(path).name}")
        shutil.rmtree(data)
    return tally

"""In what order files reach the disk: what a power cut may not turn round."""

from __future__ import annotations

import shutil
from pathlib import Path

from flows.settings import Settings
from flows.store import builds
from tests.faults.kills import events_of_a_run
from tests.faults.tally import Tally


def synced_around_the_flip(folder: Path, base: Path, origin: Path) -> Tally:
    """Trace a run: everything a link will point at is on disk before the flip, and the flip itself after it."""
    tally = Tally("order of writes to disk")
    data = (folder / "order").resolve()
    shutil.copytree(base, data, symlinks=True)
    traced = events_of_a_run(data, origin)
    events = [(name, path.replace(f"{data}/", "").replace(str(data), ".")) for name, path in traced]
    now = builds.current(Settings(data=data))
    assert now is not None
    database, run_id = f"builds/{now.path.parent.name}/{now.path.name}", now.run_id

    def place(name: str, path: str) -> int:
        return next((number for number, event in enumerate(events) if event == (name, path)), -1)

    def last(name: str, path: str) -> int:
        return max((number for number, event in enumerate(events) if event == (name, path)), default=-1)

    flip = place("replace", ".kommunekort.duckdb.part -> kommunekort.duckdb")
    moved = place("replace", f".work/candidate.duckdb -> {database}")
    released = place("replace", f"builds/.{now.release.name}.part -> builds/{now.release.name}")
    exported = place("rename", f"builds/.exports-{run_id}.part -> builds/exports-{run_id}")
    flipped_exports = place("replace", ".exports.part -> exports")
    checks = {
        "the flip is one rename": flip > 0,
        "the database is moved, then synced, then flipped to": 0 <= moved < place("fsync", database) < flip,
        "the folders of builds and build are synced between move and flip": moved
        < min(last_before(events, ("fsync", folder), flip) for folder in ("builds", f"builds/{now.path.parent.name}")),
        "the root folder is synced after the flip": ("fsync", ".") in events[flip:flipped_exports],
        "the release file is synced and in place before the database is": 0 <= released < moved,
        "the exports are whole before the database is there": 0 <= exported < moved,
        "the exports are flipped after the database": flip < flipped_exports,
        "the root folder is synced after the last flip": last("fsync", ".") > flipped_exports,
    }
    for file in sorted(now.exports.glob("*.parquet")):
        partial = f"builds/.exports-{run_id}.part"
        checks[f"{file.name} is synced before its folder gets its name"] = (
            0 <= place("fsync", f"{partial}/{file.name}") < exported
        )
        checks["the folder of exports is synced too"] = 0 <= place("fsync", partial) < exported
    for page in sorted(path for path in now.report.rglob("*") if path.is_file()):
        name = page.relative_to(data)
        checks[f"{name} is synced before the flip"] = 0 <= place("fsync", str(name)) < flip
    for source in sorted((data / "snapshots").iterdir()):
        checks[f"{source.name} holds no half snapshot"] = not list(source.glob(".part-*"))
    for complaint, good in checks.items():
        if good:
            tally.survive()
        else:
            tally.fail(f"not true: {complaint}")
    return tally


def last_before(events: list[tuple[str, str]], wanted: tuple[str, str], end: int) -> int:
    """Return where an event last stands before `end`, or -1."""
    return max((number for number, event in enumerate(events[:end]) if event == wanted), default=-1)

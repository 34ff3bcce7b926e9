"""Readers that never stop, through many publications: no error, never two builds in one connection."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from flows.settings import Settings
from flows.store import builds
from tests.faults.child import CONTEXT
from tests.faults.tally import Tally
from transforms.errors import KommunekortError
from transforms.warehouse import DatabaseError, Warehouse

TABLES = ("mart.first", "mart.second", "meta.third")
ROWS = 20_000


def candidate(settings: Settings, number: int) -> Path:
    """Return a closed database in which every row of every table says `number`."""
    path = settings.root / "candidate.duckdb"
    settings.root.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with Warehouse.open(path, threads=1) as warehouse:
        warehouse.execute("CREATE SCHEMA mart; CREATE SCHEMA meta")
        for table in TABLES:
            warehouse.execute(f"CREATE TABLE {table} (k INTEGER PRIMARY KEY, build INTEGER)")
            warehouse.execute(f"INSERT INTO {table} SELECT range, ? FROM range({ROWS})", [number])
        warehouse.checkpoint()
    return path


def read_forever(data: str, stop: Any, answers: Any, newest_seen: Any, seed: int) -> None:
    """Open, ask several times, close, until told to stop; report how often and the first complaint.

    `newest_seen[seed]` is the newest build this reader has seen.
    """
    dice = random.Random(seed)
    settings = Settings(data=Path(data))
    connections, newest, complaint = 0, 0, ""
    while not stop.is_set() and not complaint:
        try:
            with Warehouse.open(settings.published, read_only=True, threads=1) as warehouse:
                seen = set()
                for _ in range(dice.randint(1, 4)):
                    for table in TABLES:
                        least, most, rows = warehouse.rows(f"SELECT min(build), max(build), count(*) FROM {table}")[0]
                        seen |= {least, most}
                        if rows != ROWS:
                            complaint = f"{rows} rows in {table}"
                    time.sleep(dice.uniform(0, 0.05))
                if len(seen) != 1:
                    complaint = f"builds {sorted(seen)} in one connection"
                elif min(seen) < newest:
                    complaint = f"build {min(seen)} after build {newest}"
                newest = newest_seen[seed] = max(seen)
        except (KommunekortError, DatabaseError) as error:
            complaint = str(error)
        connections += 1
    answers.put((connections, complaint))


def all_have_seen(newest_seen: Any, build: int, seconds: float = 120) -> bool:
    """Wait until every reader has seen `build` or a newer one; return whether they have."""
    end = time.monotonic() + seconds
    while min(newest_seen) < build and time.monotonic() < end:
        time.sleep(0.05)
    return bool(min(newest_seen) >= build)


def read_through(folder: Path, publications: int, readers: int) -> Tally:
    """Publish `publications` builds under `readers` reading processes."""
    tally = Tally(f"{readers} readers through {publications} publications")
    settings = Settings(data=folder / "read")
    builds.publish(settings, candidate(settings, 1), "run00001", {"run_id": "run00001"})
    stop, answers, newest_seen = CONTEXT.Event(), CONTEXT.Queue(), CONTEXT.Array("i", readers)
    crowd = [
        CONTEXT.Process(target=read_forever, args=(str(settings.root), stop, answers, newest_seen, seed))
        for seed in range(readers)
    ]
    for reader in crowd:
        reader.start()
    all_have_seen(newest_seen, 1)
    for number in range(2, publications + 2):
        run_id = f"run{number:05d}"
        began = time.monotonic()
        builds.publish(settings, candidate(settings, number), run_id, {"run_id": run_id})
        tally.survive(time.monotonic() - began)
        time.sleep(0.05)
    if not all_have_seen(newest_seen, publications + 1):
        tally.fail("a reader never saw the last publication")
    stop.set()
    told = [answers.get(timeout=60) for _ in crowd]
    for reader in crowd:
        reader.join(30)
    for connections, complaint in told:
        if complaint:
            tally.fail(f"a reader in its connection {connections}: {complaint}", wrong="builds" in complaint)
    return tally

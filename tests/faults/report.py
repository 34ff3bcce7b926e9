"""Inject faults on purpose, and print what came of them: `python -m tests.faults.report [--short]`.

The short proof runs in CI, two proofs at a time, and takes under five minutes on two free cores; the full one takes an
hour or two, one proof at a time: what is held to five seconds by the clock bears no other work beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.faults import crowd, history, kills, machine, network, order, places, readers, stops
from tests.faults import folder as broken
from tests.faults.tally import Tally, table, told_of_damage
from tests.fixtures.extracts import cached_extracts, copy_extracts
from tests.fixtures.world import hurry, publish_from

Proof = Callable[[], Tally]


PREPARED: dict[str, Proof] = {}
"""The proofs of this process, on its own ground."""


def proofs(
    work: Path = Path(), base: Path = Path(), extracts: Path = Path(), *, short: bool, times: int | None = None
) -> dict[str, Proof]:
    """Return the proofs by name: in a folder, from the data folder of a published build and the extracts it is of."""
    return {
        "order": lambda: order.synced_around_the_flip(work, base, extracts),
        "full disk": lambda: machine.full_disk(work, base, extracts),
        "read-only disk": lambda: machine.read_only_disk(work, base, extracts),
        "clock": lambda: machine.clock_back(work, base, extracts),
        "dead lock": lambda: machine.dead_lock(work, base, extracts),
        "two runs": lambda: machine.two_at_once(work, base, extracts, 1 if short else 10),
        "held file": lambda: machine.held_file(work, base, extracts),
        "lock files": lambda: places.lock_files(work, base, extracts),
        "file systems": lambda: places.file_systems(work, base, extracts, 8 if short else 1),
        "odd starts": lambda: places.odd_starts(work, base, extracts, 6 if short else 1),
        "second user": lambda: places.second_user(work, base, extracts),
        "readers": lambda: readers.read_through(work, *((5, 6) if short else (20, 50))),
        "network": lambda: network.bad_nights(work, 1 if short else 4),
        "endless body": lambda: network.endless_body(work),
        "restart": lambda: network.server_restarted(work),
        "arrivals": lambda: history.random_arrivals(work, extracts, 2 if short else 40),
        "baselines": lambda: history.baseline_outlives_pruning(work, base, extracts, 2 if short else 6),
        "as-of": lambda: history.as_of_takes_what_was_known(work, extracts),
        "broken folder": lambda: broken.broken_in_turn(work, base, extracts, 29 if short else 1),
        "twenty at once": lambda: crowd.twenty_at_once(work, base, extracts, *((25, 6) if short else (600, 20))),
        "kill at events": lambda: kills.kill_at_events(work, base, extracts, 5 if short else 1000),
        "kill at random": lambda: kills.kill_at_random(work, extracts, times or (12 if short else 200)),
        # Held to five seconds by the clock, so not on a machine that does other work beside it.
        **(
            {}
            if short
            else {
                "signals": lambda: stops.stop_at_random(work, base, extracts, times or 300),
                "signals under Prefect": lambda: stops.stop_at_random(work, base, extracts, times or 60, plain=False),
            }
        ),
    }


def prepare(folder: Path, short: bool, times: int | None) -> None:
    """Make the proofs of this process ready, in a folder of its own."""
    work, base = folder / f"work-{os.getpid()}", folder / f"base-{os.getpid()}"
    work.mkdir()
    hurry(pytest.MonkeyPatch())
    extracts = copy_extracts(cached_extracts(folder), work / "few", "FOLK1A", "FOLK1AM", "AULKP01")
    publish_from(extracts, base)
    PREPARED.update(proofs(work, base, extracts, short=short, times=times))


def run(title: str) -> tuple[str, Tally, float]:
    """Run one proof and return its name, tally and seconds."""
    began = time.monotonic()
    return title, PREPARED[title](), time.monotonic() - began


def tallies(*, short: bool, only: tuple[str, ...] = (), times: int | None = None) -> Iterator[tuple[str, Tally, float]]:
    """Run the proofs (or those named) and yield name, tally and seconds as they end: the short ones two at a time."""
    titles = [title for title in proofs(short=short) if not only or title in only]
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        ProcessPoolExecutor(2 if short else 1, get_context("spawn"), prepare, (Path(folder), short, times)) as lanes,
    ):
        for ended in as_completed([lanes.submit(run, title) for title in titles]):
            yield ended.result()


def main() -> int:
    """Print one line per proof as it ends and the table at the end; return 1 when a fault did harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="The proof that fits into CI.")
    parser.add_argument("--times", type=int, help="How many runs are killed or stopped at random moments.")
    parser.add_argument("proofs", nargs="*", help="Run these proofs only.")
    given = parser.parse_args()
    done = []
    began = time.monotonic()
    for title, tally, seconds in tallies(short=given.short, only=tuple(given.proofs), times=given.times):
        print(f"{title}: {tally.survived} of {tally.injected} survived, {seconds:.0f} s", file=sys.stderr, flush=True)
        done.append(tally)
    print(told_of_damage(done))
    print(table(done))
    print(f"orphans: {sum(tally.orphans for tally in done)}")
    print(f"{sum(t.injected for t in done)} faults in {time.monotonic() - began:.0f} s")
    return 0 if done and all(tally.holds for tally in done) else 1


if __name__ == "__main__":
    sys.exit(main())

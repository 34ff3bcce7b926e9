"""Attack whole published sample worlds and print what was won: `python -m tests.attack`. SYNTHETIC data.

One world per seed; then two releases of one world that differ by one person in each municipality, which must be the
same to the last figure, and one more in which six more persons have come, held against the first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd

from flows.deliveries.keys import load_keys
from flows.deliveries.store import EVERYTHING, Known, choose, open_restricted, person_rows
from flows.settings import Settings
from flows.store.baselines import freeze
from tests.attack.attacker import (
    LIFE_TABLE,
    Key,
    attack,
    differences,
    exposed,
    narrowed,
    published_columns,
    release_of,
    truth_of,
    years_apart,
)
from tests.attack.worlds import deliver_more, first_release, from_parquet, full_release, release
from tests.fixtures.extracts import cached_extracts
from transforms.models.persons import PersonRows
from transforms.tables import FOLDER
from transforms.warehouse import Warehouse

THRESHOLD, BASE = 5, 5
KEY = "pseudonym.key"
COME = 6
"""Persons who have come to each municipality before the last release: enough for its figures to be told anew."""
HEADINGS = ("world", "columns tried", "differences", "cells below threshold", "recovered exactly", "bounded to ±1")


def persons_of(settings: Settings, known: Known = EVERYTHING) -> PersonRows:
    """Return the exact person rows the published figures are made of."""
    key = load_keys(settings.key_file, settings.root).database_key
    with open_restricted(settings.restricted, key, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=True, known=known)
        assert chosen is not None
        return person_rows(warehouse, chosen.wanted)


def crosswalk() -> pd.DataFrame:
    """Return the industry crosswalk."""
    return pd.read_csv(FOLDER / "industry_crosswalk.csv", sep=";", dtype=str)


def attack_world(
    name: str, settings: Settings, database: Path | None = None, persons: PersonRows | None = None
) -> tuple[str, int, int, int, int, int]:
    """Return the row of the table for one published world, or for what its workbook or a baseline shows of it."""
    truth = truth_of(persons or persons_of(settings), crosswalk())
    database = database or settings.published
    columns = published_columns(database)
    made = differences(columns, truth)
    found = attack([*columns, *made], truth, THRESHOLD, BASE)
    bounded = narrowed([release_of(database)], BASE)
    known = exposed(bounded | years_apart(bounded), truth, THRESHOLD, LIFE_TABLE)
    for won in [*found.exact[:5], *known[:5]]:
        print(f"{name}: {won}", file=sys.stderr)
    tried = len({(each.table, each.column) for each in columns})
    row = (name, tried, len(made), found.small, len(found.exact), len(known))
    print(*row, sep=" | ", file=sys.stderr, flush=True)
    return row


PERSON_TABLES = ("mart.indicator_value", "mart.expected", "mart.first_job", "mart.method_effect", "mart.industry_match",
                 "mart.organisation", "mart.mapping", "mart.finding", "mart.group_value", "meta.model",
                 "meta.protection")  # fmt: skip


def told_apart(one: Path, other: Path) -> list[str]:
    """Return the tables fed by persons in which two published databases differ, save in which extract is named."""
    differing = []
    for table in PERSON_TABLES:
        frames = []
        for database in (one, other):
            with Warehouse.open(database, read_only=True) as warehouse:
                if not warehouse.exists(table):  # a baseline holds the mart alone
                    continue
                frames.append(warehouse.frame(f"SELECT * FROM {table} ORDER BY ALL"))
        frames = [frame.drop(columns=["_snapshot_id"], errors="ignore") for frame in frames]
        if frames and not frames[0].equals(frames[-1]):
            differing.append(table)
    return differing


def revised_figures(database: Path) -> int:
    """Return how many figures of persons `meta.revision` says were changed."""
    sql = "SELECT count(*) FROM meta.revision JOIN mart.indicator USING (indicator_id) WHERE operation = 'delivery'"
    with Warehouse.open(database, read_only=True) as warehouse:
        return int(warehouse.scalar(sql))


def both_releases(first: Path, later: Path, truth: dict[str, dict[Key, int]]) -> list[tuple[str, Key, int, int]]:
    """Return what two releases tell together, when up to COME persons may have come to each figure between them.

    Fewer can be followed in a municipality than before: whom another one delivers is followed there from then on.
    """
    one, two = narrowed([release_of(first)], BASE), narrowed([release_of(later)], BASE)
    together = {
        name: {
            key: (max(low, two[name][key][0] - COME), min(high, two[name][key][1] + COME * (name == "followed")))
            for key, (low, high) in cells.items()
            if key in two.get(name, {}) and " by trait" not in name
        }
        for name, cells in one.items()
    }
    sound = {name: {k: b for k, b in cells.items() if b[0] <= b[1]} for name, cells in together.items()}
    return exposed(sound | years_apart(sound), truth, THRESHOLD, LIFE_TABLE)


def attack_releases(folder: Path, seed: int, extracts: Path) -> list[tuple[str, int, int, int, int, int]]:
    """Return the rows of the table for three releases one after another."""
    settings = first_release(folder, seed, extracts, key_file=folder.with_name(KEY))
    first = settings.published.resolve()
    truth = truth_of(persons_of(settings), crosswalk())
    rows = [attack_world(f"seed {seed}, first release", settings)]
    frozen = freeze(settings, "before").folder
    deliver_more(settings, 1)
    second = release(settings, extracts).published.resolve()
    apart = told_apart(first, second)
    print(f"tables in which one person more shows: {', '.join(apart) or 'none'}")
    revised = revised_figures(second)
    rows.append((*attack_world(f"seed {seed}, one person more", settings)[:4], len(apart) + revised, 0))
    deliver_more(settings, COME)
    third = release(settings, extracts).published.resolve()
    assert told_apart(second, third), "the figures stand although enough persons have come"
    told = attack_world(f"seed {seed}, {COME} persons more, with the first", settings)
    rows.append((*told[:5], told[5] + len(both_releases(first, third, truth))))
    baseline = from_parquet(frozen, third, folder.with_name(f"{folder.name}-baseline.duckdb"))
    both = both_releases(baseline, third, truth)
    return [*rows, (f"seed {seed}, {COME} persons more, with the baseline", *told[1:5], told[5] + len(both))]


def print_table(rows: list[tuple[str, int, int, int, int, int]]) -> None:
    """Print the attacker's table."""
    print("\n" + " | ".join(HEADINGS))
    for row in rows:
        print(" | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))


def main() -> None:
    """Build the worlds asked for, attack them, print the table; exit 1 when anything was won."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--releases", type=int, default=1, help="seed of the world that is released three times")
    parser.add_argument("--without-releases", action="store_true")
    parser.add_argument("--full", action="store_true", help="whole registers, deliveries with faults: a minute a world")
    parser.add_argument("--data", type=Path, help="folder for the worlds, kept; built ones in it are attacked again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kommunekort-attack-") as scratch:
        folder = asked.data or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows, extracts = [], cached_extracts(folder / "extracts")
        for seed in asked.seeds:
            data = folder / f"{'full' if asked.full else 'seed'}-{seed}"
            built = Settings(data=data, sample_seed=seed, key_file=folder / KEY)
            if not built.published.exists() and asked.full:
                full_release(data, seed, key_file=built.key_file)
            elif not built.published.exists():
                first_release(data, seed, extracts, key_file=built.key_file)
            rows.append(attack_world(f"seed {seed}", built))
        if not asked.without_releases:
            rows += attack_releases(folder / "releases", asked.releases, extracts)
    print_table(rows)
    sys.exit(1 if any(row[4] or row[5] for row in rows) else 0)


if __name__ == "__main__":
    main()

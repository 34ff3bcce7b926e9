"""Change formulas of the statistics one at a time and print which changes no test notices.

`python -m tests.mutation [HOW_MANY | all] [WORD] [--file VERDICTS]` tries HOW_MANY (40) changes drawn evenly over the
modules whose path holds WORD, or all of them. Verdicts are kept in the file and not asked for again; with `--again`
changes that survived are. Changes that no test can notice stand in `equivalent.csv` with the reason, and are not drawn.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

# Before NumPy is loaded: one change at a time is tried, and it must not take every core.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

from tests.mutation.changes import MODULES, Mutant, mutants
from tests.mutation.trial import try_all

HERE = Path(__file__).parent
Key = tuple[str, str, str]
FIELDS = ("module", "place", "change")


def reasons(name: str) -> dict[Key, str]:
    """Return what stands in one of the folder's lists: module, source line and change, with the reason."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return {
            (row["module"], row["place"], row["change"]): row["reason"] for row in csv.DictReader(file, delimiter=";")
        }


def key_of(mutant: Mutant) -> Key:
    """Return what names a change as long as its source line stands."""
    return mutant.module, mutant.place, mutant.change


class Verdicts:
    """What became of each change, kept in a file where one is named."""

    def __init__(self, path: Path | None):
        self.path, self.of = path, dict[Key, str]()
        if path and path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                self.of = {(row[0], row[1], row[2]): row[3] for row in csv.reader(file, delimiter=";")}

    def add(self, mutant: Mutant, noticed_by: str) -> None:
        """Keep and print by which test a change was noticed: none of them leaves it empty."""
        key = key_of(mutant)
        self.of[key] = noticed_by
        print(f"{'noticed ' if noticed_by else 'SURVIVED'} {mutant.module}:{mutant.line} {mutant.change}", flush=True)
        if self.path:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, delimiter=";").writerow([*key, noticed_by])


def print_score(drawn: Sequence[Mutant], verdicts: Verdicts) -> None:
    """Print per module how many changes were noticed, and each survivor with the reason of `survivors.csv`."""
    known = reasons("survivors.csv")
    tried = Counter(mutant.module for mutant in drawn if key_of(mutant) in verdicts.of)
    noticed = Counter(mutant.module for mutant in drawn if verdicts.of.get(key_of(mutant)))
    print("\n| module | tried | noticed | share |\n|---|---|---|---|")
    for module, n in [*tried.items(), ("all", tried.total())]:
        k = noticed[module] if module != "all" else noticed.total()
        print(f"| {module} | {n} | {k} | {100 * k / max(n, 1):.0f} % |")
    for mutant in drawn:
        if verdicts.of.get(key_of(mutant)) == "":
            print(f"SURVIVED {mutant.module}:{mutant.line} {mutant.change}  {known.get(key_of(mutant), '')}")


def main() -> None:
    """Try the changes asked for, print each with what became of it, and the score."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("how_many", nargs="?", default="40")
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--again", action="store_true", help="try survivors of the file again")
    asked = parser.parse_args()
    modules, same = [module for module in MODULES if asked.word in module], reasons("equivalent.csv")
    placed: list[tuple[float, Mutant]] = []
    for module in modules:
        found = [mutant for mutant in mutants(module) if key_of(mutant) not in same]
        count = len(found) if asked.how_many == "all" else min(len(found), -(-int(asked.how_many) // len(modules)))
        placed += [(i / count, mutant) for i, mutant in enumerate(random.Random(2016).sample(found, count))]
    # A run that is stopped has tried as large a share of each module, drawn at random.
    drawn = [mutant for _, mutant in sorted(placed, key=lambda each: each[0])]
    verdicts = Verdicts(asked.file)
    # A child changes one thing in a process that has everything loaded: this one stays as it is.
    left = [m for m in drawn if key_of(m) not in verdicts.of or (asked.again and not verdicts.of[key_of(m)])]
    if left:
        try_all(sorted(left, key=lambda mutant: key_of(mutant) not in verdicts.of), verdicts.add)
    print_score(drawn, verdicts)


if __name__ == "__main__":
    main()

"""Time and memory of the models at 20,000, 200,000 and 2,000,000 persons; prints a table.

Run: python -m tests.benchmarks.bench_models [persons ...]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.unit.models.simulator import MUNICIPALITIES, TRAITS, aggregates, counted, exposures, people
from transforms.models.durations import model_durations
from transforms.models.expected import assess, model_shares
from transforms.models.methods import method_effects
from transforms.models.peers import find_peers
from transforms.models.spells import histories

SIZES = (20_000, 200_000, 2_000_000)
YEARS = 15


def yearly_expectations() -> None:
    """Fit 15 years of one outcome."""
    years = {str(2008 + year): aggregates(year)[:2] for year in range(YEARS)}
    assess(model_shares(years, outcome_id="employed", least=5).rows)


def seven_peers() -> None:
    """Find peers on ten conditions."""
    rng = np.random.default_rng(1)
    names = [f"c{j}" for j in range(10)]
    wide = pd.DataFrame(rng.normal(size=(98, 10)), columns=names).assign(municipality_code=MUNICIPALITIES)
    given = wide.melt("municipality_code", var_name="indicator_id", value_name="value")
    find_peers(given, pd.DataFrame({"indicator_id": names, "weight": 1.0}))


def measure(persons: int) -> None:
    """Print one row: seconds per model and peak memory of this process above that before the models."""
    frame = people(1, persons=persons, years=YEARS)
    treated, measures = exposures(1, persons=persons)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steps: dict[str, Callable[[], object]] = {
        "expected": yearly_expectations,
        "peers": seven_peers,
        "durations": lambda: assess(
            model_durations(counted(frame, TRAITS), TRAITS, outcome_id="weeks", period="2022").rows
        ),
        "methods": lambda: method_effects(
            *histories(treated, measures, ["sex", "age"]), ["sex", "age"], outcome_id="weeks"
        ),
    }
    seconds = []
    for step in steps.values():
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if persons == SIZES[0] or len(sys.argv) == 2:
        print("| persons | " + " | ".join(steps) + " | total s | peak MB | of it models MB |")
    cells = " | ".join(f"{s:.1f}" for s in seconds)
    print(f"| {persons:,} | {cells} | {sum(seconds):.1f} | {peak / 1024:.0f} | {(peak - before) / 1024:.0f} |")


if __name__ == "__main__":
    wanted = [int(a) for a in sys.argv[1:]]
    if len(wanted) == 1:
        measure(wanted[0])
    else:
        # A process each, so that the peak of one size does not hide that of the next.
        for size in wanted or SIZES:
            command = [sys.executable, "-m", "tests.benchmarks.bench_models", str(size)]
            subprocess.run(command, check=True)

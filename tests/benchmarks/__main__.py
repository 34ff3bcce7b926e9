"""`python -m tests.benchmarks`: measure, print Markdown tables, and end with 1 when a bound is broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.benchmarks import (
    bench_browser,
    bench_download,
    bench_expectations,
    bench_ingest,
    bench_others,
    bench_prefect,
)
from tests.benchmarks.harness import Benchmark, StepFailed, machine, measure, table


def benchmarks() -> dict[str, Benchmark]:
    """Return every benchmark by name, in the order they are run."""
    found = (
        bench_ingest.benchmark(),
        bench_expectations.benchmark(),
        bench_download.benchmark(),
        bench_prefect.benchmark(),
        *bench_others.benchmarks(),
        *bench_browser.benchmarks(),
    )
    return {benchmark.name: benchmark for benchmark in found}


def run(benchmark: Benchmark, rows: int | None, runs: int, *, quick: bool) -> bool:
    """Measure one benchmark and print its tables; return whether its bounds hold (always in quick mode)."""
    wanted = rows or (benchmark.quick_rows if quick else benchmark.full_rows)
    if quick:
        benchmark = replace(benchmark, steps=tuple(step for step in benchmark.steps if step.quick))
    rounds = 1 if quick else min(runs, benchmark.runs or runs)
    with tempfile.TemporaryDirectory(prefix="kommunekort-bench-") as folder:
        samples = measure(benchmark, Path(folder), wanted, rounds)
    text, holds = table(benchmark, samples, judged=not quick)
    print(f"{text}\n{rounds} interleaved rounds, medians.\n", flush=True)
    return holds


def main(arguments: list[str] | None = None) -> int:
    """Read the options, run what is asked for, and return the exit code: 0, or 1 for a broken bound or step."""
    known = benchmarks()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(known), help="only this benchmark (repeatable)")
    parser.add_argument("--rows", type=int, help="rows (or persons) instead of each benchmark's own size")
    parser.add_argument("--runs", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, no bounds: does it run?")
    given = parser.parse_args(arguments)
    print(f"Machine: {machine()}\n", flush=True)
    good = True
    quick = [name for name, benchmark in known.items() if benchmark.quick_rows]
    for name in given.only or (quick if given.quick else known):
        try:
            good = run(known[name], given.rows, given.runs, quick=given.quick) and good
        except StepFailed as failed:
            print(f"### {name}: a step failed\n\n{failed}\n", file=sys.stderr)
            good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

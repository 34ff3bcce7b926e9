"""The benchmarks run, on the smallest input each can make, and a broken bound is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import benchmarks, main
from tests.benchmarks.harness import Benchmark, Bound, Sample, Step, StepFailed, measure, table

FAST, SLOW = "fast", "slow"


def two_ways(*bounds: Bound) -> Benchmark:
    steps = (Step(FAST, "somewhere:fast"), Step(SLOW, "somewhere:slow"))
    return Benchmark("two", "two ways", "somewhere:prepare", steps, bounds)


@pytest.mark.long
def test_the_quick_mode_measures_every_way_of_the_ingest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", "ingest"]) == 0
    printed = capsys.readouterr().out
    assert "Machine: " in printed
    assert "| DuckDB's typed read_csv |" in printed
    assert printed.count("rows 238,140") == len([s for s in benchmarks()["ingest"].steps if s.quick])
    assert "rules 12" in printed
    assert "rules 52" in printed


@pytest.mark.long
def test_both_ways_of_validating_find_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", "expectations"]) == 0
    found = re.findall(r"rules (\d+), violations ([\d,]+) \|", capsys.readouterr().out)
    assert len(found) == 2
    assert found[0] == found[1]
    assert found[0][0] == "12"
    assert int(found[0][1].replace(",", "")) > 10, "the figures spoilt on purpose"


def test_ratios_are_taken_within_a_round_and_bounds_are_judged() -> None:
    samples = {
        FAST: [Sample(1.0, 1.0, 10), Sample(10.0, 1.0, 30), Sample(2.0, 1.0, 20)],
        SLOW: [Sample(2.0, 1.0, 10), Sample(30.0, 1.0, 10), Sample(5.0, 1.0, 10)],
    }
    text, holds = table(two_ways(Bound(SLOW, 2.6, FAST), Bound(FAST, 20.0)), samples, judged=True)
    assert holds
    assert "| slow | 5.00 | 2.50 | 1.00 | 10 |" in text
    assert "| «fast» peaks at most at 20 MB | 20 MB | yes |" in text
    text, holds = table(two_ways(Bound(FAST, 1 / 7, SLOW)), samples, judged=True)
    assert not holds
    assert "| «fast» is at least 7 times as fast as «slow» | 2.50 | **NO** |" in text


def test_a_step_that_fails_says_why(tmp_path: Path) -> None:
    benchmark = Benchmark("none", "nothing", "tests.benchmarks.bench_others:nowhere", (Step("a", "b:c"),))
    with pytest.raises(StepFailed, match="nowhere"):
        measure(benchmark, tmp_path, 1, 1)

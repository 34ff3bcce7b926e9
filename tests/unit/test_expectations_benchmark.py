"""The benchmark of the validation runs, on the smallest extract it can make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.bench_expectations import ROWS_PER_PERIOD, gx_pandas, our_way, typed_read, write_extract
from tests.unit.expectations_help import CATALOGUE
from transforms.warehouse import Warehouse


@pytest.mark.long
def test_the_benchmark_measures_three_ways(tmp_path: Path) -> None:
    path = tmp_path / "extract.csv"
    write_extract(path, 1, CATALOGUE)
    steps = (typed_read, our_way, gx_pandas)
    timings = [timing for step in steps for timing in step(path, tmp_path / f"{step.__name__}.duckdb")]
    assert len(timings) == 6
    assert all(timing.seconds > 0 and timing.peak_mb > 0 for timing in timings)
    with Warehouse.open(tmp_path / "our_way.duckdb", read_only=True) as warehouse:
        broken = warehouse.rows("SELECT DISTINCT rule_id FROM quarantine.violation")
        accounted = warehouse.scalar(
            "SELECT (SELECT count(*) FROM staging.statbank_folk1e) + (SELECT count(*) FROM quarantine.row)"
        )
    assert broken == [("value_readable",)], "the extract is good but for the figures spoilt on purpose"
    assert accounted == ROWS_PER_PERIOD

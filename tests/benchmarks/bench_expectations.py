"""Seconds and memory of validating a staging table, against DuckDB's own typed read and Great Expectations on pandas.

Run: python -m tests.benchmarks.bench_expectations [rows]   (10,000,000 rows unless told otherwise; about 4 GB for GX)
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from expectations import record
from expectations.check import check_staging
from expectations.quarantine import find_bad_rows
from expectations.rules import rules_for_staging
from expectations.terms import Rule
from transforms import runner
from transforms.areas import areas
from transforms.catalogue import Catalogue, Source, load_catalogue
from transforms.dictionary import load_dictionary
from transforms.sqlfile import ROOT, SqlFile, read_sql_file
from transforms.staging import StagingCount, StagingInput, load_staging
from transforms.warehouse import Warehouse, quote_literal

ROWS_PER_PERIOD = 105 * 3 * 127 * 6
BAD_SHARE = 0.0004
# What GX is asked on pandas: the rules of one row or one key that both sides know.
TWELVE = (
    "key_present", "code_known_area_code", "code_known_sex_code", "code_known_age_code", "code_known_ancestry_code",
    "period_format_period", "allowed_value_status", "value_readable", "value_fits_status", "value_min",
    "duplicate_row", "unique_key",
)  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """One measured way: seconds, seconds of processor (both cores; steady on a busy machine), peak memory in MB."""

    way: str
    seconds: float
    processor: float
    peak_mb: int


def wide_source(catalogue: Catalogue) -> Source:
    """Return FOLK1E asking for every code, so that the table is as large as it can be."""
    source = catalogue.sources["statbank_folk1e"]
    dimensions = [d.model_copy(update={"select": ["*"]}) for d in source.dimensions]
    return source.model_copy(update={"dimensions": dimensions})


def write_extract(path: Path, rows: int, catalogue: Catalogue) -> None:
    """Write a canonical CSV of about `rows` rows whose totals add up, with four in ten thousand bad figures."""
    source = wide_source(catalogue)
    axes: list[str] = []
    for dimension in source.dimensions[:-1]:
        codes = catalogue.selected(source, dimension)
        sizes = {code.code: max(len(code.leaves), 1) for code in catalogue.codes(source, dimension)}
        if dimension.role == "area":
            sizes = {code: _places(code) for code in codes}
        values = ", ".join(f"({quote_literal(code)}, {sizes[code]})" for code in codes)
        axes.append(f'(VALUES {values}) AS a{len(axes)}("{dimension.id}", n{len(axes)})')
    periods = max(rows // ROWS_PER_PERIOD, 1)
    times = ", ".join(f"('{1960 + number}K1', {number + 1})" for number in range(periods))
    names = ", ".join(f'"{dimension.id}"' for dimension in source.dimensions[:-1])
    value = "n0 * n1 * n2 * n3 * n4"
    with Warehouse.open() as warehouse:
        warehouse.execute("SET preserve_insertion_order = false")
        warehouse.execute(
            f'COPY (SELECT {names}, "TID", CASE WHEN hash({names}, "TID") % 10000 < {BAD_SHARE * 10_000:g} '
            f"AND n0 * n1 * n2 * n3 = 1 THEN '?' ELSE ({value})::VARCHAR END AS \"INDHOLD\" "
            f'FROM {", ".join(axes)}, (VALUES {times}) AS t("TID", n4)) '
            f"TO {quote_literal(str(path))} (DELIMITER ';', HEADER, QUOTE '')"
        )


def _places(code: str) -> int:
    """Return how many municipalities (and Christiansø) an area holds."""
    area = areas()[code]
    places = [a for a in areas().values() if a.level in ("municipality", "christiansoe")]
    inside = {"country": places, "region": [a for a in places if a.region_code == code]}
    return len(inside.get(area.level, [area]))


def typed_read(path: Path, database: Path) -> list[Timing]:
    """Time DuckDB reading the file into types, the lower limit of any load."""
    names = path.open(encoding="utf-8").readline().strip().split(";")
    columns = ", ".join(f"'{name}': '{'BIGINT' if name == 'INDHOLD' else 'VARCHAR'}'" for name in names)
    with Warehouse.open(database, threads=2) as warehouse:
        warehouse.execute("SET preserve_insertion_order = false")
        sql = (
            f"CREATE TABLE typed AS SELECT * FROM read_csv({quote_literal(str(path))}, delim=';', header=true, "
            f"auto_detect=false, quote='', nullstr='?', columns={{{columns}}})"
        )
        return [_timed("typed read_csv of DuckDB", lambda: warehouse.execute(sql))]


def our_way(path: Path, database: Path) -> list[Timing]:
    """Time the load into staging, twelve rules, and everything a build does (all rules, quarantine, record)."""
    catalogue, dictionary = load_catalogue(), load_dictionary()
    source, file = wide_source(catalogue), read_sql_file(ROOT / "staging" / "statbank_folk1e.sql")
    with Warehouse.open(database, threads=2) as warehouse:
        runner.prepare(warehouse)
        runner.build_table(warehouse, read_sql_file(ROOT / "quarantine" / "row.sql"), dictionary)
        counts: list[StagingCount] = []
        given = StagingInput(source, "statbank_folk1e/bench", [path])
        load = _timed("load into staging", lambda: counts.append(load_staging(warehouse, file, given, dictionary)))
        rules = rules_for_staging(source, file, dictionary, catalogue)
        twelve = [rule for rule in rules if rule.rule_id in TWELVE]
        few = _timed("our pass: 12 rules", lambda: _run(warehouse, file, twelve))
        checked = _timed(
            f"our pass: {len(rules) + 3} rules, quarantine, record",
            lambda: check_staging(warehouse, source, file, dictionary, catalogue, counts[0]),
        )
        return [load, few, checked]


def _run(warehouse: Warehouse, file: SqlFile, rules: list[Rule]) -> None:
    record.prepare(warehouse)
    record.plan(warehouse, rules)
    find_bad_rows(warehouse, file.table, [rule for rule in rules if rule.kind == "row"])
    proven: dict[str, bool] = {}
    for rule in rules:
        if rule.kind == "set":
            record.run_set_rule(warehouse, rule, proven)


def gx_pandas(path: Path, _: Path) -> list[Timing]:
    """Time Great Expectations' own twelve on a pandas frame of the same table (its import and load apart)."""
    import pandas as pd

    gx: Any = import_module("great_expectations")
    gxe = gx.expectations

    catalogue = load_catalogue()
    source = wide_source(catalogue)
    names = {d.id: d.column for d in source.dimensions}
    frames: list[pd.DataFrame] = []
    loaded = _timed(
        "GX: read the pandas frame",
        lambda: frames.append(pd.read_csv(path, sep=";", dtype=dict.fromkeys(names, "str"), na_values=["?"])),
    )
    frame = frames[0].rename(columns={**names, "TID": "period", "INDHOLD": "value"})
    expectations = [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in ("area_code", "period", "value")]
    for dimension in source.dimensions[:-1]:
        codes = [code.code for code in catalogue.codes(source, dimension)]
        expectations.append(gxe.ExpectColumnValuesToBeInSet(column=dimension.column, value_set=codes))
    expectations += [
        gxe.ExpectColumnValuesToMatchRegex(column="period", regex="^[12][0-9]{3}K[1-4]$"),
        gxe.ExpectColumnMaxToBeBetween(column="value", max_value=1e12),
        gxe.ExpectColumnValuesToBeBetween(column="value", min_value=0),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=list(names.values())),
        gxe.ExpectTableRowCountToBeBetween(min_value=1000),
    ]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("bench").add_dataframe_asset("staging")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="bench", expectations=expectations)
    return [loaded, _timed(f"GX on pandas: {len(expectations)} expectations", lambda: batch.validate(suite))]


def _timed(way: str, step: Callable[[], object]) -> Timing:
    start, busy = time.perf_counter(), time.process_time()
    step()
    seconds, processor = time.perf_counter() - start, time.process_time() - busy
    return Timing(way, seconds, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def apart(step: Callable[[Path, Path], list[Timing]], path: Path, database: Path) -> list[Timing]:
    """Run a step in a process of its own, so that its peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(step, path, database).result()


def measure(rows: int, folder: Path) -> list[Timing]:
    """Return the timings of all ways over one generated extract."""
    path = folder / "extract.csv"
    write_extract(path, rows, load_catalogue())
    steps = (typed_read, our_way, gx_pandas)
    return [timing for step in steps for timing in apart(step, path, folder / f"{step.__name__}.duckdb")]


def main() -> None:
    """Print the table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        timings = measure(rows, Path(folder))
    print(f"{'way':<48}{'seconds':>10}{'x read':>10}{'processor':>10}{'peak MB':>10}")
    read = timings[0].seconds
    for timing in timings:
        ratio = timing.seconds / read
        print(f"{timing.way:<48}{timing.seconds:>10.2f}{ratio:>10.2f}{timing.processor:>10.2f}{timing.peak_mb:>10}")
    read, load, twelve, full, frame, gx = (timing.seconds for timing in timings)
    print(
        f"load and 12 rules: {(load + twelve) / read:.2f} times the typed read (all rules: {(load + full) / read:.2f})"
    )
    print(f"12 rules: {gx / twelve:.1f} times as fast as GX on pandas ({(frame + gx) / twelve:.1f} with its load)")


if __name__ == "__main__":
    main()

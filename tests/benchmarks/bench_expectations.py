"""Twelve rules over a loaded table: inside DuckDB, against the same twelve by Great Expectations on a pandas frame."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_ingest import MARKS, TWELVE, Work, build_database, extract_in, run_twelve
from tests.benchmarks.extract import SOURCE, wide_source
from tests.benchmarks.harness import Benchmark, Bound, Step, timed
from transforms.areas import areas
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.load import absent_cells, load_staging
from transforms.tables import ROOT, read_sql_file

HERE = "tests.benchmarks.bench_expectations"
RULES, GX = "kommunekort, 12 rules in DuckDB", "Great Expectations, 12 on a pandas frame"


def benchmark() -> Benchmark:
    """Return the benchmark of validation."""
    return Benchmark(
        name="expectations",
        title="twelve rules over a loaded table (load and imports apart, memory with them)",
        prepare="tests.benchmarks.bench_ingest:prepare",
        steps=(Step(RULES, f"{HERE}:ours"), Step(GX, f"{HERE}:gx_on_pandas")),
        bounds=(Bound(RULES, 1 / 10, GX),),
        full_rows=10_000_000,
        quick_rows=238_140,
    )


def ours(folder: Path, rows: int) -> Work:
    """Load into staging, then time the twelve rules and their record.

    That no key occurs twice is shown by the search for absent cells, which loading makes: it is made again and timed.
    """
    import pandas  # noqa: F401  (DuckDB imports it with the first parameter it is given)

    from expectations.derived import rules_for_staging
    from flows.connectors.statbank.client import canonical_rows
    from flows.store.snapshots import SnapshotStore

    catalogue, dictionary = load_catalogue(), load_dictionary()
    source, file = wide_source(catalogue), read_sql_file(ROOT / "staging" / f"{SOURCE}.sql")
    snapshot = SnapshotStore(folder / "snapshots").newest(SOURCE)
    assert snapshot is not None, "prepared before"

    def work() -> Mapping[str, Any]:
        with build_database(folder) as warehouse:
            given = canonical_rows(source, snapshot, catalogue, folder / "work")
            count = load_staging(warehouse, file, given, dictionary)
            assert count.each_cell_once
            rules = rules_for_staging(source, file, dictionary, catalogue)
            codes = {source.dimension(name).column: listed for name, listed in given.absent[0].codes.items()}

            def validate() -> Mapping[str, Any]:
                assert not list(absent_cells(warehouse, file.table, codes, source.time.column)), "they are filled"
                return run_twelve(warehouse, file, rules, count)

            return _facts(timed(validate))

    return work


def gx_on_pandas(folder: Path, rows: int) -> Work:
    """Read the same table into a pandas frame, then time the same twelve there, one by one as TWELVE names them."""
    import numpy as np
    import pandas as pd

    gx: Any = import_module("great_expectations")
    gxe = gx.expectations
    catalogue = load_catalogue()
    source = wide_source(catalogue)
    keys = [dimension.column for dimension in source.dimensions]
    municipalities = [area.code for area in areas().values() if area.level == "municipality"]

    def work() -> Mapping[str, Any]:
        texts = dict.fromkeys((d.id.upper() for d in source.dimensions), "str")
        frame = pd.read_csv(extract_in(folder), sep=";", dtype=texts, na_values=list(MARKS))
        frame.columns = pd.Index([*keys, "value"])
        value = frame["value"]
        frame["value_status"] = np.select([value.isna(), value == 0], ["suppressed", "zero"], "observed")
        suite = [
            gxe.ExpectColumnValuesToNotBeNull(column="area_code"),
            *(
                gxe.ExpectColumnValuesToBeInSet(column=d.column, value_set=[c.code for c in catalogue.codes(source, d)])
                for d in source.dimensions[:-1]
            ),
            gxe.ExpectColumnValuesToMatchRegex(column="period", regex="^[12][0-9]{3}K[1-4]$"),
            gxe.ExpectColumnValuesToNotBeNull(column="value_status"),
            gxe.ExpectColumnValuesToBeBetween(column="value", min_value=0),
            gxe.ExpectTableRowCountToBeBetween(min_value=source.expectations.min_rows),
            gxe.ExpectColumnDistinctValuesToContainSet(column="area_code", value_set=municipalities),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=[*keys, "value", "value_status"]),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=keys),
        ]
        assert len(suite) == len(TWELVE)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("bench").add_dataframe_asset("staging")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})

        def validate() -> Mapping[str, Any]:
            found = batch.validate(gx.ExpectationSuite(name="bench", expectations=suite))
            assert not any(result.exception_info.get("raised_exception") for result in found.results)
            counts = [result.result.get("unexpected_count", 0) for result in found.results]
            return {"rules": len(counts), "violations": sum(counts)}

        return _facts(timed(validate))

    return work


def _facts(sample: Any) -> Mapping[str, Any]:
    return {"seconds": sample.seconds, "cpu": sample.cpu, **sample.facts}

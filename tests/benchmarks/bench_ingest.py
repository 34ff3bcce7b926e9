"""From a StatBank BULK file to a staging table: DuckDB's own typed read, our whole path, and other tools' load."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from expectations.rules import Rule
from tests.benchmarks.extract import SOURCE, wide_source, write_extract
from tests.benchmarks.harness import Benchmark, Bound, Step
from transforms import tables
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.load import StagingCount, load_staging
from transforms.tables import ROOT, SqlFile, read_sql_file
from transforms.warehouse import Warehouse

Work = Callable[[], Mapping[str, Any]]
HERE = "tests.benchmarks.bench_ingest"
MARKS = ("..", "-", ".", "...")
# The rules of one row or one key; the others of the source look at the table as a whole.
TWELVE = (
    "key_present", "code_known_area_code", "code_known_sex_code", "code_known_age_code", "code_known_ancestry_code",
    "period_format_period", "value_readable", "value_min", "min_rows", "municipalities_complete_area_code",
    "duplicate_row", "unique_key",
)  # fmt: skip
READ, READ_OLDER = "DuckDB's typed read_csv", "the same in DuckDB's own storage version"
LOADED, TWELVE_RULES, EVERY_RULE = "kommunekort, to staging", "kommunekort, and 12 rules", "kommunekort, and every rule"


def benchmark() -> Benchmark:
    """Return the benchmark of ingest."""
    return Benchmark(
        name="ingest",
        title="a BULK file of FOLK1E (all codes), from snapshot to closed database",
        prepare=f"{HERE}:prepare",
        steps=(
            Step(READ, f"{HERE}:typed_read"),
            Step(READ_OLDER, f"{HERE}:typed_read_older", quick=False),
            Step(LOADED, f"{HERE}:loaded", quick=False),
            Step(TWELVE_RULES, f"{HERE}:twelve_rules"),
            Step(EVERY_RULE, f"{HERE}:every_rule"),
            Step("pandas", f"{HERE}:by_pandas", quick=False),
            Step("Polars", f"{HERE}:by_polars"),
            Step("dlt, Arrow tables", f"{HERE}:by_dlt_arrow", share=0.2, quick=False),
            Step("dlt, Python rows", f"{HERE}:by_dlt_rows", share=0.005, quick=False),
        ),
        bounds=(
            Bound(LOADED, 1.3, READ),
            Bound(TWELVE_RULES, 1.6, READ),
            Bound(EVERY_RULE, 2.2, READ),
            Bound(LOADED, 1024),
            Bound(TWELVE_RULES, 1024),
            Bound(EVERY_RULE, 1024),
        ),
        full_rows=10_000_000,
        quick_rows=238_140,
    )


def prepare(folder: Path, rows: int) -> None:
    """Write the file and take it in as a snapshot, as a download does."""
    from flows.store.snapshots import SnapshotStore

    path = folder / "folk1e.csv"
    asked = write_extract(path, rows, load_catalogue())
    store = SnapshotStore(folder / "snapshots")
    files = {"folk1e.csv": (path, "bulk")}
    store.add(SOURCE, files, origin="directory", synthetic=True, query={"rectangle": asked})


def extract_in(folder: Path) -> Path:
    """Return the prepared file."""
    return folder / "folk1e.csv"


def fresh(path: Path) -> Path:
    """Return the path of a database that is not there."""
    for leftover in (path, path.with_name(path.name + ".wal")):
        leftover.unlink(missing_ok=True)
    return path


# --- the lower limit -------------------------------------------------------------------------------------------------


def typed_read(folder: Path, rows: int) -> Work:
    """Read the file into types with DuckDB alone, into the storage version the warehouse writes."""
    import duckdb  # noqa: F401  (its import is not to be timed)

    version = {"storage_compatibility_version": "v1.3.0"}
    return lambda: read_typed(extract_in(folder), fresh(folder / "typed.duckdb"), version)


def typed_read_older(folder: Path, rows: int) -> Work:
    """Read the file with DuckDB alone, as it stores it unless told otherwise (texts take it longer)."""
    import duckdb  # noqa: F401

    return lambda: read_typed(extract_in(folder), fresh(folder / "typed.duckdb"))


def read_typed(path: Path, database: Path, config: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, Any]:
    """Create a database with the file as one typed table, marks as NULL; return its rows."""
    import duckdb

    names = path.open(encoding="utf-8").readline().strip().split(";")
    columns = ", ".join(f"'{name}': '{'BIGINT' if name == 'INDHOLD' else 'VARCHAR'}'" for name in names)
    nulls = ", ".join(f"'{mark}'" for mark in MARKS)
    with duckdb.connect(str(database), config={"threads": "2", **config}) as connection:
        connection.execute("SET enable_progress_bar = false; SET preserve_insertion_order = false")
        connection.execute(
            f"CREATE TABLE typed AS SELECT * FROM read_csv('{path}', delim=';', header=true, auto_detect=false, "
            f"quote='', nullstr=[{nulls}], columns={{{columns}}})"
        )
        found = connection.execute("SELECT count(*) FROM typed").fetchone()
    return {"rows": found[0] if found else 0}


# --- our path --------------------------------------------------------------------------------------------------------


def loaded(folder: Path, rows: int) -> Work:
    """Verify the snapshot, check that its file is canonical, load it with status and accounting, fill zero cells."""
    return _ours(folder, lambda *_: {})


def twelve_rules(folder: Path, rows: int) -> Work:
    """Load, and look for the violations of the twelve rules of single rows and keys."""
    return _ours(folder, run_twelve)


def run_twelve(warehouse: Warehouse, file: SqlFile, rules: list[Rule], count: StagingCount) -> Mapping[str, Any]:
    """Run the twelve of a staging table's rules and read their record, as a build does; return what they found."""
    from expectations import check as expectations_check
    from expectations.check import find_bad_rows

    few = [rule for rule in rules if rule.rule_id in TWELVE]
    expectations_check.prepare(warehouse)
    expectations_check.plan(warehouse, few)
    find_bad_rows(warehouse, file.table, [rule for rule in few if rule.kind == "row"])
    proven = expectations_check.proven_by_loading(few, count)
    for rule in (rule for rule in few if rule.kind == "set"):
        expectations_check.run_set_rule(warehouse, rule, proven)
    expectations_check.mark_run(warehouse, few, count.rows_loaded)
    found = expectations_check.outcomes(warehouse, few)
    return {"rules": len(found), "violations": sum(outcome.n_violations for outcome in found)}


NO_COUNTRY = ("figures_in_tens",)
"""What invented figures of equal cells rightly break."""


def every_rule(folder: Path, rows: int) -> Work:
    """Load, and do all that a build does: every derived rule, quarantine, totals against parts, the record."""
    from expectations.check import check_staging
    from expectations.rules import blocking

    catalogue = load_catalogue()

    def check(warehouse: Warehouse, file: SqlFile, rules: list[Rule], count: StagingCount) -> Mapping[str, Any]:
        found = check_staging(warehouse, wide_source(catalogue), file, load_dictionary(), catalogue, count)
        stops = [outcome for outcome in blocking(found) if outcome.rule_id not in NO_COUNTRY]
        assert not stops, stops
        return {"rules": len(found), "violations": sum(outcome.n_violations for outcome in found)}

    return _ours(folder, check)


def _ours(folder: Path, check: Callable[..., Mapping[str, Any]]) -> Work:
    import pyarrow.dataset  # noqa: F401  (it and numpy are imported by any build before its first load)

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
            checked = check(warehouse, file, rules_for_staging(source, file, dictionary, catalogue), count)
        return {"rows": count.rows_loaded, "zero cells filled": count.rows_filled, **checked}

    return work


@contextmanager
def build_database(folder: Path) -> Iterator[Warehouse]:
    """Open a new database as a build does, with its schemas, macros and quarantine."""
    database = fresh(folder / "ours.duckdb")
    with Warehouse.open(database, threads=2, memory_limit="2GB", temp_directory=folder / "spill") as warehouse:
        tables.prepare(warehouse)
        tables.build_table(warehouse, read_sql_file(ROOT / "quarantine" / "row.sql"), load_dictionary())
        yield warehouse


# --- other tools: the same typed table with its status, in a DuckDB file ---------------------------------------------


def by_pandas(folder: Path, rows: int) -> Work:
    """Read with pandas' C engine, cast and classify, and hand over to DuckDB as Arrow."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    def work() -> Mapping[str, Any]:
        frame = pd.read_csv(extract_in(folder), sep=";", dtype="str", keep_default_na=False)
        value = pd.to_numeric(frame.pop("INDHOLD").replace("-", "0"), errors="coerce")
        frame["value"] = value
        frame["value_status"] = np.select([value > 0, value == 0], ["observed", "zero"], "suppressed")
        return _store(folder, pa.Table.from_pandas(frame, preserve_index=False))

    return work


def by_polars(folder: Path, rows: int) -> Work:
    """Read with Polars, cast and classify, and hand over to DuckDB as Arrow."""
    import duckdb  # noqa: F401  (its import is not to be timed)
    import polars as pl

    os.environ.setdefault("POLARS_MAX_THREADS", "2")

    def work() -> Mapping[str, Any]:
        frame = pl.read_csv(extract_in(folder), separator=";", infer_schema=False, quote_char=None)
        value = pl.col("INDHOLD").replace("-", "0").cast(pl.Int64, strict=False)
        status = pl.when(value > 0).then(pl.lit("observed")).when(value == 0).then(pl.lit("zero"))
        typed = frame.with_columns(value.alias("value"), status.otherwise(pl.lit("suppressed")).alias("value_status"))
        return _store(folder, typed.drop("INDHOLD").to_arrow())

    return work


def by_dlt_arrow(folder: Path, rows: int) -> Work:
    """Load with dlt from Arrow tables, the fastest way it offers; the first `rows` rows."""
    from pyarrow import csv

    def batches() -> Iterator[Any]:
        names = extract_in(folder).open(encoding="utf-8").readline().strip().split(";")
        texts = csv.ConvertOptions(column_types=dict.fromkeys(names, "string"))
        reader = csv.open_csv(extract_in(folder), parse_options=csv.ParseOptions(delimiter=";"), convert_options=texts)
        left = rows
        for batch in reader:
            if left <= 0:
                return
            yield _classified(batch.slice(0, left))
            left -= batch.num_rows

    return _dlt(folder, batches)


def _classified(batch: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = batch["INDHOLD"]
    value = pc.if_else(pc.match_substring_regex(text, "^[0-9]+$"), text, None).cast("int64")
    status = pc.case_when(
        pc.make_struct(pc.fill_null(pc.greater(value, 0), False), pc.fill_null(pc.equal(value, 0), False)),
        "observed", "zero", "suppressed",
    )  # fmt: skip
    table = pa.Table.from_batches([batch]).drop_columns(["INDHOLD"])
    return table.append_column("value", value).append_column("value_status", status)


def by_dlt_rows(folder: Path, rows: int) -> Work:
    """Load with dlt from Python dictionaries, its ordinary way; the first `rows` rows."""
    import csv
    from itertools import islice

    def lines() -> Iterator[dict[str, Any]]:
        with extract_in(folder).open(encoding="utf-8", newline="") as stream:
            for row in islice(csv.DictReader(stream, delimiter=";"), max(rows, 1)):
                text = row.pop("INDHOLD")
                value = int(text) if text.isdigit() else None
                status = "suppressed" if value is None else "observed" if value else "zero"
                yield {**row, "value": value, "value_status": status}

    return _dlt(folder, lines)


def _dlt(folder: Path, items: Callable[[], Iterator[Any]]) -> Work:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    import shutil

    import dlt

    home = folder / "dlt"
    shutil.rmtree(home, ignore_errors=True)
    destination = dlt.destinations.duckdb(str(fresh(folder / "other.duckdb")))
    pipeline = dlt.pipeline("bench", pipelines_dir=str(home), destination=destination, dataset_name="staging")

    def work() -> Mapping[str, Any]:
        pipeline.run(items(), table_name="folk1e", write_disposition="replace")
        trace: Any = pipeline.last_trace
        return {"rows": trace.last_normalize_info.row_counts["folk1e"]}

    return work


def _store(folder: Path, table: Any) -> Mapping[str, Any]:
    import duckdb

    with duckdb.connect(str(fresh(folder / "other.duckdb")), config={"threads": "2"}) as connection:
        connection.execute("SET enable_progress_bar = false; SET preserve_insertion_order = false")
        connection.register("given", table)
        connection.execute("CREATE TABLE folk1e AS SELECT * FROM given")
    return {"rows": table.num_rows}

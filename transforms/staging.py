"""From snapshot files to typed staging tables: scan once, account for every row, fill the zero cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transforms.catalogue import Source
from transforms.dictionary import Dictionary
from transforms.errors import DataRefused
from transforms.runner import create_table
from transforms.sqlfile import SqlFile
from transforms.warehouse import (
    DatabaseError,
    Warehouse,
    explain_database_error,
    quote_identifier,
    quote_literal,
)

VALUE = "INDHOLD"


@dataclass(frozen=True)
class StagingInput:
    """What one source brings to a build: canonical CSV files, and the codes its rectangle spans."""

    source: Source
    snapshot_id: str
    paths: Sequence[Path]
    rectangle: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class StagingCount:
    """What became of the rows of one source: read, loaded, rejected by the scan, zero cells filled."""

    rows_in: int
    rows_loaded: int
    rows_rejected: int
    rows_filled: int


def count_rows(path: Path) -> int:
    """Return the number of data lines of a text file (its header apart), counted outside the database."""
    lines = 0
    last = b"\n"
    with path.open("rb") as reader:
        while block := reader.read(1 << 22):
            lines += block.count(b"\n")
            last = block[-1:]
    return max(lines + (last != b"\n") - 1, 0)


def create_raw_view(warehouse: Warehouse, given: StagingInput) -> None:
    """Create `raw.<source>`: every column as text, straight from the files, bad lines kept as rejects."""
    ids = [dimension.id.upper() for dimension in given.source.dimensions] + [VALUE]
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in ids)
    scans = []
    for path in given.paths:
        scans.append(
            f"SELECT *, {quote_literal(given.snapshot_id)} AS _snapshot_id FROM read_csv({quote_literal(str(path))}, "
            f"delim=';', header=true, auto_detect=false, quote='', escape='', nullstr='', "
            f"columns={{{columns}}}, store_rejects=true, rejects_limit=0)"
        )
    view = f"raw.{quote_identifier(given.source.id)}"
    warehouse.execute(f"CREATE OR REPLACE VIEW {view} AS {' UNION ALL '.join(scans)}")


def create_empty_view(warehouse: Warehouse, source: Source) -> None:
    """Create `raw.<source>` without rows, so that a mapping can be built while a source is missing."""
    ids = [dimension.id.upper() for dimension in source.dimensions] + [VALUE, "_snapshot_id"]
    columns = ", ".join(f"CAST(NULL AS VARCHAR) AS {quote_identifier(name)}" for name in ids)
    warehouse.execute(f"CREATE OR REPLACE VIEW raw.{quote_identifier(source.id)} AS SELECT {columns} WHERE false")


def load_staging(warehouse: Warehouse, file: SqlFile, given: StagingInput, dictionary: Dictionary) -> StagingCount:
    """Fill one staging table from its snapshot; DataRefused when rows are lost on the way."""
    table = file.table
    try:
        create_raw_view(warehouse, given)
        create_table(warehouse, file, dictionary)
        _forget_rejects(warehouse)
        warehouse.execute("SET preserve_insertion_order = false")
        warehouse.execute(f"INSERT INTO {table} BY NAME SELECT *, false AS _is_filled FROM ({file.select})")
        rejected = _move_rejects(warehouse, given)
        loaded = int(warehouse.scalar(f"SELECT count(*) FROM {table}"))
        filled = _fill_zero_cells(warehouse, table, given) if given.rectangle else 0
    except DatabaseError as error:
        raise explain_database_error(error, f"loading {given.source.id} from {given.paths[0].name}") from None
    rows_in = sum(count_rows(path) for path in given.paths)
    if rows_in != loaded + rejected:
        raise DataRefused(
            f"{given.source.id}: {rows_in} rows in the files, but {loaded} loaded and {rejected} rejected; "
            f"the file may be cut off or hold stray line breaks; fetch it again"
        )
    return StagingCount(rows_in, loaded, rejected, filled)


def _forget_rejects(warehouse: Warehouse) -> None:
    for name in ("reject_errors", "reject_scans"):
        warehouse.execute(f"DROP TABLE IF EXISTS {name}")


def _move_rejects(warehouse: Warehouse, given: StagingInput) -> int:
    """Keep the lines the scan could not read in `quarantine.row`; return how many lines."""
    exists = warehouse.scalar("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'")
    if not exists:
        return 0
    warehouse.execute(
        """
        INSERT INTO quarantine.row (source_id, _snapshot_id, rule_id, row_number, row_text)
        SELECT ?, ?, 'line_readable: ' || lower(any_value(error_type)::VARCHAR), line, any_value(csv_line)
        FROM reject_errors GROUP BY file_id, scan_id, line
        """,
        [given.source.id, given.snapshot_id],
    )
    return int(warehouse.scalar("SELECT count(*) FROM (SELECT DISTINCT scan_id, file_id, line FROM reject_errors)"))


def _fill_zero_cells(warehouse: Warehouse, table: str, given: StagingInput) -> int:
    """Add the cells of the rectangle that the publisher left out because they are zero; return how many."""
    columns = {dimension.id.upper(): dimension.column for dimension in given.source.dimensions}
    assert given.rectangle is not None
    axes = {columns[name.upper()]: codes for name, codes in given.rectangle.items()}
    crossed = ", ".join(
        f"(SELECT unnest([{', '.join(quote_literal(code) for code in codes)}]) AS {quote_identifier(column)})"
        for column, codes in axes.items()
    )
    keys = ", ".join(quote_identifier(column) for column in axes)
    before = int(warehouse.scalar(f"SELECT count(*) FROM {table}"))
    warehouse.execute(
        f"INSERT INTO {table} BY NAME SELECT {keys}, 0 AS value, 'zero' AS value_status, "
        f"{quote_literal(given.snapshot_id)} AS _snapshot_id, true AS _is_filled "
        f"FROM (SELECT * FROM {crossed}) ANTI JOIN {table} USING ({keys})"
    )
    return int(warehouse.scalar(f"SELECT count(*) FROM {table}")) - before

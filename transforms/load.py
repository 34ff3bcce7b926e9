"""From snapshot files to typed staging tables: scan once, account for every row, fill the absent cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from transforms.catalogue import Code, Source
from transforms.dictionary import Dictionary
from transforms.errors import DataRefused
from transforms.tables import SqlFile, create_table
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error, quote_identifier, quote_literal

if TYPE_CHECKING:
    import pyarrow as pa


# The absent cells of a rectangle, found by one bit per cell: half the time and a tenth of the memory of a join.


CELLS_AT_A_TIME = 2_000_000


def absent_cells(
    warehouse: Warehouse, table: str, codes: Mapping[str, Sequence[str]], period: str
) -> Iterator[pa.Table]:
    """Yield the combinations of `codes` (column -> codes) that no row of `table` has, about two million at a time.

    `period` is the column by which the bits are grouped; it must be in `codes`. Rows with other codes count for
    nothing. Nothing is absent where a column has no codes.
    """
    import pyarrow as pa

    if not all(codes.values()):
        return
    found: list[pa.Table] = []
    waiting = 0
    for moment, bits in _bits(warehouse, table, codes, period):
        part = _decoded(bits, moment, codes, period)
        found.append(part)
        waiting += part.num_rows
        if waiting >= CELLS_AT_A_TIME:
            yield pa.concat_tables(found)
            found, waiting = [], 0
    if waiting:
        yield pa.concat_tables(found)


def _bits(
    warehouse: Warehouse, table: str, codes: Mapping[str, Sequence[str]], period: str
) -> Iterator[tuple[str, str | None]]:
    """Yield each period asked for with a text of 0 and 1 per cell, or None when no row has the period."""
    # A constant list is looked up once per entry of a stored column's own dictionary: faster than a join, or an ENUM.
    places, only, cells = [], ["true"], 1
    for column in (name for name in codes if name != period):
        listed, name = ", ".join(map(quote_literal, codes[column])), quote_identifier(column)
        if len(codes[column]) == 1:  # a plain comparison does
            only.append(f"{name} = {listed}")
            continue
        cells, step = cells * len(codes[column]), cells
        places.append(f"({list(range(0, cells, step))}::BIGINT[])[list_position([{listed}], {name})]")
    rows = warehouse.rows(
        f"SELECT {quote_identifier(period)}, bitstring_agg({' + '.join(places) or '0'}, 0, {cells - 1})::VARCHAR "
        f"FROM {table} WHERE {' AND '.join(only)} GROUP BY ALL"
    )
    held = {moment: bits for moment, bits in rows if bits is not None}
    yield from ((moment, held.get(moment)) for moment in codes[period])


def _decoded(bits: str | None, moment: str, codes: Mapping[str, Sequence[str]], period: str) -> pa.Table:
    """Return the cells whose bit is 0 as columns of codes."""
    import numpy as np
    import pyarrow as pa

    others = {name: known for name, known in codes.items() if name != period}
    size = prod(len(known) for known in others.values())
    signs = np.zeros(size, np.uint8) if bits is None else np.frombuffer(bits.encode(), np.uint8) - ord("0")
    left = np.flatnonzero(signs == 0)
    columns = {period: pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(left), np.int32)), pa.array([moment]))}
    stride = 1
    for name, known in others.items():
        place = (left // stride % len(known)).astype(np.int32)
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(place), pa.array(list(known)))
        stride *= len(known)
    return pa.table(columns)


VALUE = "INDHOLD"


@dataclass(frozen=True)
class RejectedRow:
    """A row left out of the canonical rows: its file and row there, the rule it broke, and what it said."""

    file_name: str
    row: int
    rule: str
    text: str


@dataclass(frozen=True)
class Absent:
    """What a cell stands for that the rows lack: `zero` (the publisher leaves zeros out) or `missing`.

    `codes` gives dimension id -> the codes that are spanned; a dimension it does not name spans the codes of the rows.
    Of the dimensions in `within` only the combinations that the rows hold are spanned: others were not asked for.
    """

    status: Literal["zero", "missing"]
    codes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class CanonicalRows:
    """What one snapshot brings to a build, whatever register it is of.

    `paths`: CSV files (UTF-8, `;`, the source's dimension ids in upper case and INDHOLD, codes, numbers with a point,
    StatBank's marks). `rows`: their data lines, counted by whoever wrote them, else None. `rejected`: rows put aside
    before. `absent`: what the cells mean that the rows lack, empty when nothing is known. `new_codes`: dimension id ->
    codes that no code list has; they are kept as they came. `notes`: what was left out or assumed, in words.
    `repeated`: rows left out because another row says the same. Several `absent` are never joined to a larger one: what
    lies between two extracts was asked for in neither.
    """

    source: Source
    snapshot_id: str
    paths: Sequence[Path]
    rows: int | None = None
    rejected: Sequence[RejectedRow] = ()
    absent: Sequence[Absent] = ()
    new_codes: Mapping[str, Sequence[Code]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    repeated: int = 0


@dataclass(frozen=True)
class StagingCount:
    """What became of the rows of one source: read, loaded, rejected, absent cells filled, equal rows counted once.

    `absent_are_zero`: a cell that no row speaks of counts as zero, so no line may be lost. `each_cell_once`: looking
    for absent cells has shown that no two rows have one key.
    """

    rows_in: int
    rows_loaded: int
    rows_rejected: int
    rows_filled: int
    rows_repeated: int = 0
    absent_are_zero: bool = False
    each_cell_once: bool = False


def count_rows(path: Path) -> int:
    """Return the number of data lines of a text file (its header apart), counted outside the database."""
    lines = 0
    last = b"\n"
    with path.open("rb") as reader:
        while block := reader.read(1 << 22):
            lines += block.count(b"\n")
            last = block[-1:]
    return max(lines + (last != b"\n") - 1, 0)


def create_raw_view(warehouse: Warehouse, given: CanonicalRows) -> None:
    """Create `raw.<source>`: every column as text, straight from the files, bad lines kept as rejects."""
    ids = [dimension.id.upper() for dimension in given.source.dimensions] + [VALUE]
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in ids)
    scans = (
        f"SELECT *, {quote_literal(given.snapshot_id)} AS _snapshot_id FROM read_csv({quote_literal(str(path))}, "
        f"delim=';', header=true, auto_detect=false, quote='', escape='', nullstr='', "
        f"columns={{{columns}}}, store_rejects=true, rejects_limit=0)"
        for path in given.paths
    )
    view = f"raw.{quote_identifier(given.source.id)}"
    warehouse.execute(f"CREATE OR REPLACE VIEW {view} AS {' UNION ALL '.join(scans)}")


def create_empty_view(warehouse: Warehouse, source: Source) -> None:
    """Create `raw.<source>` without rows, so that a mapping can be built while a source is missing."""
    ids = [dimension.id.upper() for dimension in source.dimensions] + [VALUE, "_snapshot_id"]
    columns = ", ".join(f"CAST(NULL AS VARCHAR) AS {quote_identifier(name)}" for name in ids)
    warehouse.execute(f"CREATE OR REPLACE VIEW raw.{quote_identifier(source.id)} AS SELECT {columns} WHERE false")


def load_staging(warehouse: Warehouse, file: SqlFile, given: CanonicalRows, dictionary: Dictionary) -> StagingCount:
    """Fill one staging table from its snapshot; DataRefused when rows are lost on the way."""
    table = file.table
    try:
        create_raw_view(warehouse, given)
        create_table(warehouse, file, dictionary, {"_snapshot_id": given.snapshot_id})
        for name in ("reject_errors", "reject_scans"):
            warehouse.execute(f"DROP TABLE IF EXISTS {name}")
        warehouse.execute("SET preserve_insertion_order = false")
        warehouse.execute(
            f"INSERT INTO {table} BY NAME SELECT * EXCLUDE (_snapshot_id), false AS _is_filled FROM ({file.select})"
        )
        rejected = _move_rejects(warehouse, given)
        loaded = int(warehouse.scalar(f"SELECT count(*) FROM {table}"))
        fills = [_fill(warehouse, table, given, absent) for absent in given.absent]
        _quarantine(warehouse, given)
    except DatabaseError as error:
        raise explain_database_error(error, f"loading {given.source.id} from {given.paths[0].name}") from None
    rows_in = given.rows if given.rows is not None else sum(count_rows(path) for path in given.paths)
    if rows_in != loaded + rejected:
        raise DataRefused(
            f"{given.source.id}: {rows_in} rows in the files, but {loaded} loaded and {rejected} rejected; "
            f"the file may be cut off or hold stray line breaks; fetch it again"
        )
    before = len(given.rejected)
    return StagingCount(
        rows_in=rows_in + before + given.repeated,
        rows_loaded=loaded,
        rows_rejected=rejected + before,
        rows_filled=sum(filled for filled, _ in fills),
        rows_repeated=given.repeated,
        absent_are_zero=any(absent.status == "zero" for absent in given.absent),
        each_cell_once=any(is_single for _, is_single in fills),
    )


def _quarantine(warehouse: Warehouse, given: CanonicalRows) -> None:
    """Keep the rows that never became canonical, each with the rule it broke."""
    for reject in given.rejected:
        warehouse.execute(
            "INSERT INTO quarantine.row (source_id, _snapshot_id, file_name, row_number, rule_id, row_text) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [given.source.id, given.snapshot_id, reject.file_name, reject.row, reject.rule, reject.text],
        )


def _move_rejects(warehouse: Warehouse, given: CanonicalRows) -> int:
    """Keep the lines the scan could not read in `quarantine.row`; return how many lines."""
    exists = warehouse.scalar("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'")
    lines = "SELECT count(*) FROM (SELECT DISTINCT scan_id, file_id, line FROM reject_errors)"
    rejected = int(warehouse.scalar(lines)) if exists else 0
    if rejected:
        warehouse.execute(
            """
            INSERT INTO quarantine.row (source_id, _snapshot_id, file_name, row_number, rule_id, row_text)
            SELECT ?, ?, parse_filename(any_value(scans.file_path)), errors.line,
                   'line_readable: ' || lower(any_value(errors.error_type)::VARCHAR), trim(any_value(errors.csv_line))
            FROM reject_errors errors JOIN reject_scans scans USING (scan_id, file_id)
            GROUP BY scan_id, file_id, errors.line
            """,
            [given.source.id, given.snapshot_id],
        )
    return rejected


def _fill(warehouse: Warehouse, table: str, given: CanonicalRows, absent: Absent) -> tuple[int, bool]:
    """Add the cells that the rows lack as what they stand for; return how many, and whether each row has its own cell.

    Source for `zero`: BULK answers leave out every cell equal to the table's `suppressedDataValue` (0).
    """
    columns = {dimension.id.upper(): dimension.column for dimension in given.source.dimensions}
    known = {columns[name.upper()]: list(codes) for name, codes in absent.codes.items()}
    codes = {column: known.get(column) or _codes_of(warehouse, table, column) for column in columns.values()}
    within = ", ".join(quote_identifier(columns[name.upper()]) for name in absent.within)
    where = f" SEMI JOIN (SELECT DISTINCT {within} FROM {table}) USING ({within})" if within else ""
    named = ", ".join(quote_identifier(column) for column in codes)
    value = "0" if absent.status == "zero" else "NULL"
    before, held = int(warehouse.scalar(f"SELECT count(*) FROM {table}")), prod(map(len, codes.values()))
    for cells in absent_cells(warehouse, table, codes, given.source.time.column):
        held -= cells.num_rows
        with warehouse.registered("_absent", cells):
            warehouse.execute(
                f"INSERT INTO {table} BY NAME SELECT {named}, {value} AS value, "
                f"{quote_literal(absent.status)} AS value_status, true AS _is_filled FROM _absent{where}"
            )
    return int(warehouse.scalar(f"SELECT count(*) FROM {table}")) - before, held == before


def _codes_of(warehouse: Warehouse, table: str, column: str) -> list[str]:
    """Return the codes the rows hold."""
    name = quote_identifier(column)
    return [
        row[0] for row in warehouse.rows(f"SELECT DISTINCT {name} FROM {table} WHERE {name} IS NOT NULL ORDER BY 1")
    ]

"""The restricted database: person rows by pseudonym in an encrypted file, and the ledger of deliveries.

A delivery is one table of one municipality for one period. It replaces the delivery it corrects; the ledger keeps
every one ever received, without its content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from transforms.warehouse import Warehouse, quote_identifier, quote_literal, quote_table

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "restricted.duckdb"
LEDGER_COMMENT = "Alle modtagne leverancer / Every delivery received. One row per delivery; none is ever deleted."


@dataclass(frozen=True)
class Delivery:
    """One line of the ledger. `content_id` is a keyed hash of the bytes; counts are rows, persons are distinct."""

    delivery_id: str
    kind: str
    municipality_code: str | None
    period: str | None
    received_at: str
    content_id: str
    contract_version: int
    key_id: str
    verdict: str
    rows_in: int
    rows_accepted: int
    rows_rejected: int
    persons: int | None
    is_synthetic: bool
    superseded_by: str | None = None


_LEDGER_TYPES = {"contract_version": "INTEGER", "rows_in": "BIGINT", "rows_accepted": "BIGINT",
                 "rows_rejected": "BIGINT", "persons": "BIGINT", "is_synthetic": "BOOLEAN"}  # fmt: skip


@dataclass(frozen=True)
class RowRule:
    """A rule over stored columns: `breaks` is true where it is broken; `received_on` may be used in it."""

    id: str
    field: str
    breaks: str
    rejects: bool


@contextmanager
def open_restricted(
    folder: Path, key: str, *, read_only: bool = False, memory_limit: str = "1GB", threads: int = 2
) -> Iterator[Warehouse]:
    """Open the encrypted database in `folder` (mode 0700, file 0600), making both when absent.

    Raises UsageError when another process has it open or the key is not the one it was written with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / FILE
    with Warehouse.open(
        path,
        read_only=read_only,
        encryption_key=key,
        memory_limit=memory_limit,
        threads=threads,
        temp_directory=folder / "spill",
    ) as warehouse:
        # What does not fit in memory is spilled to disk; that must be unreadable too.
        warehouse.execute("SET temp_file_encryption = true; SET preserve_insertion_order = false")
        path.chmod(0o600)
        if not read_only:
            _create_ledger(warehouse)
        yield warehouse


def _create_ledger(warehouse: Warehouse) -> None:
    columns = ", ".join(f"{f.name} {_LEDGER_TYPES.get(f.name, 'VARCHAR')}" for f in fields(Delivery))
    if _exists(warehouse, "delivery"):
        return
    warehouse.execute("CREATE SCHEMA IF NOT EXISTS restricted")
    warehouse.execute(f"CREATE TABLE restricted.delivery ({columns})")
    warehouse.execute(f"COMMENT ON TABLE restricted.delivery IS {quote_literal(LEDGER_COMMENT)}")


def prepare_table(warehouse: Warehouse, table: str, columns: Mapping[str, str], comments: Mapping[str, str]) -> None:
    """Create `restricted.<table>` with `columns` (name -> SQL type), or add those a newer contract has."""
    name = quote_table(f"restricted.{table}")
    stored = {"delivery_id": "VARCHAR", "municipality_code": "VARCHAR", "_row_number": "BIGINT", **columns}
    present = (
        {column for column, _ in warehouse.columns(f"SELECT * FROM {name}")} if _exists(warehouse, table) else set()
    )
    if not present:
        listed = ", ".join(f"{quote_identifier(column)} {kind}" for column, kind in stored.items())
        warehouse.execute(f"CREATE TABLE {name} ({listed})")
    for column in [column for column in stored if column not in present]:
        quoted = quote_identifier(column)
        if present:
            warehouse.execute(f"ALTER TABLE {name} ADD COLUMN {quoted} {stored[column]}")
        if column in comments:
            warehouse.execute(f"COMMENT ON COLUMN {name}.{quoted} IS {quote_literal(comments[column])}")


def _exists(warehouse: Warehouse, table: str) -> bool:
    sql = (
        "SELECT count(*) FROM information_schema.tables WHERE table_catalog = current_database() "
        "AND table_schema = 'restricted' AND table_name = ?"
    )
    return bool(warehouse.scalar(sql, [table]))


def begin_incoming(warehouse: Warehouse, columns: Mapping[str, str]) -> None:
    """Make the empty temporary table a delivery's rows wait in until they are judged."""
    listed = ", ".join(
        f"{quote_identifier(column)} {kind}" for column, kind in {"_row_number": "BIGINT", **columns}.items()
    )
    warehouse.execute(f"CREATE OR REPLACE TEMP TABLE incoming ({listed})")


def add_incoming(warehouse: Warehouse, columns: Mapping[str, str], rows: pa.Table) -> None:
    """Add typed rows. `age_at_permit_years` is whole years from `birth_date`, which itself is not kept."""
    present = set(rows.column_names)
    chosen = []
    for column, kind in columns.items():
        if column == "age_at_permit_years":
            expression = "date_sub('year', birth_date, permit_date)"
        else:
            expression = quote_identifier(column) if column in present else "NULL"
        chosen.append(f"CAST({expression} AS {kind}) AS {quote_identifier(column)}")
    warehouse.register("_block", rows)
    try:
        warehouse.execute(
            f"INSERT INTO temp.incoming BY NAME SELECT row_number AS _row_number, {', '.join(chosen)} FROM _block"
        )
    finally:
        warehouse.unregister("_block")


def duplicate_rows(warehouse: Warehouse, key: Sequence[str]) -> list[int]:
    """Return the row numbers that repeat the key of an earlier row of the delivery."""
    columns = ", ".join(quote_identifier(column) for column in key)
    # Grouping by a hash first keeps the usual case, no duplicates, cheap for millions of rows.
    suspects = f"SELECT hash({columns}) AS h FROM temp.incoming GROUP BY h HAVING count(*) > 1"
    sql = (
        f"SELECT _row_number FROM temp.incoming WHERE hash({columns}) IN ({suspects}) "
        f"QUALIFY row_number() OVER (PARTITION BY {columns} ORDER BY _row_number) > 1 ORDER BY 1"
    )
    return [int(row) for (row,) in warehouse.rows(sql)]


def broken_rules(
    warehouse: Warehouse, rules: Sequence[RowRule], received_on: date, limit: int
) -> list[tuple[RowRule, int, list[int]]]:
    """Return (rule, rows breaking it, the first `limit` row numbers) for every rule broken, in one pass to count."""
    if not rules:
        return []
    source = _with_day(received_on)
    counts = ", ".join(f"count(*) FILTER (WHERE {rule.breaks})" for rule in rules)
    found = warehouse.rows(f"SELECT {counts} FROM {source}")[0]
    broken = []
    for rule, count in zip(rules, found, strict=True):
        if count:
            sql = f"SELECT _row_number FROM {source} WHERE {rule.breaks} ORDER BY 1 LIMIT {limit:d}"
            broken.append((rule, int(count), [int(row) for (row,) in warehouse.rows(sql)]))
    return broken


def remove_incoming(warehouse: Warehouse, rules: Sequence[RowRule], rows: Sequence[int], received_on: date) -> int:
    """Delete the rows that break a rejecting rule or are listed; return how many went."""
    import pyarrow as pa

    predicates = " OR ".join(f"({rule.breaks})" for rule in rules if rule.rejects) or "false"
    before = count_incoming(warehouse)
    warehouse.register("_listed", pa.table({"row": pa.array(rows, pa.int64())}))
    try:
        warehouse.execute(
            f"DELETE FROM temp.incoming WHERE _row_number IN (SELECT _row_number FROM {_with_day(received_on)} "
            f"WHERE {predicates}) OR _row_number IN (SELECT row FROM _listed)"
        )
    finally:
        warehouse.unregister("_listed")
    return before - count_incoming(warehouse)


def _with_day(received_on: date) -> str:
    return f"(SELECT *, DATE '{received_on.isoformat()}' AS received_on FROM temp.incoming)"


def count_incoming(warehouse: Warehouse) -> int:
    """Return the rows waiting."""
    return int(warehouse.scalar("SELECT count(*) FROM temp.incoming"))


def newest_date(warehouse: Warehouse, column: str, received_on: date) -> date | None:
    """Return the newest date of a column of the rows waiting that is not after their receipt."""
    quoted = quote_identifier(column)
    found = warehouse.scalar(f"SELECT max({quoted}) FROM temp.incoming WHERE {quoted} <= ?", [received_on])
    return found if isinstance(found, date) else None


def count_persons(warehouse: Warehouse) -> int:
    """Return the distinct persons among the rows waiting."""
    return int(warehouse.scalar("SELECT count(DISTINCT person_id) FROM temp.incoming"))


def store_incoming(warehouse: Warehouse, table: str, delivery: Delivery) -> None:
    """Move the rows waiting into `restricted.<table>` under their delivery."""
    warehouse.execute(
        f"INSERT INTO {quote_table(f'restricted.{table}')} BY NAME SELECT {quote_literal(delivery.delivery_id)} "
        f"AS delivery_id, {quote_literal(delivery.municipality_code or '')} AS municipality_code, * FROM temp.incoming"
    )


def next_delivery_id(warehouse: Warehouse) -> str:
    """Return the id of the next delivery: L000001, L000002, …"""
    return f"L{int(warehouse.scalar('SELECT count(*) FROM restricted.delivery')) + 1:06d}"


def current_delivery(warehouse: Warehouse, kind: str, municipality: str, period: str | None) -> Delivery | None:
    """Return the accepted delivery in force for municipality, kind and period, or None."""
    sql = (
        "SELECT * FROM restricted.delivery WHERE kind = ? AND municipality_code = ? AND period = ? "
        "AND verdict <> 'afvist' AND superseded_by IS NULL"
    )
    rows = warehouse.rows(sql, [kind, municipality, period])
    return Delivery(*rows[0]) if rows else None


def same_content(warehouse: Warehouse, kind: str, municipality: str | None, content_id: str) -> Delivery | None:
    """Return a delivery of the same bytes that is in force, or was refused and not followed by another."""
    sql = (
        "SELECT * FROM restricted.delivery WHERE kind = ? AND municipality_code IS NOT DISTINCT FROM ? "
        "AND content_id = ? AND superseded_by IS NULL ORDER BY delivery_id DESC LIMIT 1"
    )
    rows = warehouse.rows(sql, [kind, municipality, content_id])
    return Delivery(*rows[0]) if rows else None


def enter(warehouse: Warehouse, delivery: Delivery) -> None:
    """Write a delivery into the ledger."""
    marks = ", ".join("?" for _ in fields(Delivery))
    warehouse.execute(f"INSERT INTO restricted.delivery VALUES ({marks})", astuple(delivery))


def supersede(warehouse: Warehouse, table: str, replaced: Delivery, by: Delivery) -> None:
    """Delete the rows of the delivery that `by` corrects, and mark it in the ledger."""
    warehouse.execute(f"DELETE FROM {quote_table(f'restricted.{table}')} WHERE delivery_id = ?", [replaced.delivery_id])
    warehouse.execute(
        "UPDATE restricted.delivery SET superseded_by = ? WHERE delivery_id = ?",
        [by.delivery_id, replaced.delivery_id],
    )


def in_force(warehouse: Warehouse, table: str, kind: str) -> pa.Table:
    """Return the rows that count today: per municipality those of its newest accepted period, with `period`.

    Person rows: for aggregation under `transforms.disclosure` only, never for export.
    """
    name = quote_table(f"restricted.{table}")
    return warehouse.arrow(
        f"SELECT d.period, d.is_synthetic, t.* FROM {name} t JOIN ("
        "SELECT * FROM restricted.delivery WHERE kind = ? AND verdict <> 'afvist' AND superseded_by IS NULL "
        "QUALIFY row_number() OVER (PARTITION BY municipality_code ORDER BY period DESC) = 1) d USING (delivery_id) "
        "ORDER BY t.municipality_code, t._row_number",
        [kind],
    )


def person_tables(warehouse: Warehouse) -> list[str]:
    """Return the tables that hold pseudonyms."""
    sql = (
        "SELECT table_name FROM information_schema.columns WHERE table_catalog = current_database() "
        "AND table_schema = 'restricted' AND column_name = 'person_id' ORDER BY 1"
    )
    return [str(name) for (name,) in warehouse.rows(sql)]


def person_ids(warehouse: Warehouse, table: str) -> list[str]:
    """Return the distinct pseudonyms of a table."""
    sql = f"SELECT DISTINCT person_id FROM {quote_table(f'restricted.{table}')} WHERE person_id IS NOT NULL"
    return [str(name) for (name,) in warehouse.rows(sql)]


def replace_person_ids(warehouse: Warehouse, table: str, mapping: Mapping[str, str]) -> None:
    """Replace every pseudonym of a table by the one it is mapped to."""
    import pyarrow as pa

    warehouse.register(
        "_mapping",
        pa.table({"old": pa.array(list(mapping), pa.string()), "new": pa.array(list(mapping.values()), pa.string())}),
    )
    try:
        name = quote_table(f"restricted.{table}")
        warehouse.execute(f"UPDATE {name} SET person_id = m.new FROM _mapping m WHERE person_id = m.old")
    finally:
        warehouse.unregister("_mapping")


def copy_database(warehouse: Warehouse, source: Path, key: str) -> None:
    """Copy everything of another encrypted restricted database into this empty one."""
    warehouse.execute("DROP SCHEMA restricted CASCADE")
    warehouse.execute(f"ATTACH {quote_literal(str(source))} AS copied (ENCRYPTION_KEY {quote_literal(key)}, READ_ONLY)")
    warehouse.execute("COPY FROM DATABASE copied TO restricted_file")
    warehouse.execute("DETACH copied")

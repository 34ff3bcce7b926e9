"""The rows of one delivery while they are judged: a temporary table, whose rows move on together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from transforms.restricted import Delivery
from transforms.warehouse import Warehouse, quote_identifier, quote_literal, quote_table

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class RowRule:
    """A rule over stored columns: `breaks` is true where it is broken; `received_on` may be used in it."""

    id: str
    field: str
    breaks: str
    rejects: bool


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

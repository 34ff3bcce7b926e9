"""Superseded deliveries, and what was in force before them: their rows are kept for that, and deleted in time.

The rows of a delivery that is corrected move to `restricted.superseded_<table>`, where a build as of a day, or of a
frozen baseline, finds them again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from transforms.restricted import EVERYTHING, Delivery, Known, exists, ledger_time, prepare_table
from transforms.warehouse import Warehouse, quote_table

if TYPE_CHECKING:
    import pyarrow as pa


def supersede(warehouse: Warehouse, table: str, replaced: Delivery, by: Delivery) -> None:
    """Move the rows of the delivery that `by` corrects among the superseded ones, and mark it in the ledger."""
    name, kept = quote_table(f"restricted.{table}"), quote_table(f"restricted.{_superseded(table)}")
    prepare_table(warehouse, _superseded(table), dict(warehouse.columns(f"SELECT * FROM {name}")), {})
    replaced_id = [replaced.delivery_id]
    warehouse.execute(f"INSERT INTO {kept} BY NAME SELECT * FROM {name} WHERE delivery_id = ?", replaced_id)
    warehouse.execute(f"DELETE FROM {name} WHERE delivery_id = ?", replaced_id)
    warehouse.execute(
        "UPDATE restricted.delivery SET superseded_by = ? WHERE delivery_id = ?",
        [by.delivery_id, replaced.delivery_id],
    )


def _superseded(table: str) -> str:
    return f"superseded_{table}"


def deliveries_in_force(warehouse: Warehouse, known: Known = EVERYTHING, *, synthetic: bool) -> list[Delivery]:
    """Return the accepted deliveries, real or invented, that nothing known had superseded, by id."""
    sql = (
        "SELECT d.* FROM restricted.delivery d LEFT JOIN restricted.delivery later "
        f"ON later.delivery_id = d.superseded_by AND {_known('later')} "
        f"WHERE {_known('d')} AND d.verdict <> 'afvist' AND d.is_synthetic = ? AND later.delivery_id IS NULL "
        "ORDER BY d.delivery_id"
    )
    return [Delivery(*row) for row in warehouse.rows(sql, [*known.bounds, *known.bounds, synthetic])]


def _known(alias: str) -> str:
    """Return the predicate "this line of the ledger is known"; its parameters are `Known.bounds`."""
    return " AND ".join(
        f"{alias}.{column} <= coalesce(?, {alias}.{column})" for column in ("received_at", "delivery_id")
    )


def newest_periods(deliveries: Iterable[Delivery], kind: str) -> list[Delivery]:
    """Return of each municipality the delivery of a kind that counts: that of its newest period, by municipality."""
    of_kind = (delivery for delivery in deliveries if delivery.kind == kind)
    ordered = sorted(of_kind, key=lambda each: (each.municipality_code or "", each.period or "", each.delivery_id))
    return list({delivery.municipality_code: delivery for delivery in ordered}.values())


def rows_of(warehouse: Warehouse, table: str, deliveries: Sequence[Delivery]) -> pa.Table:
    """Return the stored rows of `deliveries`, superseded since or not, with their `period`; one row per stored row.

    Person rows: for aggregation under `transforms.disclosure` only, never for export.
    """
    names = [table]
    if any(delivery.superseded_by for delivery in deliveries) and exists(warehouse, _superseded(table)):
        names.append(_superseded(table))
    source = " UNION ALL BY NAME ".join(f"SELECT * FROM {quote_table(f'restricted.{name}')}" for name in names)
    return warehouse.arrow(
        f"SELECT d.period, d.is_synthetic, t.* FROM ({source}) t JOIN ("
        "SELECT * FROM restricted.delivery WHERE delivery_id IN (SELECT unnest(?))) d USING (delivery_id) "
        "ORDER BY t.municipality_code, t._row_number",
        [[delivery.delivery_id for delivery in deliveries]],
    )


def delete_superseded(warehouse: Warehouse, before: datetime, needed: Collection[str]) -> list[str]:
    """Delete the rows of deliveries superseded before a moment, save those of `needed`; return whose rows went, by id.

    Their lines stay in the ledger.
    """
    due = (
        "SELECT d.delivery_id FROM restricted.delivery d JOIN restricted.delivery later "
        "ON later.delivery_id = d.superseded_by WHERE later.received_at < ? AND d.delivery_id NOT IN (SELECT unnest(?))"
    )
    gone: set[str] = set()
    for table in _kept_tables(warehouse):
        sql = f"DELETE FROM {quote_table(f'restricted.{table}')} WHERE delivery_id IN ({due}) RETURNING delivery_id"
        gone |= {str(name) for (name,) in warehouse.rows(sql, [ledger_time(before), sorted(needed)])}
    return sorted(gone)


def _kept_tables(warehouse: Warehouse) -> list[str]:
    sql = (
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database() "
        "AND table_schema = 'restricted' AND starts_with(table_name, ?) ORDER BY 1"
    )
    return [str(name) for (name,) in warehouse.rows(sql, [_superseded("")])]

"""Given rows in, a model's SELECT run over them, its rows out: what the tests of the SQL models share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from transforms import tables
from transforms.dictionary import load_dictionary
from transforms.tables import load_reference, read_all, tables_read
from transforms.warehouse import Warehouse, quote_identifier, quote_table

Row = tuple[Any, ...]


@contextmanager
def warehouse_with_reference() -> Iterator[Warehouse]:
    """Yield a database in memory with schemas, macros and the project's own facts."""
    with Warehouse.open(threads=1) as warehouse:
        tables.prepare(warehouse)
        load_reference(warehouse)
        yield warehouse


def give(warehouse: Warehouse, table: str, columns: str, rows: Sequence[Row]) -> None:
    """Create `table` with these columns (types from the dictionary) and rows."""
    names = columns.split()
    types = load_dictionary().columns
    parts = ", ".join(f"{quote_identifier(name)} {types[name].type}" for name in names)
    warehouse.execute(f"CREATE OR REPLACE TABLE {quote_table(table)} ({parts})")
    marks = ", ".join("?" for _ in names)
    for row in rows:
        warehouse.execute(f"INSERT INTO {quote_table(table)} VALUES ({marks})", row)


def give_cells(warehouse: Warehouse, source: str, columns: str, cells: Sequence[Row]) -> None:
    """Create `staging.<source>` from cells whose last part is the figure's text as the publisher prints it."""
    rows = []
    for *keys, text in cells:
        value, status = warehouse.rows("SELECT stat_value(?), stat_status(?)", [text, text])[0]
        rows.append((*keys, value, status, f"{source}/now"))
    give(warehouse, f"staging.{source}", f"{columns} value value_status _snapshot_id", rows)


def select(warehouse: Warehouse, table: str, columns: str, where: str = "true") -> list[Row]:
    """Run the model's SELECT into the dictionary's types; return some columns, sorted; decimals as plain numbers.

    Tables it reads that were not given stand empty, with every column of the dictionary.
    """
    for read in tables_read(warehouse, read_all()[table].select):
        if not warehouse.exists(read):
            give(warehouse, read, " ".join(load_dictionary().columns), [])
    dictionary = load_dictionary()
    names = ", ".join(f"CAST({name} AS {dictionary.column(name, table).type}) AS {name}" for name in columns.split())
    found = warehouse.rows(f"SELECT {names} FROM ({read_all()[table].select}) WHERE {where} ORDER BY ALL")
    return [tuple(float(cell) if isinstance(cell, Decimal) else cell for cell in row) for row in found]

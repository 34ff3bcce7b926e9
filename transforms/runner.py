"""Build tables from SQL files: in the order of their dependencies, created from the dictionary."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from transforms.dictionary import Dictionary
from transforms.errors import DataRefused, UsageError
from transforms.sqlfile import SqlFile, tables_read
from transforms.warehouse import (
    DatabaseError,
    Warehouse,
    explain_database_error,
    quote_identifier,
    quote_literal,
    quote_table,
)

if TYPE_CHECKING:
    import pandas as pd

SCHEMAS = ("reference", "raw", "run", "model", "staging", "core", "mart", "meta", "quarantine")

STATUSES = ("observed", "zero", "suppressed", "missing", "not_applicable", "provisional", "estimated")
_STATUS = f"ENUM ({', '.join(map(quote_literal, STATUSES))})"

# What the marks of Statistics Denmark mean: `..` withheld, `-` nil, `.` cannot occur, `...` not available.
MACROS = """
CREATE OR REPLACE MACRO stat_value(v) AS
    CASE WHEN v = '-' THEN 0 ELSE TRY_CAST(v AS DECIMAL(18, 4)) END;
-- The column's own type, so that no row's status is looked up as a text.
CREATE OR REPLACE MACRO stat_status(v) AS
    CASE TRY_CAST(v AS DECIMAL(18, 4)) <> 0
        WHEN true THEN <observed>
        WHEN false THEN <zero>
        ELSE CASE WHEN v = '-' THEN <zero>
                  WHEN v = '..' THEN <suppressed>
                  WHEN v = '.' THEN <not_applicable>
                  WHEN v IS NULL OR v IN ('', '...') THEN <missing>
             END
    END;
-- The first day of a period: 2016, 2016K3 (quarter), 2016M07 (month).
CREATE OR REPLACE MACRO period_date(p) AS
    make_date(
        left(p, 4)::INTEGER,
        CASE substr(p, 5, 1) WHEN 'K' THEN 3 * substr(p, 6)::INTEGER - 2 WHEN 'M' THEN substr(p, 6)::INTEGER ELSE 1 END,
        1
    );
CREATE OR REPLACE MACRO end_of_november(p) AS make_date(left(p, 4)::INTEGER, 11, 30);
-- A sum is known only when all its parts are: a withheld or absent part is never taken for 0.
CREATE OR REPLACE MACRO status_of_sum(v, s, parts) AS
    CASE WHEN bool_or(s = 'suppressed') THEN 'suppressed'
         WHEN count(*) < parts OR bool_or(v IS NULL) THEN 'missing'
         WHEN sum(v) = 0 THEN 'zero'
         WHEN bool_or(s = 'estimated') THEN 'estimated'
         WHEN bool_or(s = 'provisional') THEN 'provisional'
         ELSE 'observed'
    END;
CREATE OR REPLACE MACRO sum_complete(v, s, parts) AS
    CASE WHEN count(*) < parts OR bool_or(v IS NULL) THEN NULL ELSE sum(v) END;
"""

ModelStep = Callable[[Warehouse], "pd.DataFrame"]


@dataclass(frozen=True)
class Model:
    """A table computed in Python: the tables it reads, and the function from the warehouse to its frame."""

    reads: frozenset[str]
    compute: ModelStep


@dataclass(frozen=True)
class Plan:
    """The tables in the order they can be built, and what each reads."""

    order: tuple[str, ...]
    reads: Mapping[str, frozenset[str]]


def prepare(warehouse: Warehouse) -> None:
    """Create the schemas and macros every build needs."""
    for schema in SCHEMAS:
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    warehouse.execute(re.sub("<([a-z_]+)>", rf"'\1'::{_STATUS}", MACROS))


def plan(warehouse: Warehouse, files: Mapping[str, SqlFile], models: Mapping[str, Model]) -> Plan:
    """Order tables and models by what they read.

    Raises UsageError for SQL that does not parse, a table read that nobody builds, or a circle.
    """
    reads: dict[str, frozenset[str]] = {name: model.reads for name, model in models.items()}
    for table, file in files.items():
        try:
            reads[table] = frozenset(tables_read(warehouse, file.select) - {table})
        except UsageError as error:
            raise UsageError(f"transforms/{table.replace('.', '/')}.sql: {error}") from None
    given = ("reference.", "raw.", "run.")
    for table, wanted in reads.items():
        unknown = sorted(name for name in wanted if name not in reads and not name.startswith(given))
        if unknown:
            raise UsageError(f"transforms/{table.replace('.', '/')}.sql reads {unknown[0]}, which nothing builds")
    try:
        sorter = TopologicalSorter({name: sorted(wanted & reads.keys()) for name, wanted in sorted(reads.items())})
        return Plan(tuple(sorter.static_order()), reads)
    except CycleError as error:
        raise UsageError(f"the tables depend on each other in a circle: {' -> '.join(error.args[1])}") from None


def create_table(warehouse: Warehouse, file: SqlFile, dictionary: Dictionary) -> None:
    """Create the empty table of a file: types, keys and checks from the dictionary, comments included.

    Staging tables get no key or checks in DDL (an index over ten million rows costs more than the load);
    the validation enforces the same facts there and moves the rows that break them to quarantine.
    """
    enforced = not file.table.startswith("staging.")
    names = [name for name, _ in warehouse.columns(file.select)]
    if not enforced:
        names.append("_is_filled")
    missing = [name for name in file.grain if name not in names]
    if missing:
        raise UsageError(f"transforms/{file.table.replace('.', '/')}.sql: the grain names {missing[0]}, no column")
    columns = {name: dictionary.column(name, file.table) for name in names}
    parts = [
        column.definition(
            name, key=enforced and name in file.grain, checked=enforced, listed=not enforced and name == "value_status"
        )
        for name, column in columns.items()
    ]
    if enforced:
        parts.append(f"PRIMARY KEY ({', '.join(quote_identifier(name) for name in file.grain)})")
    table = quote_table(file.table)
    warehouse.execute(f"DROP TABLE IF EXISTS {table}")
    warehouse.execute(f"CREATE TABLE {table} ({', '.join(parts)})")
    warehouse.execute(f"COMMENT ON TABLE {table} IS {quote_literal(file.comment())}")
    for name, column in columns.items():
        target = f"{table}.{quote_identifier(name)}"
        warehouse.execute(f"COMMENT ON COLUMN {target} IS {quote_literal(column.comment())}")


def build_table(warehouse: Warehouse, file: SqlFile, dictionary: Dictionary) -> int:
    """Create and fill one table; return its number of rows. DataRefused when the data break its contract."""
    try:
        create_table(warehouse, file, dictionary)
        order = ", ".join(quote_identifier(name) for name in file.grain)
        warehouse.execute(f"INSERT INTO {quote_table(file.table)} BY NAME FROM ({file.select}) ORDER BY {order}")
    except DatabaseError as error:
        raise explain_database_error(error, f"building {file.table}") from None
    return int(warehouse.scalar(f"SELECT count(*) FROM {quote_table(file.table)}"))


def build_model(warehouse: Warehouse, name: str, model: Model) -> int:
    """Compute one Python model into its `model.` table; return its number of rows."""
    frame = model.compute(warehouse)
    if frame.columns.duplicated().any():
        raise DataRefused(f"{name}: the model gives a column twice")
    warehouse.load(name, frame)
    return len(frame)


def build(
    warehouse: Warehouse,
    files: Mapping[str, SqlFile],
    models: Mapping[str, Model],
    dictionary: Dictionary,
    tables: Iterable[str],
    on_table: Callable[[str, int], None] = lambda table, rows: None,
) -> dict[str, int]:
    """Build `tables` (already in order) and return table -> rows."""
    counts: dict[str, int] = {}
    for table in tables:
        if table in models:
            counts[table] = build_model(warehouse, table, models[table])
        else:
            counts[table] = build_table(warehouse, files[table], dictionary)
        on_table(table, counts[table])
    return counts

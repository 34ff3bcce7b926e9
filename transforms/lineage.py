"""Rows for `meta`: what every column means, and which table is made from which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from transforms.dictionary import Dictionary
from transforms.runner import Plan
from transforms.sqlfile import SqlFile
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd


def lineage_frame(plan: Plan) -> pd.DataFrame:
    """Return one row per table and table it reads: table_name, reads_table."""
    import pandas as pd

    pairs = [(table, read) for table in plan.order for read in sorted(plan.reads[table])]
    return pd.DataFrame(sorted(pairs), columns=["table_name", "reads_table"])


def dictionary_frame(
    warehouse: Warehouse, files: Mapping[str, SqlFile], dictionary: Dictionary, sources: Mapping[str, str]
) -> pd.DataFrame:
    """Return one row per table and column of the database, with labels, type, unit, meaning and sources.

    `sources` gives table -> the ids of the sources it rests on, by lineage.
    """
    import pandas as pd

    rows = []
    for table, file in sorted(files.items()):
        names = warehouse.rows(
            "SELECT column_name, data_type, column_index FROM duckdb_columns() "
            "WHERE schema_name || '.' || table_name = ? ORDER BY column_index",
            [table],
        )
        for name, data_type, index in names:
            column = dictionary.column(name, table)
            rows.append(
                {
                    "table_name": table,
                    "column_name": name,
                    "column_position": index,
                    "data_type": data_type,
                    "unit": column.unit,
                    "label_da": column.label_da,
                    "label_en": column.label_en,
                    "description": column.description.strip(),
                    "allowed_values": ", ".join(column.allowed or ()) or None,
                    "is_key": name in file.grain,
                    "table_label_da": file.label_da,
                    "table_label_en": file.label_en,
                    "rests_on_sources": sources.get(table) or None,
                }
            )
    return pd.DataFrame(rows)


def sources_by_table(plan: Plan) -> dict[str, str]:
    """Return table -> the sources its rows come from, comma separated, followed through the lineage."""
    resolved: dict[str, frozenset[str]] = {}
    for table in plan.order:
        found: set[str] = set()
        for read in plan.reads[table]:
            if read.startswith("raw."):
                found.add(read.removeprefix("raw."))
            found |= resolved.get(read, frozenset())
        resolved[table] = frozenset(found)
    return {table: ", ".join(sorted(found)) for table, found in resolved.items()}

"""Rules every core and mart table must keep: its municipalities and indicators are known ones."""

from __future__ import annotations

from expectations.terms import Rule
from transforms.sqlfile import SqlFile
from transforms.warehouse import Warehouse

# Column -> what it may hold, the table that must be there to tell, and the words for it.
REFERENCES = {
    "municipality_code": (
        "SELECT code FROM reference.areas WHERE level = 'municipality'",
        "reference.areas",
        "one of the 98 municipalities",
    ),
    "peer_code": (
        "SELECT code FROM reference.areas WHERE level = 'municipality'",
        "reference.areas",
        "one of the 98 municipalities",
    ),
    "indicator_id": (
        # A finding may also rest on an answer of the organisation questionnaire, told by its column.
        "SELECT indicator_id FROM mart.indicator UNION ALL "
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'mart' AND table_name = 'organisation'",
        "mart.indicator",
        "an indicator of mart.indicator (or a column of mart.organisation)",
    ),
}


def rules_for_table(warehouse: Warehouse, file: SqlFile) -> list[Rule]:
    """Return the reference rules of one built core or mart table (foreign keys are checked here, not by DDL)."""
    if not file.table.startswith(("core.", "mart.")):
        return []
    columns = {name for name, _ in warehouse.columns(f"SELECT * FROM {file.table}")}
    return [
        Rule(
            rule_id=f"known_{column}",
            table=file.table,
            kind="set",
            severity="critical",
            action="stop",
            description=f"{column} must be {words}",
            sql=f"SELECT {column}, count(*) AS rows_found FROM {file.table} "
            f"WHERE {column} NOT IN ({allowed}) GROUP BY {column}",
        )
        for column, (allowed, needed, words) in REFERENCES.items()
        if column in columns and needed != file.table and warehouse.exists(needed)
    ]

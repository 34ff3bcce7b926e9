"""What changed since the last published build: lost figures stop, moved figures are reported.

Only sources with the same origin as then are compared (a build on the sample world says nothing about a live one), and
builds that know the same point in time (`as_of`): a build as of 2016 rightly lacks the figures of 2020. A dimension
that came under another id, as its source file allows, may have other parts: who wrote that line knows what is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expectations import check
from expectations.rules import FOLDER, Outcome, Rule, SqlTemplates
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error

OLD = "previous_build"
NEEDED = ("mart.indicator_value", "meta.snapshot", "meta.run")
SQL = SqlTemplates(FOLDER / "drift", {"old": OLD})
TABLES = ("source", "cell", "rolled")
VALUES, SNAPSHOTS = "mart.indicator_value", "meta.snapshot"
RULES = {
    "drift_indicator_withdrawn": VALUES,
    "drift_indicator_lost": VALUES,
    "drift_municipality_lost": VALUES,
    "drift_period_lost": VALUES,
    "drift_cells_lost": VALUES,
    "drift_newly_suppressed": VALUES,
    "drift_values_moved": VALUES,
    "drift_source_shrunk": SNAPSHOTS,
    "drift_source_grew": SNAPSHOTS,
    "drift_reference_changed": SNAPSHOTS,
}
"""Every rule in the order in which it is told, with the table it is about."""


def check_drift(warehouse: Warehouse, previous: Path) -> list[Outcome]:
    """Compare the build with the database file published before it; return one outcome per drift rule.

    Nothing is compared (no outcomes) with a file from before these tables existed. Raises DataRefused or UsageError
    when the file cannot be read.
    """
    try:
        warehouse.attach(previous, OLD)
        try:
            return _run(warehouse) if _is_comparable(warehouse) else []
        finally:
            warehouse.detach(OLD)
    except DatabaseError as error:
        raise explain_database_error(error, f"comparing with {previous.name}") from None


def drift_rules(reference_files: Sequence[str]) -> list[Rule]:
    """Return the rules; `reference_files` are the tables of both builds that hold one."""
    return [SQL.rule(name, table, reference_files=reference_files) for name, table in RULES.items()]


def _run(warehouse: Warehouse) -> list[Outcome]:
    for name in TABLES:
        warehouse.execute(f"CREATE OR REPLACE TEMP TABLE drift_{name} AS {SQL.sql(f'tables/{name}.sql')}")
    both = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'reference' GROUP BY ALL HAVING count(*) = 2"
    rules = drift_rules(sorted(name for (name,) in warehouse.rows(both)))
    check.plan(warehouse, rules)
    for table, looked_at in ((VALUES, "drift_cell"), (SNAPSHOTS, "drift_source")):
        ours = [rule for rule in rules if rule.table == table]
        check.run(warehouse, ours, {}, check.row_count(warehouse, looked_at))
    for name in TABLES:
        warehouse.execute(f"DROP TABLE drift_{name}")
    return check.outcomes(warehouse, rules)


def _is_comparable(warehouse: Warehouse) -> bool:
    tables = "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_catalog = ?"
    return {name for (name,) in warehouse.rows(tables, [OLD])}.issuperset(NEEDED)

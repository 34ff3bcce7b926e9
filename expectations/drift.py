"""What changed since the last published build: lost figures stop, moved figures are reported.

Only sources with the same origin as then are compared (a build on the sample world says nothing about a live one), and
builds that know the same point in time (`as_of`): a build as of 2016 rightly lacks the figures of 2020. A dimension
that came under another id, as its source file allows, may have other parts: who wrote that line knows what is lost.
"""

from __future__ import annotations

from pathlib import Path

from expectations import check
from expectations.derived import NOTHING
from expectations.rules import Outcome, Rule, Severity, set_rule
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error

OLD = "previous_build"
NEEDED = ("mart.indicator_value", "meta.snapshot", "meta.run")
# A cell has moved when it differs by more than a tenth, and by more than rounding: half a unit (or half a point).
MOVED_SHARE, MOVED_UNITS = 0.10, 0.5
# An indicator is reported when more than a tenth of its cells moved: revisions touch most cells a little, breaks many.
MOVED_CELLS = 0.10
# Publishers withdraw single cells; more than one in a hundred is a loss.
LOST_CELLS = 0.01
# A source shrinks by withdrawn codes, not by a fifth; it grows by one period a year, hence seldom by half.
SHRUNK, GREW = 0.8, 1.5

CELLS = f"""
CREATE OR REPLACE TEMP TABLE drift_cell AS
SELECT indicator_id, municipality_code, period, old.value AS old_value, new.value AS new_value,
       new.value_status AS new_status,
       new.value_status IS NULL OR new.value_status = 'missing' AS is_lost
FROM (
    SELECT * FROM {OLD}.mart.indicator_value
    WHERE value IS NOT NULL AND split_part(_snapshot_id, '/', 1) IN (SELECT source_id FROM drift_source)
) AS old
LEFT JOIN mart.indicator_value AS new USING (indicator_id, municipality_code, period)
"""
SOURCES = f"""
CREATE OR REPLACE TEMP TABLE drift_source AS
SELECT old.source_id, old.rows_loaded_count AS rows_before, new.rows_loaded AS rows_now
FROM {OLD}.meta.snapshot AS old LEFT JOIN run.snapshot AS new USING (source_id)
WHERE (SELECT any_value(as_of) FROM run.run) IS NOT DISTINCT FROM (SELECT any_value(as_of) FROM {OLD}.meta.run)
  AND CASE WHEN new.source_id IS NULL
           THEN (SELECT any_value(origin) FROM run.run) = (SELECT any_value(origin) FROM {OLD}.meta.run)
           ELSE new.origin = old.origin AND new.is_synthetic = old.is_synthetic AND NOT new.is_renamed END
"""
# Queries such as «the last six years» drop the oldest period when a new one arrives: that is no loss.
ROLLED = """
CREATE OR REPLACE TEMP TABLE drift_rolled AS
SELECT indicator_id, old.period
FROM (SELECT DISTINCT indicator_id, period FROM drift_cell) AS old
JOIN (SELECT indicator_id, min(period) AS oldest, count(DISTINCT period) AS periods
      FROM mart.indicator_value WHERE value IS NOT NULL GROUP BY ALL) AS new USING (indicator_id)
WHERE old.period < new.oldest
  AND new.periods >= (SELECT count(DISTINCT period) FROM drift_cell AS c WHERE c.indicator_id = old.indicator_id)
"""
KEPT = "drift_cell ANTI JOIN drift_rolled USING (indicator_id, period)"
DEFINED = "indicator_id IN (SELECT indicator_id FROM mart.indicator)"
LOST_WHOLLY = f"SELECT indicator_id FROM {KEPT} WHERE {DEFINED} GROUP BY indicator_id HAVING bool_and(is_lost)"
STILL = f"{KEPT} ANTI JOIN ({LOST_WHOLLY}) USING (indicator_id)"

RULES: dict[str, tuple[Severity, str, str]] = {
    "drift_indicator_withdrawn": (
        "warning",
        "an indicator of the last build is no longer defined",
        f"SELECT DISTINCT indicator_id FROM drift_cell WHERE NOT ({DEFINED})",
    ),
    "drift_indicator_lost": ("critical", "an indicator must not lose all its published values", LOST_WHOLLY),
    "drift_municipality_lost": (
        "critical",
        "a municipality must not lose all its published values of an indicator",
        f"SELECT indicator_id, municipality_code FROM {STILL} WHERE {DEFINED} GROUP BY ALL HAVING bool_and(is_lost)",
    ),
    "drift_period_lost": (
        "critical",
        "a published period must not disappear, unless a query for the latest periods moved on",
        f"SELECT indicator_id, period FROM {STILL} WHERE {DEFINED} GROUP BY ALL HAVING bool_and(is_lost)",
    ),
    "drift_cells_lost": (
        "critical",
        f"an indicator must not lose more than {LOST_CELLS * 100:g} % of its published cells",
        f"SELECT indicator_id, count(*) AS cells, count_if(is_lost) AS lost FROM {STILL} WHERE {DEFINED} "
        f"GROUP BY ALL HAVING lost > {LOST_CELLS} * cells",
    ),
    "drift_newly_suppressed": (
        "warning",
        "a figure published before is now withheld",
        "SELECT indicator_id, count(*) AS cells FROM drift_cell WHERE new_status = 'suppressed' GROUP BY ALL",
    ),
    "drift_values_moved": (
        "warning",
        f"in more than {MOVED_CELLS * 100:g} % of its cells the indicator moved by more than {MOVED_SHARE * 100:g} %",
        "SELECT indicator_id, count(new_value) AS cells, count_if("
        f"abs(new_value - old_value) > greatest({MOVED_SHARE} * abs(old_value), {MOVED_UNITS})) AS moved "
        f"FROM drift_cell GROUP BY ALL HAVING moved > {MOVED_CELLS} * cells",
    ),
    "drift_source_shrunk": (
        "critical",
        f"a source must not bring fewer than {SHRUNK * 100:g} % of the rows of the last build",
        f"SELECT source_id, rows_before, rows_now FROM drift_source WHERE rows_now < {SHRUNK} * rows_before",
    ),
    "drift_source_grew": (
        "warning",
        f"a source brings more than {GREW * 100:g} % of the rows of the last build",
        f"SELECT source_id, rows_before, rows_now FROM drift_source WHERE rows_now > {GREW} * rows_before",
    ),
}


def _changed_reference(warehouse: Warehouse) -> str:
    """Return a SELECT of the reference files with other lines than those published before, and how many of each."""
    names = warehouse.rows(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'reference' GROUP BY ALL HAVING count(*) = 2"
    )
    lines = "(SELECT line::VARCHAR FROM {}reference.{} AS line)"
    other = "(SELECT count(*) FROM ({} EXCEPT ALL {}))"
    pairs = [(name, lines.format(f"{OLD}.", name), lines.format("", name)) for (name,) in sorted(names)]
    each = [
        f"SELECT '{name}' AS file, {other.format(a, b)} AS gone, {other.format(b, a)} AS new" for name, a, b in pairs
    ]
    return f"SELECT * FROM ({' UNION ALL '.join(each)}) WHERE gone + new > 0" if each else NOTHING


def check_drift(warehouse: Warehouse, previous: Path) -> list[Outcome]:
    """Compare the build with the database file published before it; return one outcome per drift rule.

    Nothing is compared (no outcomes) with a file from before these tables existed. Raises DataRefused or UsageError
    when the file cannot be read.
    """
    try:
        warehouse.attach(previous, OLD)
        try:
            if not _is_comparable(warehouse):
                return []
            for sql in (SOURCES, CELLS, ROLLED):
                warehouse.execute(sql)
            return _run(warehouse)
        finally:
            warehouse.detach(OLD)
    except DatabaseError as error:
        raise explain_database_error(error, f"comparing with {previous.name}") from None


def _run(warehouse: Warehouse) -> list[Outcome]:
    scanned = {name: int(warehouse.scalar(f"SELECT count(*) FROM {name}")) for name in ("drift_cell", "drift_source")}
    rules = [_rule(rule_id, *parts) for rule_id, parts in RULES.items()]
    changed = "a reference file has other lines than in the last publication"
    rules.append(_rule("drift_reference_changed", "warning", changed, _changed_reference(warehouse)))
    check.prepare(warehouse)
    check.plan(warehouse, rules)
    for rule in rules:
        check.run_set_rule(warehouse, rule, {})
        rows = scanned["drift_source" if rule.table == "meta.snapshot" else "drift_cell"]
        check.mark_run(warehouse, [rule], rows)
    for name in ("drift_cell", "drift_source", "drift_rolled"):
        warehouse.execute(f"DROP TABLE {name}")
    return check.outcomes(warehouse, rules)


def _rule(rule_id: str, severity: Severity, description: str, sql: str) -> Rule:
    table = "meta.snapshot" if rule_id.startswith(("drift_source", "drift_reference")) else "mart.indicator_value"
    return set_rule(table, rule_id, severity, description, sql)


def _is_comparable(warehouse: Warehouse) -> bool:
    tables = "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_catalog = ?"
    return {name for (name,) in warehouse.rows(tables, [OLD])}.issuperset(NEEDED)

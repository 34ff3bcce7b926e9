"""Run the rules inside the database and say what came of them. No Great Expectations here: see validate.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expectations import record
from expectations.drift import check_drift
from expectations.quarantine import account_rules, find_bad_rows, move_bad_rows
from expectations.rules import read_rule_files, rules_for_staging
from expectations.table_rules import rules_for_table
from expectations.terms import Outcome, Rule, blocking, verdict_sentence
from transforms.catalogue import Catalogue, Source
from transforms.dictionary import Dictionary
from transforms.sqlfile import SqlFile
from transforms.staging import StagingCount
from transforms.warehouse import Warehouse

__all__ = ["Outcome", "blocking", "check_drift", "check_staging", "check_tables", "verdict_sentence"]


def check_staging(
    warehouse: Warehouse,
    source: Source,
    file: SqlFile,
    dictionary: Dictionary,
    catalogue: Catalogue,
    count: StagingCount,
) -> list[Outcome]:
    """Check one loaded staging table, move its bad rows to `quarantine.row`, and return one outcome per rule.

    First the rules for single rows, whose bad rows leave the table; then, on what is left, the rules for the table.
    """
    own = [rule for rule in read_rule_files() if rule.table == file.table and rule.action == "quarantine"]
    rules = [*rules_for_staging(source, file, dictionary, catalogue), *own]
    rows = [rule for rule in rules if rule.kind == "row"]
    moving = [rule for rule in rules if rule.kind == "set" and rule.action == "quarantine"]
    tables = [rule for rule in rules if rule.kind == "set" and rule.action != "quarantine"]
    tables += account_rules(source, file, count)

    record.prepare(warehouse)
    record.plan(warehouse, [*rows, *moving, *tables])
    delivered = int(warehouse.scalar(f"SELECT count(*) FROM {file.table} WHERE NOT _is_filled"))
    proven: dict[str, bool] = {}
    find_bad_rows(warehouse, file.table, rows)
    _run(warehouse, moving, proven)
    move_bad_rows(warehouse, source, file)
    record.mark_run(warehouse, [*rows, *moving], delivered)
    _run(warehouse, tables, proven)
    record.mark_run(warehouse, tables, int(warehouse.scalar(f"SELECT count(*) FROM {file.table}")))
    return record.outcomes(warehouse, [*rows, *moving, *tables])


def check_tables(
    warehouse: Warehouse, files: Mapping[str, SqlFile], dictionary: Dictionary, catalogue: Catalogue
) -> list[Outcome]:
    """Run every rule that looks across tables: the written ones, and those derived for core and mart tables.

    A rule whose table was not built is reported as not run, which stops the publication. A rule over the staging
    table of a source that is missing is not planned: it has nothing to look at, and the summary names the source.
    """
    written = [rule for rule in read_rule_files() if rule.table in files and rule.action != "quarantine"]
    written = [rule for rule in written if not _is_missing_source(warehouse, rule.table)]
    built = [file for file in files.values() if warehouse.exists(file.table)]
    derived = [rule for file in built for rule in rules_for_table(warehouse, file)]
    rules = [*written, *derived]
    record.prepare(warehouse)
    record.plan(warehouse, rules)
    for table in sorted({rule.table for rule in rules if warehouse.exists(rule.table)}):
        ours = [rule for rule in rules if rule.table == table]
        _run(warehouse, ours, {})
        record.mark_run(warehouse, ours, int(warehouse.scalar(f"SELECT count(*) FROM {table}")))
    return record.outcomes(warehouse, rules)


def _is_missing_source(warehouse: Warehouse, table: str) -> bool:
    """Tell whether a staging table stands empty; one that was loaded has rows, or its own rules have stopped it."""
    return table.startswith("staging.") and warehouse.scalar(f"SELECT 1 FROM {table} LIMIT 1") is None


def _run(warehouse: Warehouse, rules: Sequence[Rule], proven: dict[str, bool]) -> None:
    for rule in rules:
        record.run_set_rule(warehouse, rule, proven)

"""Run the rules inside the database and say what came of them. No Great Expectations here: see validate.py."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from expectations import history
from expectations.derived import SQL as STAGING
from expectations.derived import protection_rules, rules_for_staging, rules_for_table
from expectations.history import history_rules, series_of
from expectations.rules import Outcome, Rule, read_rule_files
from transforms.catalogue import Catalogue, Source
from transforms.dictionary import Dictionary
from transforms.errors import UsageError
from transforms.load import VALUE, StagingCount
from transforms.tables import SqlFile
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error, quote_identifier, quote_literal

# The record of a validation inside the database: what was planned, what was run, what was found.
#
# `quarantine.rule_plan` and `quarantine.rule_run` stand beside `quarantine.violation`, since an empty table of
# violations proves nothing unless it is known which rules looked at how many rows.


EXAMPLES = 3
_STAGING = re.compile(r"\bstaging\.\w+")
# A Danish personal number (ddmmyy-nnnn), with or without its dash.
PERSONAL = r"\b[0-3][0-9][01][0-9]{3}-?[0-9]{4}\b"
TABLES = {
    "rule_plan": (
        "table_name VARCHAR, rule_id VARCHAR, severity VARCHAR, action VARCHAR, description VARCHAR",
        "Planlagte regler / Rules planned. One row per rule a build must run. Grain: table_name, rule_id.",
    ),
    "rule_run": (
        "rule_id VARCHAR, table_name VARCHAR, rows_scanned BIGINT, executed BOOLEAN",
        "Udførte regler / Rules run. One row per rule that was run, with the rows it looked at. "
        "Grain: table_name, rule_id.",
    ),
    "violation": (
        "table_name VARCHAR, rule_id VARCHAR, row_id BIGINT, detail VARCHAR",
        "Brud / Violations. One row per row or key that broke a rule; row_id is the row's number in the table as it "
        "was checked.",
    ),
}


def prepare(warehouse: Warehouse) -> None:
    """Create the three tables of the record where they are not there yet."""
    warehouse.execute("CREATE SCHEMA IF NOT EXISTS quarantine")
    for name, (columns, comment) in TABLES.items():
        warehouse.execute(f"CREATE TABLE IF NOT EXISTS quarantine.{name} ({columns})")
        warehouse.execute(f"COMMENT ON TABLE quarantine.{name} IS {quote_literal(comment)}")


def plan(warehouse: Warehouse, rules: Sequence[Rule]) -> None:
    """Write down the rules about to be run, and forget what an earlier run of the same rules found."""
    prepare(warehouse)
    if not rules:
        return
    # One statement for all rules: hundreds of small ones cost more than the rules themselves.
    keys = ", ".join(f"({quote_literal(rule.table)}, {quote_literal(rule.rule_id)})" for rule in rules)
    for name in TABLES:
        warehouse.execute(f"DELETE FROM quarantine.{name} WHERE (table_name, rule_id) IN ({keys})")
    told = [(rule.table, rule.rule_id, rule.severity, rule.action, rule.description) for rule in rules]
    _insert(warehouse, "rule_plan", told)


def mark_run(warehouse: Warehouse, rules: Sequence[Rule], rows_scanned: int) -> None:
    """Write down that the rules were run over so many rows."""
    _insert(warehouse, "rule_run", [(rule.rule_id, rule.table, rows_scanned, True) for rule in rules])


def _insert(warehouse: Warehouse, table: str, rows: Sequence[tuple[str | int | None, ...]]) -> None:
    if not rows:
        return
    one = f"({', '.join('?' for _ in rows[0])})"
    warehouse.execute(
        f"INSERT INTO quarantine.{table} VALUES {', '.join(one for _ in rows)}", [cell for row in rows for cell in row]
    )


def run(warehouse: Warehouse, rules: Sequence[Rule], proven: dict[str, bool], rows_scanned: int) -> None:
    """Store the violations of set rules over so many rows; `proven` remembers proofs shared by rules of one table."""
    for rule in rules:
        run_set_rule(warehouse, rule, proven)
    mark_run(warehouse, rules, rows_scanned)


def row_count(warehouse: Warehouse, table: str) -> int:
    """Return the number of rows of a table."""
    return int(warehouse.scalar(f"SELECT count(*) FROM {table}"))


def run_set_rule(warehouse: Warehouse, rule: Rule, proven: dict[str, bool]) -> None:
    """Store the violations of one set rule; `proven` remembers proofs shared by rules of the same table.

    Raises UsageError naming the rule when its SQL cannot be run.
    """
    try:
        if rule.proof is not None and rule.proof not in proven:
            proven[rule.proof] = bool(warehouse.scalar(rule.proof))
        # Most rules find nothing, and planning them costs more than running them: once, then.
        if proven.get(rule.proof or "") or not (names := warehouse.columns_if_any(rule.sql)):
            return
        row_id = "row_id" if "row_id" in names else "NULL"
        shown = detail_of([name for name in names if name != "row_id"])
        warehouse.execute(
            f"INSERT INTO quarantine.violation SELECT {quote_literal(rule.table)}, {quote_literal(rule.rule_id)}, "
            f"{row_id}, {shown} FROM ({rule.sql})"
        )
    except DatabaseError as error:
        told = explain_database_error(error, f"rule {rule.rule_id} of {rule.table} cannot be run")
        raise told if isinstance(told, UsageError) else UsageError(f"{told}; correct its SQL") from None


def proven_by_loading(rules: Iterable[Rule], count: StagingCount) -> dict[str, bool]:
    """Return the proofs that loading has already led: that no two rows have one key."""
    return {rule.proof: True for rule in rules if rule.proof and rule.rule_id == "unique_key" and count.each_cell_once}


def detail_of(columns: Sequence[str]) -> str:
    """Return SQL for the short text `column=value, …` of a row, personal numbers masked."""
    if not columns:
        return "NULL"
    parts = ", ".join(f"{quote_literal(name + '=')} || {plain_text(quote_identifier(name))}" for name in columns)
    return masked(f"concat_ws(', ', {parts})")


def plain_text(expression: str) -> str:
    """Return SQL for a value as text: decimals without trailing zeros, NULL stays NULL."""
    return f"regexp_replace({expression}::VARCHAR, '^(-?[0-9]+)(\\.0+|(\\.[0-9]*[1-9])0+)$', '\\1\\3')"


def masked(expression: str) -> str:
    """Return SQL for a text in which everything that looks like a personal number is starred."""
    return f"regexp_replace({expression}, {quote_literal(PERSONAL)}, '******-****', 'g')"


def outcomes(warehouse: Warehouse, rules: Sequence[Rule]) -> list[Outcome]:
    """Return what the record holds about each rule; a planned rule that was never run has failed, critically."""
    found = {
        (table, rule): (int(number), int(scanned), tuple(examples or ()))
        for table, rule, scanned, number, examples in warehouse.rows(
            "SELECT table_name, rule_id, rows_scanned, count(violation.rule_id), "
            f"list(detail ORDER BY row_id, detail) FILTER (WHERE detail IS NOT NULL)[:{EXAMPLES}] "
            "FROM quarantine.rule_run LEFT JOIN quarantine.violation USING (table_name, rule_id) "
            "WHERE executed GROUP BY ALL"
        )
    }
    return [_outcome(rule, found.get((rule.table, rule.rule_id))) for rule in rules]


def _outcome(rule: Rule, found: tuple[int, int, tuple[str, ...]] | None) -> Outcome:
    if found is not None:
        return rule.found(*found)
    told = f"the rule was not run: {rule.description}"
    return Outcome(rule.rule_id, rule.table, "critical", "stop", told, 0, 0, (), False)


def planned(warehouse: Warehouse) -> set[tuple[str, str]]:
    """Return (table, rule) of every rule that was planned."""
    return {(row[0], row[1]) for row in warehouse.rows("SELECT table_name, rule_id FROM quarantine.rule_plan")}


def add_foreign(warehouse: Warehouse, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes that were not found by rules of this package (the age of a source, say) into the record."""
    prepare(warehouse)
    known = planned(warehouse)
    for outcome in (each for each in outcomes if (each.table_name, each.rule_id) not in known):
        facts = (outcome.severity, outcome.action, outcome.description)
        rule = Rule(outcome.rule_id, outcome.table_name, "set", *facts, "")
        plan(warehouse, [rule])
        mark_run(warehouse, [rule], outcome.rows_scanned)
        details = [*outcome.examples, *[None] * outcome.n_violations][: outcome.n_violations]
        _insert(warehouse, "violation", [(rule.table, rule.rule_id, None, detail) for detail in details])


# Bad rows of a staging table: found in one pass, moved to `quarantine.row`, and accounted for.


def find_bad_rows(warehouse: Warehouse, table: str, rules: Sequence[Rule]) -> None:
    """Store the violations of all row rules in one pass, over the cells that were filled as over the rows that came.

    The filter drops the good rows at once; which rules a bad row breaks is worked out for the few that are left.
    """
    cases = ", ".join(f"CASE WHEN {rule.sql} THEN {quote_literal(rule.rule_id)} END" for rule in rules)
    any_rule = " OR ".join(f"({rule.sql})" for rule in rules)
    warehouse.execute(
        f"INSERT INTO quarantine.violation SELECT {quote_literal(table)}, "
        f"unnest(list_filter([{cases}], lambda rule: rule IS NOT NULL)), rowid, NULL "
        f"FROM {table} WHERE {any_rule}"
    )


def move_bad_rows(warehouse: Warehouse, source: Source, file: SqlFile) -> None:
    """Move every row that a violation points to into `quarantine.row`, one line per rule it breaks.

    Rows of deliveries speak of persons: they leave no text, neither in quarantine nor in the examples.
    """
    ours = f"table_name = {quote_literal(file.table)}"
    if not warehouse.scalar(f"SELECT count(*) FROM quarantine.violation WHERE {ours}"):
        return
    warehouse.execute(
        f"CREATE OR REPLACE TEMP TABLE bad_row AS SELECT rowid AS row_id, *, NULL::VARCHAR AS {VALUE} "
        f"FROM {file.table} WHERE rowid IN (SELECT row_id FROM quarantine.violation WHERE {ours})"
    )
    shown = [*file.grain, "value", VALUE] if source.dimensions else []
    if shown:
        _find_texts_as_delivered(warehouse, source)
    values = ", ".join(f"{quote_identifier(name)} := {plain_text(quote_identifier(name))}" for name in shown)
    text = masked(f"to_json(struct_pack({values}))::VARCHAR") if shown else "NULL"
    warehouse.execute(
        "INSERT INTO quarantine.row (source_id, _snapshot_id, file_name, row_number, rule_id, row_text) "
        f"SELECT {quote_literal(source.id)}, _snapshot_id, {quote_literal(file.table)}, row_id, rule_id, {text} "
        f"FROM bad_row JOIN quarantine.violation USING (row_id) WHERE {ours}"
    )
    warehouse.execute(
        f"UPDATE quarantine.violation SET detail = {detail_of(shown)} FROM bad_row "
        f"WHERE violation.row_id = bad_row.row_id AND {ours}"
    )
    warehouse.execute(f"DELETE FROM {file.table} WHERE rowid IN (SELECT row_id FROM bad_row)")
    warehouse.execute("DROP TABLE bad_row")


def _find_texts_as_delivered(warehouse: Warehouse, source: Source) -> None:
    """Put the figures that could not be read beside the bad rows, as the file has them (the file is read again)."""
    unreadable = warehouse.scalar("SELECT count(*) FROM bad_row WHERE value_status IS NULL")
    if not unreadable or not warehouse.exists(f"raw.{source.id}"):
        return
    names = [(quote_identifier(d.column), quote_identifier(d.id.upper())) for d in source.dimensions]
    warehouse.execute(
        f"CREATE OR REPLACE TEMP TABLE given AS SELECT {', '.join(there for _, there in names)}, {VALUE} "
        f"FROM raw.{quote_identifier(source.id)} WHERE stat_status({VALUE}) IS NULL"
    )
    same = " AND ".join(f"bad_row.{here} = given.{there}" for here, there in names)
    warehouse.execute(f"UPDATE bad_row SET {VALUE} = given.{VALUE} FROM given WHERE value_status IS NULL AND {same}")
    warehouse.execute("DROP TABLE given")


def account_rules(source: Source, file: SqlFile, count: StagingCount) -> list[Rule]:
    """Return the rules that no row was lost, that few are in quarantine, and that no zero stands for a lost line."""
    names = ("rows_conserved", "quarantine_share", "no_zero_for_lost_line")
    return [STAGING.rule(name, file.table, source.owner, source=source, count=count) for name in names]


def check_staging(
    warehouse: Warehouse,
    source: Source,
    file: SqlFile,
    dictionary: Dictionary,
    catalogue: Catalogue,
    count: StagingCount,
    past: str | None = None,
) -> list[Outcome]:
    """Check one loaded staging table, move its bad rows to `quarantine.row`, and return one outcome per rule.

    First the rules for single rows, whose bad rows leave the table; then, on what is left, the rules for the table,
    those against its own past among them. `past` is the same staging table in the last published build, if any.
    """
    own = [rule for rule in read_rule_files() if rule.table == file.table and rule.action == "quarantine"]
    rules = [*rules_for_staging(source, file, dictionary, catalogue), *own]
    rows = [rule for rule in rules if rule.kind == "row"]
    moving = [rule for rule in rules if rule.kind == "set" and rule.action == "quarantine"]
    tables = [rule for rule in rules if rule.kind == "set" and rule.action != "quarantine"]
    tables += account_rules(source, file, count)
    series = series_of(source, file, past)
    tables += history_rules(series)

    plan(warehouse, [*rows, *moving, *tables])
    loaded = row_count(warehouse, file.table)
    proven = proven_by_loading(rules, count)
    with warehouse.threads_for(loaded):
        find_bad_rows(warehouse, file.table, rows)
        mark_run(warehouse, rows, loaded)
        run(warehouse, moving, proven, loaded)
        move_bad_rows(warehouse, source, file)
        history.prepare(warehouse, series)
        run(warehouse, tables, proven, row_count(warehouse, file.table))
        history.forget(warehouse)
    return outcomes(warehouse, [*rows, *moving, *tables])


def check_tables(warehouse: Warehouse, files: Mapping[str, SqlFile], dictionary: Dictionary) -> list[Outcome]:
    """Run every rule that looks across tables: the written ones, and those derived for core and mart tables.

    A rule whose table was not built is reported as not run, which stops the publication. A rule over the staging
    table of a source that is missing is not planned: it has nothing to look at, and the summary names the source.
    """
    written = [rule for rule in read_rule_files() if rule.table in files and rule.action != "quarantine"]
    written = [rule for rule in written if not _is_missing_source(warehouse, rule.table)]
    built = [file for file in files.values() if warehouse.exists(file.table)]
    derived = [rule for file in built for rule in rules_for_table(warehouse, file)]
    rules = [*written, *derived, *protection_rules(warehouse, built, dictionary)]
    plan(warehouse, rules)
    for table in sorted({rule.table for rule in rules if warehouse.exists(rule.table)}):
        ours = [rule for rule in rules if rule.table == table]
        run(warehouse, ours, {}, row_count(warehouse, table))
    return outcomes(warehouse, rules)


def check_between_sources(warehouse: Warehouse, files: Mapping[str, SqlFile]) -> list[tuple[Outcome, tuple[str, ...]]]:
    """Run the written critical rules over staging tables; return each with the staging tables it reads, its own first.

    `check_tables` runs them again over what is left when a source has been taken back.
    """
    written = [rule for rule in read_rule_files() if rule.table in files and rule.severity == "critical"]
    staged = [rule for rule in written if rule.table.startswith("staging.")]
    rules = [rule for rule in staged if not _is_missing_source(warehouse, rule.table)]
    plan(warehouse, rules)
    run(warehouse, rules, {}, 1)
    read = {rule: tuple(dict.fromkeys([rule.table, *_STAGING.findall(rule.sql)])) for rule in rules}
    return [(outcome, read[rule]) for rule, outcome in zip(rules, outcomes(warehouse, rules), strict=True)]


def forget_source(warehouse: Warehouse, source: Source, file: SqlFile) -> None:
    """Forget what was found in an extract that is not used after all: its rows in quarantine and its broken rules."""
    prepare(warehouse)
    warehouse.execute("DELETE FROM quarantine.row WHERE source_id = ?", [source.id])
    for name in TABLES:
        warehouse.execute(f"DELETE FROM quarantine.{name} WHERE table_name = ?", [file.table])


def _is_missing_source(warehouse: Warehouse, table: str) -> bool:
    """Tell whether a staging table stands empty; one that was loaded has rows, or its own rules have stopped it."""
    return table.startswith("staging.") and warehouse.scalar(f"SELECT 1 FROM {table} LIMIT 1") is None

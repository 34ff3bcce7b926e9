"""The record of a validation inside the database: what was planned, what was run, what was found.

`quarantine.rule_plan` and `quarantine.rule_run` stand beside `quarantine.violation`, since an empty table of
violations proves nothing unless it is known which rules looked at how many rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from expectations.terms import Outcome, Rule
from transforms.errors import UsageError
from transforms.warehouse import DatabaseError, Warehouse, quote_identifier, quote_literal

EXAMPLES = 3
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
    if not rules:
        return
    # One statement for all rules: hundreds of small ones cost more than the rules themselves.
    keys = ", ".join(f"({quote_literal(rule.table)}, {quote_literal(rule.rule_id)})" for rule in rules)
    for name in TABLES:
        warehouse.execute(f"DELETE FROM quarantine.{name} WHERE (table_name, rule_id) IN ({keys})")
    _insert(
        warehouse,
        "rule_plan",
        [(rule.table, rule.rule_id, rule.severity, rule.action, rule.description) for rule in rules],
    )


def mark_run(warehouse: Warehouse, rules: Sequence[Rule], rows_scanned: int) -> None:
    """Write down that the rules were run over so many rows."""
    _insert(warehouse, "rule_run", [(rule.rule_id, rule.table, rows_scanned, True) for rule in rules])


def _insert(warehouse: Warehouse, table: str, rows: Sequence[tuple[str | int, ...]]) -> None:
    if not rows:
        return
    one = f"({', '.join('?' for _ in rows[0])})"
    warehouse.execute(
        f"INSERT INTO quarantine.{table} VALUES {', '.join(one for _ in rows)}", [cell for row in rows for cell in row]
    )


def run_set_rule(warehouse: Warehouse, rule: Rule, proven: dict[str, bool]) -> None:
    """Store the violations of one set rule; `proven` remembers proofs shared by rules of the same table.

    Raises UsageError naming the rule when its SQL cannot be run.
    """
    try:
        if rule.proof is not None:
            if rule.proof not in proven:
                proven[rule.proof] = bool(warehouse.scalar(rule.proof))
            if proven[rule.proof]:
                return
        names = [name for name, _ in warehouse.columns(rule.sql)]
        row_id = "row_id" if "row_id" in names else "NULL"
        shown = detail_of([name for name in names if name != "row_id"])
        warehouse.execute(
            f"INSERT INTO quarantine.violation SELECT {quote_literal(rule.table)}, {quote_literal(rule.rule_id)}, "
            f"{row_id}, {shown} FROM ({rule.sql})"
        )
    except DatabaseError as error:
        text = " ".join(str(error).split())[:300]
        raise UsageError(f"rule {rule.rule_id} of {rule.table} cannot be run: {text}; correct its SQL") from None


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
    counts = {
        (table, rule): (int(number), tuple(examples or ()))
        for table, rule, number, examples in warehouse.rows(
            "SELECT table_name, rule_id, count(*), "
            f"list(detail ORDER BY row_id, detail) FILTER (WHERE detail IS NOT NULL)[:{EXAMPLES}] "
            "FROM quarantine.violation GROUP BY ALL"
        )
    }
    scanned = {
        (table, rule): int(rows)
        for table, rule, rows in warehouse.rows(
            "SELECT table_name, rule_id, rows_scanned FROM quarantine.rule_run WHERE executed"
        )
    }
    return [_outcome(rule, counts.get((rule.table, rule.rule_id), (0, ())), scanned) for rule in rules]


def _outcome(rule: Rule, found: tuple[int, tuple[str, ...]], scanned: dict[tuple[str, str], int]) -> Outcome:
    number, examples = found
    rows = scanned.get((rule.table, rule.rule_id))
    if rows is None:
        return Outcome(
            rule.rule_id, rule.table, "critical", "stop", f"the rule was not run: {rule.description}", 0, 0, (), False
        )
    return Outcome(
        rule.rule_id, rule.table, rule.severity, rule.action, rule.description, number, rows, examples, number == 0
    )


def planned(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Return (table, rule) of every rule that was planned."""
    return [(row[0], row[1]) for row in warehouse.rows("SELECT table_name, rule_id FROM quarantine.rule_plan")]


def add_foreign(warehouse: Warehouse, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes that were not found by rules of this package (the age of a source, say) into the record."""
    prepare(warehouse)
    known = set(planned(warehouse))
    for outcome in outcomes:
        if (outcome.table_name, outcome.rule_id) in known:
            continue
        rule = Rule(
            outcome.rule_id, outcome.table_name, "set", outcome.severity, outcome.action, outcome.description, ""
        )
        plan(warehouse, [rule])
        mark_run(warehouse, [rule], outcome.rows_scanned)
        for number in range(outcome.n_violations):
            detail = outcome.examples[number] if number < len(outcome.examples) else None
            warehouse.execute(
                "INSERT INTO quarantine.violation VALUES (?, ?, NULL, ?)", [rule.table, rule.rule_id, detail]
            )

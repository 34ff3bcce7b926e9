"""Bad rows of a staging table: found in one pass, moved to `quarantine.row`, and accounted for."""

from __future__ import annotations

from collections.abc import Sequence

from expectations import record
from expectations.terms import Rule
from transforms.catalogue import Source
from transforms.sqlfile import SqlFile
from transforms.staging import VALUE, StagingCount
from transforms.warehouse import Warehouse, quote_identifier, quote_literal


def find_bad_rows(warehouse: Warehouse, table: str, rules: Sequence[Rule]) -> None:
    """Store the violations of all row rules in one pass. Cells filled with zero were not delivered: no row of them.

    The filter drops the good rows at once; which rules a bad row breaks is worked out for the few that are left.
    """
    cases = ", ".join(f"CASE WHEN {rule.sql} THEN {quote_literal(rule.rule_id)} END" for rule in rules)
    any_rule = " OR ".join(f"({rule.sql})" for rule in rules)
    warehouse.execute(
        f"INSERT INTO quarantine.violation SELECT {quote_literal(table)}, "
        f"unnest(list_filter([{cases}], lambda rule: rule IS NOT NULL)), rowid, NULL "
        f"FROM {table} WHERE NOT _is_filled AND ({any_rule})"
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
    values = ", ".join(f"{quote_identifier(name)} := {record.plain_text(quote_identifier(name))}" for name in shown)
    text = record.masked(f"to_json(struct_pack({values}))::VARCHAR") if shown else "NULL"
    warehouse.execute(
        "INSERT INTO quarantine.row (source_id, _snapshot_id, file_name, row_number, rule_id, row_text) "
        f"SELECT {quote_literal(source.id)}, _snapshot_id, {quote_literal(file.table)}, row_id, rule_id, {text} "
        f"FROM bad_row JOIN quarantine.violation USING (row_id) WHERE {ours}"
    )
    warehouse.execute(
        f"UPDATE quarantine.violation SET detail = {record.detail_of(shown)} FROM bad_row "
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
    table = quote_literal(file.table)
    kept = f"(SELECT count(*) FROM {file.table} WHERE NOT _is_filled)"
    moved = (
        "(SELECT count(DISTINCT row_number) FROM quarantine.row "
        f"WHERE source_id = {quote_literal(source.id)} AND file_name = {table})"
    )
    facts = (
        f"SELECT {count.rows_in} AS rows_in, {kept} AS rows_kept, {moved} AS rows_quarantined, "
        f"{count.rows_rejected} AS rows_rejected"
    )
    share = source.expectations.quarantine_max_share
    wanted = {
        "rows_conserved": (
            "every row of the files is either loaded or in quarantine",
            f"SELECT * FROM ({facts}) WHERE rows_in <> rows_kept + rows_quarantined + rows_rejected",
        ),
        "quarantine_share": (
            f"at most {share * 100:g} % of the rows may go to quarantine",
            f"SELECT * FROM ({facts}) WHERE rows_quarantined + rows_rejected > {share!r} * rows_in",
        ),
        "no_zero_for_lost_line": (
            "where absent cells mean zero, a line that could not be read would be counted as zero",
            f"SELECT * FROM ({facts}) WHERE rows_rejected > 0 AND {count.rows_filled} > 0",
        ),
    }
    return [
        Rule(rule_id, file.table, "set", "critical", "stop", description, sql, source.owner)
        for rule_id, (description, sql) in wanted.items()
    ]

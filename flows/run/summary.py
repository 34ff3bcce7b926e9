"""The end of a run in words: a table for the terminal, Markdown for Prefect, JSON for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.store.builds import is_synthetic

if TYPE_CHECKING:
    from rich.console import Console

    from flows.run.record import RunResult
    from flows.settings import Settings


MARK = "SYNTETISKE DATA / SYNTHETIC DATA"
QUERY = "SELECT * FROM mart.mapping ORDER BY municipality_code LIMIT 5"


def totals(counts: list[dict[str, Any]]) -> dict[str, int]:
    """Return the sums over the sources of rows read, loaded, rejected and filled."""
    keys = ("rows_in", "rows_loaded", "rows_rejected", "rows_filled")
    return {key: sum(int(count[key]) for count in counts) for key in keys}


def broken(rules: list[dict[str, Any]], severity: str) -> list[dict[str, Any]]:
    """Return the rules of one severity that did not hold."""
    return [rule for rule in rules if not rule["success"] and rule["severity"] == severity]


def markdown_summary(result: RunResult) -> str:
    """Return the run as Markdown: verdict, what was fetched, counts per source, broken rules."""
    lines = [f"# {result.ending.status}: {result.run.run_id}", ""]
    if result.release.get("is_synthetic", is_synthetic(result.run.origin)):
        lines += [f"**{MARK}**", ""]
    if result.message:
        lines += [result.message, ""]
    fetched = result.fetched
    lines += [
        f"- new: {', '.join(fetched.new) or 'none'}",
        f"- unchanged: {', '.join(fetched.unchanged) or 'none'}",
        f"- missing: {', '.join(fetched.missing) or 'none'}",
    ]
    lines += [f"- {fetched.outcome_of(source)} {source}: {reason}" for source, reason in fetched.kept_old.items()]
    lines += [f"- {source}: {reason}" for source, reason in fetched.closed.items()]
    lines += [f"- newest extract of {source} not used: {reason}" for source, reason in result.taken_back.items()]
    lines += [f"- {source}: {note}" for source, notes in fetched.notes.items() for note in notes]
    lines += [f"- not read: {name}: {reason}" for name, reason in fetched.refused_files.items()]
    if result.ages:
        lines += ["", "| source | received | age, days | allowed |", "|---|---|--:|--:|"]
        lines += [
            f"| {source} | {age['received'][:10]} | {age['age_days']} | {age['max_age_days']} |"
            for source, age in result.ages.items()
        ]
    if result.receipts:
        lines += [f"- deliveries: {', '.join(f'{n} {verdict}' for verdict, n in sorted(result.receipts.items()))}"]
    if result.counts:
        lines += ["", "| source | rows in | loaded | rejected | zero cells filled |", "|---|--:|--:|--:|--:|"]
        lines += [
            f"| {c['source_id']} | {c['rows_in']} | {c['rows_loaded']} | {c['rows_rejected']} | {c['rows_filled']} |"
            for c in result.counts
        ]
    held = sum(1 for rule in result.rules if rule["success"])
    lines += ["", f"{held} of {len(result.rules)} rules hold."]
    for rule in broken(result.rules, "critical") + broken(result.rules, "warning"):
        lines.append(f"- {rule['severity']}: {rule['table_name']} {rule['rule_id']}: {rule['n_violations']} rows")
    return "\n".join(lines)


def print_summary(console: Console, settings: Settings, result: dict[str, Any]) -> None:
    """Print one table of what was read, what the rules said, what was published and where, and a query to try."""
    from rich.table import Table

    fetched = result["fetched"]
    for name, reason in fetched["refused_files"].items():
        console.print(f"[yellow]not read:[/] {name}: {reason}", highlight=False, soft_wrap=True)
    for source, reason in fetched["kept_old"].items():
        left = "missing" if source in fetched["missing"] else "kept the old snapshot of"
        console.print(f"[yellow]{left} {source}:[/] {reason}", highlight=False, soft_wrap=True)
    for source, reason in {**fetched.get("closed", {}), **result.get("taken_back", {})}.items():
        console.print(f"[yellow]{source}:[/] {reason}", highlight=False, soft_wrap=True)
    for source, notes in fetched.get("notes", {}).items():
        for note in notes:
            console.print(f"[yellow]new at {source}:[/] {note}", highlight=False, soft_wrap=True)
    if fetched["missing"]:
        console.print(f"[yellow]missing sources:[/] {', '.join(fetched['missing'])}", highlight=False, soft_wrap=True)
    if result.get("receipts"):
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(result["receipts"].items()))
        console.print(f"deliveries: {told}    receipts: {settings.receipts}", soft_wrap=True, highlight=False)
    if result["counts"]:
        table = Table(title=f"kommunekort {result['run_id']}", title_justify="left")
        for heading in ("source", "rows in", "loaded", "rejected", "zero cells filled"):
            table.add_column(heading, justify="left" if heading == "source" else "right")
        for count in result["counts"]:
            numbers = (count[key] for key in ("rows_in", "rows_loaded", "rows_rejected", "rows_filled"))
            table.add_row(count["source_id"], *(f"{number:,}" for number in numbers))
        table.add_section()
        table.add_row("all", *(f"{number:,}" for number in totals(result["counts"]).values()))
        console.print(table)
    warnings = broken(result["rules"], "warning")
    if result["rules"]:
        held = sum(1 for rule in result["rules"] if rule["success"])
        console.print(f"rules: {held} of {len(result['rules'])} hold, {len(warnings)} warnings (meta.validation)")
    if result["status"] == "published":
        if result["release"].get("is_synthetic"):
            console.print(f"[bold]{MARK}[/]")
        rows = sum(count for name, count in result["tables"].items() if name.startswith("mart."))
        console.print(f"published {rows:,} mart rows: {settings.published}", soft_wrap=True, highlight=False)
        console.print(f"exports: {settings.exports}    report: {settings.report}", soft_wrap=True, highlight=False)
        console.print(f'try: kommunekort sql "{QUERY}"', soft_wrap=True, highlight=False, markup=False)

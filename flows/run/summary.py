"""The end of a run in words: a table for the terminal, Markdown for Prefect, JSON for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from flows.connectors.statbank.files import download_link, selection_in_words
from flows.report.words import rule_text
from flows.run.record import FetchReport, grouped_reasons
from flows.store.builds import is_synthetic
from flows.store.exports import SYNTHETIC, WORKBOOK
from transforms.catalogue import Catalogue, load_catalogue

if TYPE_CHECKING:
    from rich.console import Console

    from flows.run.record import RunResult
    from flows.settings import Settings


COUNTED = ("source", "rows in", "loaded", "rejected", "zero cells filled")
COUNTS = ("rows_in", "rows_loaded", "rows_rejected", "rows_filled")
QUERY = "SELECT * FROM mart.mapping ORDER BY municipality_code LIMIT 5"


def totals(counts: list[dict[str, Any]]) -> dict[str, int]:
    """Return the sums over the sources of rows read, loaded, rejected and filled."""
    return {key: sum(int(count[key]) for count in counts) for key in COUNTS}


def broken(rules: Sequence[Mapping[str, Any]], severity: str) -> list[Mapping[str, Any]]:
    """Return the rules of one severity that did not hold."""
    return [rule for rule in rules if not rule["success"] and rule["severity"] == severity]


def revision_lines(revisions: dict[str, Any]) -> list[str]:
    """Return how many published figures the run changed, and the largest changes."""
    if not revisions.get("count"):
        return ["no published figure was changed"]
    shown = [
        f"- {row['municipality_code']} {row['indicator_id']} {row['period']}: {_figure(row['value_before'])} became "
        f"{_figure(row['value_after'])}"
        for row in revisions["largest"]
    ]
    return [f"{revisions['count']:,} published figures were changed (meta.revision), most of what they were:", *shown]


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".")


def markdown_summary(result: RunResult, settings: Settings) -> str:
    """Return the run as Markdown: verdict, what was fetched and delivered, counts, changes, broken rules, links."""
    lines = [f"# {result.ending.status}: {result.run.run_id}", ""]
    if result.release.get("is_synthetic", is_synthetic(result.run.origin)):
        lines += [f"**{SYNTHETIC}**", ""]
    if result.message:
        lines += [result.message, ""]
    lines += [f"- warning: {told}" for told in result.warnings]
    fetched = result.fetched
    brought = {"new": fetched.new, "unchanged": fetched.unchanged, "missing": fetched.missing}
    lines += [f"- {what}: {', '.join(sources) or 'none'}" for what, sources in brought.items()]
    lines += [f"- {fetched.outcome_of(source)} {source}: {reason}" for source, reason in fetched.kept_old.items()]
    lines += [f"- {source}: {reason}" for source, reason in {**result.standing_still, **fetched.closed}.items()]
    lines += [f"- newest extract of {source} not used: {reason}" for source, reason in result.taken_back.items()]
    lines += [f"- {source}: {note}" for source, notes in fetched.notes.items() for note in notes]
    lines += [f"- {line}" for line in folder_lines(fetched, result.made)]
    aged = [(source, age["received"][:10], age["age_days"], age["max_age_days"]) for source, age in result.ages.items()]
    lines += _table("Ages", ("source", "received", "age, days", "allowed"), aged, texts=2)
    lines += _table("Deliveries", ("verdict", "deliveries"), sorted(result.receipts.items()))
    lines += _table("Rows", COUNTED, [[count[key] for key in ("source_id", *COUNTS)] for count in result.counts])
    if result.revisions:
        told, *largest = revision_lines(result.revisions)
        lines += ["", "## Changes", "", told, "", *largest]
    held = sum(1 for rule in result.rules if rule["success"])
    lines += ["", "## Rules", "", f"{held} of {len(result.rules)} rules hold.", ""]
    for rule in broken(result.rules, "critical") + broken(result.rules, "warning"):
        lines.append(f"- {rule['severity']}: {rule['description']} ({rule['table_name']}): {rule['n_violations']} rows")
    return "\n".join([*lines, *links(result, settings)])


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]], texts: int = 1) -> list[str]:
    """Return a table as Markdown under its title, numbers to the right after `texts`; nothing without rows."""
    told = [f"| {' | '.join(map(str, row))} |" for row in [headings, *rows]]
    ruled = "|" + "---|" * texts + "--:|" * (len(headings) - texts)
    return ["", f"## {title}", "", told[0], ruled, *told[1:]] if told[1:] else []


def links(result: RunResult, settings: Settings) -> list[str]:
    """Return where a run's products are, as Markdown; what is not there is left out."""
    places = {
        "report": settings.report / "index.html",
        "data quality": settings.report / "datakvalitet.html",
        "workbook": settings.exports / WORKBOOK,
        "receipts": settings.receipts,
        "database": settings.published,
        "record of this run": settings.runs / f"{result.run.run_id}.json",
    }
    if result.status != "published":
        places = {name: places[name] for name in ("receipts", "record of this run")}
    found = [f"- [{name}]({path.absolute().as_uri()})" for name, path in places.items() if path.exists()]
    return ["", "## Read on", "", *found] if found else []


def validation_rows(rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules as a person reads them: how many hold per severity, then the broken ones, critical first."""
    rows: list[dict[str, Any]] = []
    for severity in ("critical", "warning"):
        part = [rule for rule in rules if rule["severity"] == severity]
        held = sum(1 for rule in part if rule["success"])
        rows.append({"severity": severity, "rule": f"{held} of {len(part)} rules hold"})
    rows += [
        {
            "severity": rule["severity"],
            "rule": rule["description"],
            "kontrol": rule_text(rule)[0],
            "broken by": rule["n_violations"],
            "rows looked at": rule["rows_scanned"],
            "table": rule["table_name"],
            "name": rule["rule_id"],
        }
        for rule in (*broken(rules, "critical"), *broken(rules, "warning"))
    ]
    return rows


def folder_lines(fetched: FetchReport, made: dict[str, Any]) -> list[str]:
    """Return what became of the files of a folder: a line for each taken, then those that were not, told once."""
    indicators = made.get("indicators", {})
    lines = [taken_line(taken, indicators.get(taken["source_id"])) for taken in fetched.taken]
    for reason, names in grouped_reasons(fetched.refused_files).items():
        lines.append(f"not read: {', '.join(names)}: {reason}")
    lines += [f"warning: {warning}" for warning in fetched.warnings]
    if fetched.earlier:
        lines.append(f"no file here, what came earlier stays in force: {', '.join(fetched.earlier)}")
    return lines


def taken_line(taken: dict[str, Any], made: list[int] | None) -> str:
    """Return one file in words: table and title, periods, areas, what shows it, what was assumed, indicators made."""
    first, newest = (taken["periods"] or ["", ""])[0], (taken["periods"] or ["", ""])[-1]
    periods = newest if taken["period_count"] == 1 else f"{taken['period_count']} periods {first} to {newest}"
    parts = [f"{taken['file']}: {taken['table']} {taken['title']}; {periods}", f"{taken['areas']} areas"]
    parts += [f"{taken['rows']:,} rows", f"taken since {taken['why']}"]
    if taken["assumed"]:
        parts.append("ASSUMED " + ", ".join(f"{name} = {code}" for name, code in taken["assumed"].items()))
    parts += taken["remarks"]
    if made is not None:
        parts.append(f"{made[0]} of {made[1]} indicators")
    return "; ".join(parts)


def missing_lines(settings: Settings, catalogue: Catalogue, missing: list[str], result: dict[str, Any]) -> list[str]:
    """Return what the mapping lacks: sources without data, tables that gave nothing, and the next download."""
    made: dict[str, list[int]] = result["made"].get("indicators", {})
    if not made:
        return [f"missing sources: {', '.join(missing)}"] if missing else []
    lines = []
    loaded = {count["source_id"] for count in result["counts"]}
    lacking = {source: of for source, (has, of) in made.items() if not has and source in catalogue.sources}
    absent = sorted({*missing, *(source for source in lacking if source not in loaded)})
    by_connector: dict[str, list[str]] = {}
    for source in (source for source in absent if source in catalogue.sources):
        told = f"{source} ({made.get(source, [0, 0])[1]})"
        by_connector.setdefault(catalogue.sources[source].connector, []).append(told)
    for connector, named in by_connector.items():
        lines.append(f"missing from {connector}, with the indicators each would give: {', '.join(named)}")
    for source_id in sorted(loaded & lacking.keys()):
        lines.append(f"{source_id} was read, but none of its {lacking[source_id]} indicators could be made of it")
        lines += [f"  download: {how}" for how in how_to_get(settings, catalogue, source_id)]
    completeness = result["made"]["completeness_pct"]
    if completeness is not None:
        lines.append(f"completeness: {completeness} % of the indicators have a figure, mean of the municipalities")
    most = max((source for source in absent if source in lacking), key=lambda s: (lacking[s], s), default=None)
    if most is not None:
        lines.append(f"next: {most} would add {lacking[most]} indicators, more than any other")
        lines += [f"  download: {how}" for how in how_to_get(settings, catalogue, most)]
    return lines


def how_to_get(settings: Settings, catalogue: Catalogue, source_id: str) -> list[str]:
    """Return where a source is to be had: for StatBank the selection in words and a link that answers with it."""
    source = catalogue.sources[source_id]
    if source.connector != "statbank":
        return [source.url]
    return [f"{source.url} ({selection_in_words(source, catalogue)})", download_link(source, settings.statbank_url)]


def print_summary(console: Console, settings: Settings, result: dict[str, Any]) -> None:
    """Print one table of what was read, what the rules said, what was published and where, and a query to try."""
    from rich.markup import escape
    from rich.table import Table

    fetched = FetchReport(**result["fetched"])
    tell = partial(console.print, highlight=False, soft_wrap=True)
    for line in folder_lines(fetched, result["made"]):
        tell(line, markup=False)
    for source, reason in fetched.kept_old.items():
        tell(f"[yellow]{fetched.outcome_of(source)} {source}:[/] {escape(reason)}")
    still = {source: age["standing_still"] for source, age in result["ages"].items() if age.get("standing_still")}
    for source, reason in {**still, **fetched.closed, **result["taken_back"]}.items():
        tell(f"[yellow]{source}:[/] {escape(reason)}")
    for source, notes in fetched.notes.items():
        for note in notes:
            tell(f"[yellow]new at {source}:[/] {escape(note)}")
    if result.get("receipts"):
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(result["receipts"].items()))
        tell(f"deliveries: {told}    receipts: {settings.receipts}")
    if result["counts"]:
        table = Table(title=f"kommunekort {result['run_id']}", title_justify="left")
        for heading in COUNTED:
            table.add_column(heading, justify="left" if heading == "source" else "right")
        for count in result["counts"]:
            table.add_row(count["source_id"], *(f"{count[key]:,}" for key in COUNTS))
        table.add_section()
        table.add_row("all", *(f"{number:,}" for number in totals(result["counts"]).values()))
        console.print(table)
    for line in revision_lines(result["revisions"]) if result.get("revisions") else []:
        tell(line, markup=False)
    warnings = broken(result["rules"], "warning")
    if result["rules"]:
        held = sum(1 for rule in result["rules"] if rule["success"])
        console.print(f"rules: {held} of {len(result['rules'])} hold, {len(warnings)} warnings (meta.validation)")
    for rule in warnings:
        told = f"warning: {rule['table_name']}: {rule['rule_id']} ({rule['n_violations']}): {rule['description']}"
        tell(told, markup=False)
    for line in missing_lines(settings, load_catalogue(), fetched.missing, result):
        tell(line, markup=False)
    if result["status"] == "published":
        if result["release"].get("is_synthetic"):
            console.print(f"[bold]{SYNTHETIC}[/]")
        rows = sum(count for name, count in result["tables"].items() if name.startswith("mart."))
        tell(f"published {rows:,} mart rows: {settings.published}")
        tell(f"exports: {settings.exports}    report: {settings.report}")
        tell(f'try: kommunekort sql "{QUERY}"', markup=False)

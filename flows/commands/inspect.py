"""sources, status, sql: what is there, how fresh it is, and reading it."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from flows.console import DataOption, JsonOption, out, print_json, settings_from
from flows.settings import Settings
from transforms.errors import DataRefused, UsageError

FormatOption = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print the rows.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    for command in (sources, status, sql):
        app.command()(command)


def source_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return one row per source: id, producer, frequency, newest snapshot, its age in days and its status."""
    from flows.snapshots import SnapshotStore
    from transforms.catalogue import load_catalogue

    store = SnapshotStore(settings.snapshots)
    now = datetime.now(UTC)
    rows = []
    for source in load_catalogue().sources.values():
        newest = store.newest(source.id)
        age = (now - datetime.fromisoformat(newest.manifest.retrieved_at)).days if newest else None
        state = "missing" if age is None else "too old" if age > source.max_age_days else "ok"
        rows.append(
            {
                "source_id": source.id,
                "producer": source.producer,
                "title": source.title_da,
                "frequency": source.frequency,
                "licence": source.licence,
                "snapshot": newest.path.name if newest else None,
                "origin": newest.manifest.origin if newest else None,
                "age_days": age,
                "max_age_days": source.max_age_days,
                "status": state,
            }
        )
    return rows


def sources(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the sources with their newest snapshot and its age. Example: kommunekort sources"""
    rows = source_rows(settings_from(data))
    if as_json:
        print_json(rows)
        return
    print_rows(rows, ("source_id", "producer", "frequency", "licence", "snapshot", "origin", "age_days", "status"))


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Tell what is published, how old it is, the last runs and what is wrong (exit code 2 when anything is).

    Example: kommunekort status --json
    """
    from flows.status import status_facts

    told = status_facts(settings_from(data))
    if as_json:
        print_json(told)
    else:
        print_status(told)
    if told["faults"]:
        more = f" (and {len(told['faults']) - 1} more)" if len(told["faults"]) > 1 else ""
        raise DataRefused(f"{told['faults'][0]}{more}")


def print_status(told: dict[str, Any]) -> None:
    """Print what `status_facts` found."""
    from flows.summary import MARK

    lines = [f"published: {told['published'] or 'nothing yet'}"]
    if told["is_synthetic"]:
        lines.append(MARK)
    if told["published_at"]:
        lines.append(f"published {told['publication_age_days']} days ago; last good run: {told['confirmed_at']}")
    lines.append(
        f"sources: {told['sources_ok']} fresh, {told['sources_old']} too old, {told['sources_missing']} missing"
    )
    schedule = told["schedule"]
    if schedule is None:
        lines.append("schedule: not kept here (`kommunekort serve`, or cron)")
    else:
        lines.append(
            f"schedule: {schedule['cron']} {schedule['timezone']}, next run {schedule['next_run'] or 'unknown'} "
            f"({schedule['kept_by']})"
        )
    lines.append(f"kept builds: {', '.join(told['builds']) or 'none'}")
    for line in [*lines, *(f"FAULT: {fault}" for fault in told["faults"])]:
        out.print(line, soft_wrap=True, highlight=False, markup=False)
    aged = [source for source in told["sources"] if source["age_days"] is not None]
    if aged:
        print_rows(aged, ("source_id", "age_days", "max_age_days", "status"))
    if told["last_runs"]:
        print_rows(told["last_runs"], ("run_id", "status", "origin", "message"))


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the published database.")],
    data: DataOption = None,
    output: FormatOption = "table",
) -> None:
    """Run a read-only query on the published mapping. Example: kommunekort sql "SELECT * FROM mart.indicator" """
    from transforms.warehouse import DatabaseError, Warehouse

    if not query.strip(" \n\t;"):
        raise UsageError("the query is empty; give one SELECT in quotes")
    settings = settings_from(data)
    if not settings.published.exists():
        raise UsageError(f"{settings.published}: nothing is published yet; run `kommunekort run`")
    with Warehouse.open(settings.published, read_only=True) as warehouse:
        try:
            warehouse.execute("SET enable_external_access = false")
            names = [name for name, _ in warehouse.columns(query)]
            rows = [dict(zip(names, row, strict=True)) for row in warehouse.rows(query)]
        except DatabaseError as error:
            raise DataRefused(f"the query failed: {' '.join(str(error).split())[:400]}") from None
    if output == "json":
        print_json(rows)
    elif output == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_rows(rows, names)


def print_rows(rows: list[dict[str, Any]], names: tuple[str, ...] | list[str]) -> None:
    """Print rows as a neat table; numbers to the right, empty cells as a dash."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in names:
        numeric = all(isinstance(row[name], int | float) for row in rows if row[name] is not None)
        table.add_column(name, justify="right" if numeric and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("–" if row[name] is None else str(row[name])) for name in names))
    out.print(table)

"""sources, status, sql: what is there, how fresh it is, and reading it."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.cli.console import DataOption, JsonOption, QuietOption, out, print_json, settings_from, steps
from flows.settings import Settings
from transforms.errors import DataRefused, UsageError

if TYPE_CHECKING:
    from transforms.warehouse import Warehouse


FormatOption = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print the rows.")]


def source_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return one row per source: id, producer, frequency, newest snapshot, its age in days and its status."""
    from flows.store.snapshots import SnapshotStore
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


def sources(
    data: DataOption = None,
    check: Annotated[bool, typer.Option("--check", help="Ask the live registers what has changed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the sources with their newest snapshot and its age. Example: kommunekort sources --check"""
    if check:
        tell_preflight(settings_from(data), "live", as_json=as_json)
        return
    rows = source_rows(settings_from(data))
    if as_json:
        print_json(rows)
        return
    print_rows(rows, ("source_id", "producer", "frequency", "licence", "snapshot", "origin", "age_days", "status"))


def tell_preflight(settings: Settings, origin: Literal["live", "sample"], *, as_json: bool = False) -> None:
    """Print a line per finding of a look at the registers' own descriptions; DataRefused when a fetch would fail."""
    from dataclasses import asdict

    from flows.run.fetch import preflight
    from transforms.catalogue import load_catalogue

    found = preflight(settings, load_catalogue(), origin)
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        marks = {"ok": "ok   ", "new": "NEW  ", "fault": "FAULT"}
        for finding in found:
            line = f"{marks[finding.level]} {finding.source_id}: {finding.text}"
            out.print(line, soft_wrap=True, highlight=False, markup=False)
    faults = [finding for finding in found if finding.level == "fault"]
    if faults:
        told = f"{len(faults)} of {len({finding.source_id for finding in found})} sources would not be fetched"
        raise DataRefused(f"{told} (first {faults[0].source_id}: {faults[0].text})")


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Tell what is published, how old it is, the last runs and what is wrong (exit code 2 when anything is).

    Example: kommunekort status --json
    """
    from flows.cli.health import status_facts

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
    from flows.run.summary import MARK

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


# report, workbook, describe, profile: the mapping as pages, as a workbook, and one answer at a time.


Row = dict[str, Any]


def report(
    data: DataOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write instead of the published report.")] = None,
    boundaries: Annotated[Path | None, typer.Option("--boundaries", help="GeoJSON of the municipalities.")] = None,
    boundaries_source: Annotated[
        str | None, typer.Option("--boundaries-source", help="Whom the map credits for the boundaries.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the HTML report of what is published. Example: kommunekort report --boundaries kommuner.geojson"""
    from dataclasses import replace

    from flows.report.build import build_report, report_options
    from flows.store.builds import builds, current, flip_link, writer_lock

    settings = settings_from(data)
    now = current(settings)
    if now is None:
        raise UsageError(f"{settings.published}: nothing is published yet; run `kommunekort run`")
    earlier = [build for build in builds(settings) if build.run_id < now.run_id]
    options = report_options(settings, earlier[-1].path if earlier else None)
    if boundaries is not None:
        options = replace(options, boundaries=boundaries)
    if boundaries_source is not None:
        options = replace(options, boundaries_source=boundaries_source)
    with writer_lock(settings.root), steps(quiet) as on_step:
        if to is None:
            build_report(now.path, now.report, options, on_step)
            flip_link(settings.report, now.report)
        else:
            _check_target(to)
            build_report(now.path, to.expanduser().resolve(), options, on_step)
    if not quiet:
        out.print(f"report: {(to or settings.report) / 'index.html'}", soft_wrap=True, highlight=False)


def _check_target(folder: Path) -> None:
    """Refuse to replace a folder that is not a report: everything in it would be lost."""
    target = folder.expanduser().resolve()
    if (
        target.exists()
        and (not target.is_dir() or any(target.iterdir()))
        and not (target / "assets" / "report.css").is_file()
    ):
        raise UsageError(f"{folder}: is not empty and no report; give a new folder")


def workbook(
    data: DataOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="File to write (else data/exports/kommunekort.xlsx).")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write what is published as an Excel workbook. Example: kommunekort workbook --to kortlaegning.xlsx"""
    from flows.report.workbook import write_workbook

    settings = settings_from(data)
    _require(settings)
    path = write_workbook(settings.published, (to or settings.exports / "kommunekort.xlsx").expanduser().resolve())
    if not quiet:
        out.print(f"workbook: {path}", soft_wrap=True, highlight=False)


def _require(settings: Settings) -> None:
    if not settings.published.exists():
        raise UsageError(f"{settings.published}: nothing is published yet; run `kommunekort run`")


def describe(
    name: Annotated[str, typer.Argument(help="A table (mart.mapping), a column, or an indicator.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a table, column or indicator means. Example: kommunekort describe employment_gap_non_western_pp"""

    settings = settings_from(data)
    _require(settings)
    told = described(settings.published, name)
    if as_json:
        print_json(told)
        return
    kind = told.pop("kind")
    columns = told.pop("columns", None)
    out.print(f"[bold]{kind}[/] {told.pop('name')}", highlight=False)
    for key, value in told.items():
        if value not in (None, ""):
            out.print(f"{key}: {value}", soft_wrap=True, highlight=False, markup=False)
    if columns:
        print_rows(columns, list(columns[0]))


def described(database: Path, name: str) -> Row:
    """Return the meaning of a table, an indicator or a column as plain values; UsageError with a suggestion."""
    from transforms.warehouse import Warehouse

    with Warehouse.open(database, read_only=True) as warehouse:
        if not warehouse.exists("meta.data_dictionary"):
            raise UsageError(f"{database}: meta.data_dictionary is not there; run `kommunekort run`")
        rows = _dicts(warehouse, "SELECT * FROM meta.data_dictionary ORDER BY table_name, column_position")
        indicators = _dicts(warehouse, "SELECT * FROM mart.indicator ORDER BY indicator_id")
    tables = {row["table_name"] for row in rows}
    full = name if name in tables else f"mart.{name}"
    if full in tables:
        part = [row for row in rows if row["table_name"] == full]
        keys = ("column_name", "data_type", "unit", "label_da", "label_en", "description")
        return {
            "kind": "table",
            "name": full,
            "label_da": part[0]["table_label_da"],
            "label_en": part[0]["table_label_en"],
            "rests_on_sources": part[0]["rests_on_sources"],
            "grain": ", ".join(r["column_name"] for r in part if r["is_key"]),
            "columns": [{key: row[key] for key in keys} for row in part],
        }
    for row in indicators:
        if row["indicator_id"] == name:
            return {
                "kind": "indicator",
                "name": name,
                **{key: value for key, value in row.items() if key != "indicator_id"},
            }
    found = [row for row in rows if row["column_name"] == name]
    if found:
        keys = ("data_type", "unit", "label_da", "label_en", "description", "allowed_values")
        told = {key: found[0][key] for key in keys}
        return {"kind": "column", "name": name, **told, "in_tables": ", ".join(row["table_name"] for row in found)}
    known = tables | {row["column_name"] for row in rows} | {row["indicator_id"] for row in indicators}
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`kommunekort describe mart.mapping` shows one that is"
    raise UsageError(f"{name}: neither a table, a column nor an indicator; {hint}")


def profile(
    municipality: Annotated[str, typer.Argument(help="Name, alias or code of a municipality.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one municipality's headline figures. Example: kommunekort profile Odense"""
    from flows.run.summary import MARK

    settings = settings_from(data)
    _require(settings)
    told = profiled(settings.published, municipality_code(municipality))
    if as_json:
        print_json(told)
        return
    if told["is_synthetic"]:
        out.print(f"[bold]{MARK}[/]")
    who = told["municipality"]
    out.print(
        f"[bold]{who['municipality_name']}[/] ({who['municipality_code']}), {who['region_name']}", highlight=False
    )
    print_rows(told["headlines"], list(told["headlines"][0]) if told["headlines"] else ["indicator_id"])
    for finding in told["findings"]:
        out.print(f"- {finding['sentence_da']}", soft_wrap=True, highlight=False, markup=False)
    page = settings.report / "kommune" / f"{who['municipality_code']}.html"
    if page.exists():
        out.print(f"profile page: {page}", soft_wrap=True, highlight=False)


def municipality_code(text: str) -> str:
    """Return the code a name, alias or code stands for; UsageError with a suggestion when it names no municipality."""
    from transforms.areas import area_code, areas, areas_at, suggest

    code = area_code(text)
    if code is not None and areas()[code].level == "municipality":
        return code
    names = {area.name_da for area in areas_at(["municipality"])}
    near = [name for name in suggest(text) if name in names]
    hint = f"did you mean {' or '.join(near)}?" if near else "give its name or three-digit code, e.g. Odense or 461"
    raise UsageError(f"{text}: not a municipality; {hint}")


def profiled(database: Path, code: str) -> Row:
    """Return a municipality's row, headline figures with their national value, expectation and findings."""
    from transforms.warehouse import Warehouse

    with Warehouse.open(database, read_only=True) as warehouse:
        who = _dicts(warehouse, "SELECT * FROM mart.municipality WHERE municipality_code = ?", [code])
        if not who:
            raise UsageError(f"{code}: not in the published mapping; `kommunekort run` builds a whole one")
        headlines = _dicts(
            warehouse,
            """SELECT i.indicator_id, i.label_da, v.value::DOUBLE AS value, n.value::DOUBLE AS national_value, i.unit,
                      v.value_status, v.reference_date
               FROM mart.indicator i
               JOIN mart.indicator_value v USING (indicator_id)
               LEFT JOIN mart.indicator_national n USING (indicator_id, period)
               WHERE v.municipality_code = ? AND v.is_newest AND i.is_headline ORDER BY i.dimension, i.label_da""",
            [code],
        )
        release = _dicts(warehouse, "SELECT is_synthetic FROM meta.release")
        told: Row = {
            "municipality": who[0],
            "is_synthetic": bool(release and release[0]["is_synthetic"]),
            "headlines": headlines,
        }
        for key, table in (("expected", "mart.expected"), ("findings", "mart.finding"), ("peers", "mart.peer")):
            query = f"SELECT * FROM {table} WHERE municipality_code = ? ORDER BY ALL"
            told[key] = _dicts(warehouse, query, [code]) if warehouse.exists(table) else []
    return told


def _dicts(warehouse: Warehouse, query: str, params: list[Any] | None = None) -> list[Row]:
    from flows.report.data import plain

    table = warehouse.arrow(query, params)
    return [{key: plain(value) for key, value in row.items()} for row in table.to_pylist()]

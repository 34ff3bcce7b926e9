"""sql, report, workbook, describe, profile: reading what is published."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.cli.console import DataOption, JsonOption, QuietOption, out, print_json, print_rows, say, steps
from flows.settings import Settings, settings_from
from transforms.errors import DataRefused, UsageError

if TYPE_CHECKING:
    from flows.store.builds import Build


FormatOption = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print the rows.")]


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
    with (
        published_database(published_build(settings)) as database,
        Warehouse.open(database, read_only=True, memory_limit=QUERY_MEMORY, threads=1) as warehouse,
    ):
        try:
            warehouse.execute("SET enable_external_access = false")
            names = [name for name, _ in warehouse.columns(query)]
            _print_rows_of(warehouse.stream(query), names, output)
        except DatabaseError as error:
            raise DataRefused(f"the query failed: {said_by_database(str(error))}") from None


@contextmanager
def published_database(now: Build) -> Iterator[Path]:
    """Yield a file that holds what is published, whoever has that open.

    DataRefused when the database is not as it was published: its hash is 0.15 s for the 201 MB of the sample world, a
    tenth of what the command takes.
    """
    from flows.store.builds import DATABASE_ALONE, readable
    from transforms.warehouse import DatabaseError

    if damage := now.damage(of=DATABASE_ALONE):
        raise DataRefused(f"{damage}; `kommunekort run` builds the publication again")
    with readable(now) as database:
        try:
            yield database
        except DatabaseError as error:  # made by hand, or by another version
            told = f"{database}: not as it was published ({str(error).splitlines()[0]})"
            raise UsageError(f"{told}; `kommunekort run` builds it again") from None


def published_build(settings: Settings) -> Build:
    """Return the build that is published; UsageError when none is."""
    from flows.store.builds import current

    now = current(settings)
    if now is None:
        raise UsageError(f"{settings.published}: nothing is published yet; run `kommunekort run`")
    return now


@contextmanager
def writing_into_published(settings: Settings, files: str) -> Iterator[Build]:
    """Hold the writer lock and yield the build that is published as long as it is held.

    `files` is the pattern of those that are written anew; DataRefused when others are not as published: nothing is made
    of them, and the new seal must not hide it.
    """
    from flows.store.builds import writer_lock

    published_build(settings)  # where nothing is, no folder is made for the lock
    with writer_lock(settings.root):
        now = published_build(settings)
        if damage := now.damage(but=files):
            raise DataRefused(f"{damage}; `kommunekort run` builds the publication again")
        yield now


QUERY_MEMORY = "100MB"
"""What DuckDB may use for a query of the terminal; beyond it, it says so."""
MOST_SHOWN = 1_000
"""Rows of a table on the terminal; CSV and JSON have every row."""


def said_by_database(text: str) -> str:
    """Return what DuckDB says of a query in one sentence, without its own insides (candidates, code, traces)."""
    plain = " ".join(re.split(r"\n\n|\nLINE |\bLINE \d+:|Candidate functions|Stack Trace", text)[0].split())
    plain = re.sub(r"^(\w+ ){1,2}Error: | Did you mean \"(pg|sqlite|duckdb)_\w+\"\?", "", plain)
    return f"{plain[:300].rstrip(' .!')}; `kommunekort describe mart.mapping` shows the columns of a table"


def _print_rows_of(parts: Iterator[list[tuple[Any, ...]]], names: list[str], output: str) -> None:
    """Print a query's rows as they come; a table shows the first ones and says how many there are."""
    if output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        for rows in parts:
            writer.writerows(rows)
    elif output == "json":
        before, end = "[\n ", "[]\n"
        for row in chain.from_iterable(parts):
            record = {name: json_value(value) for name, value in zip(names, row, strict=True)}
            sys.stdout.write(before + json.dumps(record, ensure_ascii=False, default=str, allow_nan=False))
            before, end = ",\n ", "\n]\n"
        sys.stdout.write(end)
    else:
        shown: list[dict[str, Any]] = []
        total = 0
        for rows in parts:
            shown += [dict(zip(names, row, strict=True)) for row in rows[: max(MOST_SHOWN - total, 0)]]
            total += len(rows)
        print_rows(shown, names)
        if total > len(shown):
            say(f"the first {len(shown):,} of {total:,} rows; --format csv or json gives every one")


def json_value(value: Any) -> Any:
    """Return a database value as JSON has it: numbers as numbers, what is no number as null, lists and maps within."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): json_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(part) for part in value]
    return value


# report, workbook, describe, profile: the mapping as pages, as a workbook, and one answer at a time.


Row = dict[str, Any]


def report(
    data: DataOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write instead of the published report.")] = None,
    boundaries: Annotated[Path | None, typer.Option("--boundaries", help="GeoJSON of the municipalities.")] = None,
    boundaries_source: Annotated[
        str | None, typer.Option("--boundaries-source", help="Whom the map credits for the boundaries.")
    ] = None,
    pdf: Annotated[
        bool | None, typer.Option("--pdf/--no-pdf", help="Print every profile to a PDF too (needs Chromium).")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the HTML report of what is published. Example: kommunekort report --pdf"""
    from flows.report.build import build_report
    from flows.run.record import find_record
    from flows.store.builds import flip_link, seal_again

    given = {"boundaries": boundaries, "boundaries_source": boundaries_source, "pdf": pdf}
    settings = settings_from(data).model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )

    def write(build: Build, database: Path, folder: Path) -> None:
        ages = (find_record(settings, build.run_id) or {}).get("ages")
        with steps(quiet) as on_step:
            build_report(database, folder, settings, ages, on_step)

    if to is not None:
        _check_target(to)
        now = published_build(settings)
        with published_database(now) as database:
            write(now, database, to.expanduser().resolve())
    else:
        with writing_into_published(settings, "report-*") as now:
            write(now, now.path, now.report)
            seal_again(now)
            flip_link(settings.report, now.report)
    if not quiet:
        say(f"report: {(to or settings.report) / 'index.html'}")


def _check_target(folder: Path) -> None:
    """Refuse to replace a folder that is not a report: everything in it would be lost."""
    target = folder.expanduser().resolve()
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not is_free and not (target / "assets" / "report.css").is_file():
        raise UsageError(f"{folder}: is not empty and no report; give a new folder")


def workbook(
    data: DataOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="File to write (else data/exports/kommunekort.xlsx).")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write what is published as an Excel workbook. Example: kommunekort workbook --to kortlaegning.xlsx"""
    from flows.report.workbook import write_workbook
    from flows.store.builds import readable, seal_again
    from flows.store.exports import WORKBOOK

    settings = settings_from(data)
    if to is not None:
        with published_database(published_build(settings)) as database:
            path = write_workbook(database, to.expanduser().resolve())
    else:
        path = settings.exports / WORKBOOK
        with writing_into_published(settings, "*.xlsx") as now, readable(now) as database:
            write_workbook(database, now.exports / path.name)
            seal_again(now)
    if not quiet:
        say(f"workbook: {path}")


def describe(
    name: Annotated[str, typer.Argument(help="A table (mart.mapping), a column, or an indicator.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a table, column or indicator means. Example: kommunekort describe employment_gap_non_western_pp"""

    settings = settings_from(data)
    with published_database(published_build(settings)) as database:
        told = described(database, name)
    if as_json:
        print_json(told)
        return
    kind = told.pop("kind")
    columns = told.pop("columns", None)
    out.print(f"[bold]{kind}[/] {told.pop('name')}", highlight=False)
    for key, value in told.items():
        if value not in (None, ""):
            say(f"{key}: {value}")
    if columns:
        print_rows(columns, list(columns[0]))


def described(database: Path, name: str) -> Row:
    """Return the meaning of a table, an indicator or a column as plain values; UsageError with a suggestion."""
    from transforms.warehouse import Warehouse

    with Warehouse.open(database, read_only=True) as warehouse:
        if not warehouse.exists("meta.data_dictionary"):
            raise UsageError(f"{database}: meta.data_dictionary is not there; run `kommunekort run`")
        rows = warehouse.dicts("SELECT * FROM meta.data_dictionary ORDER BY table_name, column_position")
        indicators = warehouse.dicts("SELECT * FROM mart.indicator ORDER BY indicator_id")
    tables = {row["table_name"] for row in rows}
    full = name if name in tables else f"mart.{name}"
    if full in tables:
        part = [row for row in rows if row["table_name"] == full]
        keys = ("column_name", "data_type", "unit", "label_da", "label_en", "description_da", "description")
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
            return {"kind": "indicator", "name": row.pop("indicator_id"), **row}
    found = [row for row in rows if row["column_name"] == name]
    if found:
        keys = ("data_type", "unit", "label_da", "label_en", "description_da", "description", "allowed_values")
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
    from flows.store.exports import SYNTHETIC

    settings = settings_from(data)
    with published_database(published_build(settings)) as database:
        told = profiled(database, municipality_code(municipality))
    if as_json:
        print_json(told)
        return
    if told["is_synthetic"]:
        out.print(f"[bold]{SYNTHETIC}[/]")
    print_profile(told)
    page = settings.report / "kommune" / f"{told['municipality']['municipality_code']}.html"
    if page.exists():
        say(f"profile page: {page}")


def print_profile(told: Row) -> None:
    """Print what `profiled` found as a Danish reader expects it: figures with units, expected, peers, findings."""
    from flows.report import words
    from transforms.models.wording import STATUSES, date_text, level, listed, number, official_name, signed, unit_of

    def figure(value: Any, unit: str, status: str) -> str:
        return STATUSES[status or "missing"][0] if value is None else level(value, unit, "da")

    who = told["municipality"]
    say(f"{official_name(who['municipality_name'], 'da')} ({who['municipality_code']}), {who['region_name']}", "bold")
    heads = ("Hovedtal", "Kommunen", "Hele landet", "n", "Opgjort")
    rows = []
    for row in told["headlines"]:
        own, nation = figure(row["value"], row["unit"], row["value_status"]), row["national_value"]
        country = "opgøres ikke" if nation is None else level(nation, row["unit"], "da")
        over = None if row["n_count"] is None else number(row["n_count"], 0, "da")
        day = row["reference_date"] and date_text(row["reference_date"], "da")
        rows.append(dict(zip(heads, (row["label_da"], own, country, over, day), strict=True)))
    print_rows(rows, heads)
    newest: dict[str, Row] = {row["outcome_id"]: row for row in told["expected"]}  # in the order of their periods
    if newest:
        say("Forventet og faktisk", "bold")
    for outcome_id, row in newest.items():
        (label, _), unit = words.outcome(outcome_id, told["outcomes"])
        if row["difference"] is None:
            observed = figure(row["observed"], unit, row["value_status"])
            why = words.NOT_REACHED[0] if words.is_not_reached(row) else observed
            say(f"- {label}: {why}; {words.NOT_EXPECTED[0]}" if words.is_not_expected(row) else f"- {label}: {why}")
            continue
        decimals, word = unit_of(unit).decimals, unit_of(unit).difference[0]
        text = f"- {label}: {level(row['observed'], unit, 'da')}, forventet {level(row['expected'], unit, 'da')}"
        text += f"; forskel {signed(row['difference'], decimals, 'da')} {word}"
        if row["difference_low"] is not None:
            low, high = (signed(row[key], decimals, "da") for key in ("difference_low", "difference_high"))
            text += f" [{low}; {high}]"
        if row["n_count"] is not None:
            text += f", n = {number(row['n_count'], 0, 'da')}"
        if row["rank_low"] is not None:
            text += f", plads {row['rank_low']}–{row['rank_high']}"
        say(f"{text}: {words.ASSESSMENTS.get(row['assessment'], words.NOT_JUDGED)[0]}")
    if told["peers"]:
        say("Sammenligningskommuner", "bold")
        say(listed([row["peer_name"] for row in told["peers"]], "da"))
    for kind, title in (("challenge", "Udfordringer"), ("potential", "Potentialer")):
        found = [row for row in told["findings"] if row["finding_kind"] == kind]
        if found:
            say(title, "bold")
        for row in found:
            say(f"- {row['sentence_da']}")


def municipality_code(text: str) -> str:
    """Return the code a name, alias or code stands for; UsageError with a suggestion when it names no municipality."""
    from transforms.areas import area_code, areas, areas_at, suggest

    code = area_code(text)
    if code is not None and areas()[code].level == "municipality":
        return code
    names = {area.name_da for area in areas_at(["municipality"])}
    meant = [name for name in names if _plainly(name) == _plainly(text)]
    if len(meant) == 1:
        return str(area_code(meant[0]))
    near = [name for name in suggest(text) if name in names]
    hint = f"did you mean {' or '.join(near)}?" if near else "give its name or three-digit code, e.g. Odense or 461"
    raise UsageError(f"{text}: not a municipality; {hint}")


def _plainly(name: str) -> str:
    """Return a name as one without Danish letters on the keyboard may write it."""
    plain = name.casefold().strip().removesuffix(" kommune").replace("aa", "a").replace("oe", "o").replace("ae", "a")
    return plain.translate(str.maketrans("åøæ-", "aoa "))


def profiled(database: Path, code: str) -> Row:
    """Return a municipality's row, headline figures with their national value, expectation and findings."""
    from transforms.warehouse import Warehouse

    with Warehouse.open(database, read_only=True) as warehouse:
        who = warehouse.dicts("SELECT * FROM mart.municipality WHERE municipality_code = ?", [code])
        if not who:
            raise UsageError(f"{code}: not in the published mapping; `kommunekort run` builds a whole one")
        headlines = warehouse.dicts(
            """SELECT i.indicator_id, i.label_da, v.value::DOUBLE AS value, n.value::DOUBLE AS national_value, i.unit,
                      v.value_status, v.reference_date, if(v.value IS NOT NULL AND i.operation IN ('ratio', 'value',
                      'delivery'), v.denominator::BIGINT, NULL) AS n_count
               FROM mart.indicator i
               JOIN mart.indicator_value v USING (indicator_id)
               LEFT JOIN mart.indicator_national n USING (indicator_id, period)
               WHERE v.municipality_code = ? AND v.is_newest AND i.is_headline ORDER BY i.dimension, i.label_da""",
            [code],
        )
        is_synthetic = bool(warehouse.scalar("SELECT is_synthetic FROM meta.release"))
        told: Row = {"municipality": who[0], "is_synthetic": is_synthetic, "headlines": headlines}
        for key, table in (("expected", "mart.expected"), ("findings", "mart.finding"), ("peers", "mart.peer")):
            query = f"SELECT * FROM {table} WHERE municipality_code = ? ORDER BY ALL"
            told[key] = warehouse.dicts(query, [code]) if warehouse.exists(table) else []
        names = dict(warehouse.rows("SELECT municipality_code, municipality_name FROM mart.municipality"))
        units = warehouse.dicts("SELECT indicator_id, label_da, label_en, unit FROM mart.indicator")
        named = ({**row, "peer_name": names.get(row["peer_code"], row["peer_code"])} for row in told["peers"])
        told["peers"] = sorted(named, key=lambda row: row["peer_rank"])
        used = {row["outcome_id"] for row in told["expected"]}
        told["outcomes"] = {row["indicator_id"]: row for row in units if row["indicator_id"] in used}
    return told

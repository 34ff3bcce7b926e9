"""The mapping as one Excel workbook: a reading guide, one sheet per table of the mart, and the dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows.report import words
from transforms.errors import UsageError
from transforms.models.wording import UNITS, unit_of
from transforms.warehouse import Warehouse, quote_identifier, quote_table

Sheet = Any
"""A write-only worksheet; openpyxl's types leave out what it can do."""
GUIDE, SERIES, DICTIONARY = "Læsevejledning", "Tidsserier", "Ordbog"
ORDER = (
    "mapping", "municipality", "expected", "finding", "peer", "organisation", "industry_match", "method_candidate",
    "method_effect", "eligibility", "indicator", "indicator_value", "indicator_national", "group_value",
    "commuting_area",
)  # fmt: skip
"""The sheets in reading order; further tables of the mart follow by name."""
# What stands beside a code: column -> the column it is named by, and the table, key and column that hold the name.
NAMES = {
    "municipality_code": ("municipality_name", "mart.municipality", "municipality_code", "municipality_name"),
    "peer_code": ("peer_name", "mart.municipality", "municipality_code", "municipality_name"),
    "commuting_area_code": ("commuting_area_name", "mart.municipality", "municipality_code", "municipality_name"),
    "indicator_id": ("indicator_label", "mart.indicator", "indicator_id", "label_da"),
    "outcome_id": ("outcome_label", "mart.indicator", "indicator_id", "label_da"),
    **{f"condition_{k}": (f"condition_{k}_label", "mart.indicator", "indicator_id", "label_da") for k in (1, 2, 3)},
    "method_code": ("method_label", "reference.methods", "method_code", "label_da"),
}
ADDED_LABELS = {
    "peer_name": "Sammenligningskommunens navn", "commuting_area_name": "Pendlingsområdets største kommune",
    "indicator_label": "Indikatorens navn", "outcome_label": "Resultatets navn", "method_label": "Metodens navn",
    **{f"condition_{k}_label": "Vilkårets navn" for k in (1, 2, 3)},
}  # fmt: skip
CODED = (
    "size_band", "assessment", "duration_assessment", "finding_kind", "compare_to", "strength", "evidence_grade",
    "dimension", *words.form_words(),
)  # fmt: skip
"""Columns of codes that no table names: what each code is called stands beside it, in a column `<name>_text`."""
REVISED = "Ændrede tal"
"""Every figure a later publication has changed, newest first."""
MOST_ROWS = 120_000
"""A table with more rows goes in with its newest period alone (where it has `is_newest`), and the guide says so."""
EXCEL_ROWS = 1_048_575
ILLEGAL = dict.fromkeys([*range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20)], "\N{REPLACEMENT CHARACTER}")
WITHHELD = {"suppressed": "diskretioneret", "missing": "mangler", "not_applicable": "ikke relevant"}
WIDTH_ROWS = 200


def write_workbook(database: Path, path: Path, *, most_rows: int = MOST_ROWS) -> Path:
    """Write the mart of a finished database as a workbook and return it; the file appears at once, whole.

    Numbers are numbers, dates dates, codes text. A figure that is withheld or missing has no value, and a coloured
    status beside it. Text that a spreadsheet would take for a formula stays text. UsageError without a mart.
    """
    from openpyxl import Workbook

    with Warehouse.open(database, read_only=True) as warehouse:
        tables = [name for (name,) in warehouse.rows(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart' ORDER BY table_name")]  # fmt: skip
        if not tables:
            raise UsageError(f"{database}: there is no mart table to write")
        mark = warehouse.scalar("SELECT data_mark FROM meta.release") if warehouse.exists("meta.release") else None
        labels = column_labels(warehouse)
        book = Workbook(write_only=True)
        book.properties.title = "Kortlægning af kommunernes afsæt, organisering og rammevilkår"
        book.properties.creator = "kommunekort"
        book.properties.subject = mark or "Kortlægningen"
        tables.sort(key=lambda table: (ORDER.index(table) if table in ORDER else len(ORDER), table))
        plans = [_plan(warehouse, table, most_rows) for table in tables]
        _write_guide(book.create_sheet(GUIDE), warehouse, plans, mark)
        for table, query, _, _ in plans:
            if table == "indicator_value":
                _write_series(book.create_sheet(SERIES), warehouse, mark)
            _write_table(book.create_sheet(table[:31]), warehouse, query, labels, mark)
        if warehouse.exists("meta.revision"):
            query = "SELECT * FROM meta.revision ORDER BY run_id DESC, municipality_code, indicator_id, period "
            _write_table(book.create_sheet(REVISED), warehouse, f"{query}LIMIT {most_rows}", labels, mark)
        if warehouse.exists("meta.data_dictionary"):
            query = "SELECT * FROM meta.data_dictionary ORDER BY table_name, column_position"
            _write_table(book.create_sheet(DICTIONARY), warehouse, query, labels, mark)
    partial = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(partial)
    partial.replace(path)
    return path


Labels = dict[str, tuple[str, str | None, str | None]]
"""Column name -> Danish label, unit, Danish description."""


def column_labels(warehouse: Warehouse) -> Labels:
    """Return the Danish label, the unit and the Danish description of every column name in the dictionary."""
    added: Labels = {name: (label, None, None) for name, label in ADDED_LABELS.items()}
    if not warehouse.exists("meta.data_dictionary"):
        return added
    rows = warehouse.rows(
        "SELECT column_name, any_value(label_da), any_value(unit), any_value(description_da) "
        "FROM meta.data_dictionary GROUP BY column_name"
    )
    return added | {name: (label, unit, description) for name, label, unit, description in rows}


def _plan(warehouse: Warehouse, table: str, most_rows: int) -> tuple[str, str, int, int]:
    """Return the table, the query of its rows that go in, how many go in, and how many there are."""
    full = quote_table(f"mart.{table}")
    total = int(warehouse.scalar(f"SELECT count(*) FROM {full}"))
    names = [name for name, _ in warehouse.columns(f"SELECT * FROM {full}")]
    query = f"SELECT * FROM ({_named(warehouse, full, names)})"
    if total > min(most_rows, EXCEL_ROWS) and "is_newest" in names:
        query += " WHERE is_newest"
    keys = [name for name in names if name.endswith(("_code", "_id")) or name == "period"] or names[:1]
    ranks = [name for name in ("peer_rank", "candidate_rank") if name in names]
    keys = ["municipality_code", *ranks] if ranks else keys
    query += " ORDER BY " + ", ".join(quote_identifier(name) for name in keys) + f" LIMIT {EXCEL_ROWS}"
    shown = int(warehouse.scalar(f"SELECT count(*) FROM ({query})"))
    return table, query, shown, total


def _named(warehouse: Warehouse, full: str, names: list[str]) -> str:
    """Return the query of a table with the name of each code beside it, where the table has not got it already."""
    columns, joins = [], []
    for place, name in enumerate(names):
        columns.append(f"main.{quote_identifier(name)}")
        added, table, key, text = NAMES.get(name, ("", "", "", ""))
        if added and added not in names and table != full.replace('"', "") and warehouse.exists(table):
            columns.append(f"name_{place}.{quote_identifier(text)} AS {quote_identifier(added)}")
            joins.append(
                f"LEFT JOIN {quote_table(table)} name_{place} "
                f"ON name_{place}.{quote_identifier(key)} = main.{quote_identifier(name)}"
            )
    return f"SELECT {', '.join(columns)} FROM {full} main {' '.join(joins)}"


def _write_series(sheet: Sheet, warehouse: Warehouse, mark: str | None) -> None:
    """Write the figures over the years: a row per indicator and municipality, a column per year.

    A month or quarter is only set beside the same one of other years. What is not known is empty, and the sheet of
    the figures tells why.
    """
    rows = warehouse.rows(
        """
        WITH newest AS (
            SELECT indicator_id, max(reference_date) AS day FROM mart.indicator_value WHERE is_newest GROUP BY ALL
        )
        SELECT figure.indicator_id, indicator.label_da, indicator.unit, figure.municipality_code,
            municipality.municipality_name, year(figure.reference_date), figure.value::DOUBLE
        FROM mart.indicator_value figure
        JOIN newest USING (indicator_id)
        JOIN mart.indicator indicator USING (indicator_id)
        JOIN mart.municipality municipality USING (municipality_code)
        WHERE figure.value IS NOT NULL
            AND (month(figure.reference_date), day(figure.reference_date)) = (month(newest.day), day(newest.day))
        ORDER BY indicator.dimension, indicator.label_da, figure.indicator_id, figure.municipality_code
        """
    )
    years = sorted({int(row[5]) for row in rows})
    series: dict[tuple[Any, ...], dict[int, float]] = {}
    for *who, year, value in rows:
        series.setdefault(tuple(who), {})[int(year)] = value
    names = ["indicator_id", "indicator_label", "unit", "municipality_code", "municipality_name", *map(str, years)]
    labels = ["Indikator, id", "Indikator", "Enhed", "Kommunekode", "Kommune", *[""] * len(years)]
    _set_up(sheet, names, len(series), 2 + (1 if mark else 0), [24, 44, 12, 10, 20, *[10] * len(years)])
    _head(sheet, names, labels, [None] * len(names), mark)
    for key, values in series.items():
        form = _decimals(unit_of(key[2]).decimals)
        sheet.append([*key, *(None if year not in values else _cell(sheet, values[year], form) for year in years)])


def _set_up(sheet: Sheet, names: Sequence[str], rows: int, head: int, widths: Sequence[float]) -> None:
    """Set what is in sight, filtered and printed: the heading stays, A4 across, as wide as the page, numbered."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.properties import PageSetupProperties

    last = get_column_letter(len(names))
    sheet.freeze_panes = f"{'B' if len(names) > 1 else 'A'}{head + 1}"
    sheet.auto_filter.ref = f"A{head}:{last}{head + rows}"
    for place, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 9
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.print_title_rows = f"{head - 1}:{head}"
    sheet.oddFooter.left.text, sheet.oddFooter.right.text = "&A", "Side &P af &N"


def _head(
    sheet: Sheet, names: Sequence[str], labels: Sequence[str], notes: Sequence[str | None], mark: str | None
) -> None:
    """Write the mark, the Danish labels and the column names; a column's meaning is a note on its name."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill

    if mark:
        sheet.append([_styled(sheet, mark, Font(bold=True), PatternFill("solid", fgColor="FFF0B8"))])
    sheet.append([_styled(sheet, label, Font(italic=True, color="666666")) for label in labels])
    out = []
    for name, note in zip(names, notes, strict=True):
        cell = WriteOnlyCell(sheet, value=name)
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E3EEF1")
        if note:
            cell.comment = Comment(note, "kommunekort", width=320, height=90)
        out.append(cell)
    sheet.append(out)


def _styled(sheet: Sheet, value: Any, font: Any, fill: Any = None) -> Any:
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value=value)
    cell.font = font
    if fill is not None:
        cell.fill = fill
    return cell


def _write_table(
    sheet: Sheet,
    warehouse: Warehouse,
    query: str,
    labels: Labels,
    mark: str | None,
) -> None:
    """Write one table: the Danish labels, the column names that are filtered on, then the rows.

    A figure of an indicator or outcome has the decimals of that one's unit, as everywhere else it is shown.
    """
    from openpyxl.styles import Font, PatternFill

    columns, rows = _with_texts(warehouse.columns(query), warehouse.rows(query))
    names = [name for name, _ in columns]
    _set_up(sheet, names, len(rows), 2 + (1 if mark else 0), list(_widths(names, rows)))
    texts = {f"{name}_text": (f"{labels[name][0]}, tekst", None, None) for name in CODED if name in labels}
    known = [(labels | texts).get(name, (name, None, None)) for name in names]
    _head(sheet, names, [label for label, _, _ in known], [note for _, _, note in known], mark)
    formats = [_format(name, kind, known[place][1]) for place, (name, kind) in enumerate(columns)]
    units = indicator_units(warehouse)
    what = next((names.index(name) for name in ("indicator_id", "outcome_id") if name in names), None)
    figures = [place for place, name in enumerate(names) if name in FIGURES]
    status = names.index("value_status") if "value_status" in names else None
    soft, grey = Font(italic=True, color="666666"), PatternFill("solid", fgColor="D9D6CD")
    for row in rows:
        own = list(formats)
        if what is not None and row[what] in units:
            for place in figures:
                own[place] = _decimals(unit_of(units[row[what]]).decimals)
        out = [_cell(sheet, value, form) for value, form in zip(row, own, strict=True)]
        if status is not None and row[status] in WITHHELD:
            out[status] = _styled(sheet, row[status], soft, grey)
        sheet.append(out)


Columns = list[tuple[str, str]]


def _with_texts(columns: Columns, rows: Sequence[Sequence[Any]]) -> tuple[Columns, list[list[Any]]]:
    """Return columns and rows with what a code is called beside it, and a name where no table holds one."""
    heads = [head for name, kind in columns
             for head in ((name, kind), (f"{name}_text", "VARCHAR"))[: 1 + (name in CODED)]]  # fmt: skip
    out = []
    for row in rows:
        told: list[Any] = []
        for (name, _), value in zip(columns, row, strict=True):
            if value is None and name in ADDED_LABELS and name.endswith("_label") and told[-1]:
                value = words.outcome(told[-1], {})[0][0]
            told.append(value)
            if name in CODED:
                call = words.answer if name in words.form_words() else words.allowed
                told.append(None if value is None else call(name, value)[0])
        out.append(told)
    return heads, out


FIGURES = (
    "value", "observed", "expected", "difference", "difference_low", "difference_high", "shrunk_difference",
    "reference_value", "gap", "median_value",
)  # fmt: skip


def indicator_units(warehouse: Warehouse) -> dict[str, str]:
    """Return the unit of every indicator, and of the outcomes that are none."""
    if not warehouse.exists("mart.indicator"):
        return {}
    return {"first_job_weeks": "weeks", **dict(warehouse.rows("SELECT indicator_id, unit FROM mart.indicator"))}


def _decimals(decimals: int) -> str:
    return "#,##0" + ("." + "0" * decimals if decimals else "")


def _cell(sheet: Sheet, value: Any, number_format: str | None) -> Any:
    """Return what goes into a cell: plain where it can be, typed text where a formula could hide."""
    from openpyxl.cell import WriteOnlyCell

    if isinstance(value, str):
        text = value.translate(ILLEGAL)
        if not text.startswith(("=", "+", "-", "@", "\t", "\r")):
            return text
        cell = WriteOnlyCell(sheet, value=text)
        cell.data_type = "s"
        cell.quotePrefix = True
        return cell
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if number_format is None or value is None or isinstance(value, bool):
        return value
    cell = WriteOnlyCell(sheet, value=value)
    cell.number_format = number_format
    return cell


def _format(name: str, kind: str, unit: str | None) -> str | None:
    """Return a column's number format. Excel writes its separators in the reader's own (Danish) form."""
    if kind.startswith(("DATE", "TIMESTAMP")):
        return "dd\\.mm\\.yyyy" if kind == "DATE" else "dd\\.mm\\.yyyy hh:mm"
    if kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")):
        return _decimals(unit_of(unit).decimals) if unit in UNITS else "#,##0.0###"
    if kind in ("BIGINT", "INTEGER", "HUGEINT", "SMALLINT") and not name.endswith("_year"):
        return "#,##0"
    return None


def _widths(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[float]:
    """Yield a readable width per column, from its name and the first rows."""
    for place, name in enumerate(names):
        longest = max((len(str(row[place])) for row in rows[:WIDTH_ROWS] if row[place] is not None), default=0)
        yield float(min(max(longest, len(name) + 3, 9) + 1, 60))


def _write_guide(sheet: Sheet, warehouse: Warehouse, plans: list[tuple[str, str, int, int]], mark: str | None) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, Font, PatternFill

    sheet.column_dimensions["A"].width = 34
    sheet.column_dimensions["B"].width = 70
    sheet.column_dimensions["C"].width = 14
    sheet.column_dimensions["D"].width = 14

    def line(*values: Any, bold: bool = False, fill: str | None = None) -> None:
        out = []
        for value in values:
            cell = WriteOnlyCell(sheet, value=value)
            cell.font = Font(bold=bold)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if fill:
                cell.fill = PatternFill("solid", fgColor=fill)
            out.append(cell)
        sheet.append(out)

    line("Kortlægning / The mapping", bold=True)
    if mark:
        invented = "Tallene er opfundet til afprøvning. / The figures are invented for testing."
        line(mark, invented, bold=True, fill="FFF0B8")
    line()
    for title, text in GUIDE_TEXT:
        line(title, text)
    line("Tidsserier", "Arket Tidsserier viser hver indikator for hver kommune med et år i hver kolonne. / The sheet "
         "Tidsserier shows each indicator for each municipality with a year in each column.")  # fmt: skip
    line()
    line("Ark / Sheet", "Indhold / Content", "Rækker / Rows", "I alt / In all", bold=True, fill="E3EEF1")
    told = table_texts(warehouse)
    for table, _, shown, total in plans:
        text = told.get(f"mart.{table}", "")
        if shown < total:
            text += NEWEST_ONLY
        line(table, text, shown, total)
    line()
    if warehouse.exists("meta.run"):
        facts = warehouse.rows("SELECT run_id, started_at, as_of FROM meta.run")
        for run_id, started, as_of in facts:
            line("Kørsel / Run", str(run_id))
            line("Bygget / Built", _day(started))
            if as_of is not None:
                line("Kendt pr. / Known as of", _day(as_of))


NEWEST_ONLY = " – kun nyeste periode, resten er i Parquet-filen / newest period only, the rest is in the Parquet file"
GUIDE_TEXT = (
    ("Status", "En tom værdi er aldrig nul: kolonnen value_status viser, om tallet er diskretioneret (suppressed), "
     "mangler (missing) eller ikke er relevant. / An empty value is never nought: value_status tells whether it is "
     "withheld, missing or not applicable."),
    ("Sammenlign / Compare", "To indikatorer må kun sammenlignes, når population, alder, opholdsgrundlag, "
     "jobdefinition og periodetype er de samme (arket indicator). / Two indicators may only be compared when those "
     "definitions agree."),
    ("Koder / Codes", "Koder er tekst og beholder deres nuller (084 er en region); kolonnen ved siden af siger, hvad "
     "koden betyder. / Codes are text and keep their zeros; the column beside tells what a code means."),
    ("Enheder / Units", "Kolonnenavnet slutter på enheden (_pct, _count, _dkk); arket Ordbog forklarer hver kolonne. / "
     "Column names end with the unit; the sheet Ordbog explains every column."),
)  # fmt: skip


def table_texts(warehouse: Warehouse) -> dict[str, str]:
    """Return the Danish and English label of every table in the dictionary."""
    if not warehouse.exists("meta.data_dictionary"):
        return {}
    rows = warehouse.rows(
        "SELECT table_name, any_value(table_label_da), any_value(table_label_en) FROM meta.data_dictionary GROUP BY ALL"
    )
    return {table: f"{da} / {en}" for table, da, en in rows}


def _day(value: date | datetime) -> str:
    return f"{value.day:02d}.{value.month:02d}.{value.year}"

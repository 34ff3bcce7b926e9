"""The mapping as one Excel workbook: a reading guide, one sheet per table of the mart, and the dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from transforms.errors import UsageError
from transforms.warehouse import Warehouse, quote_identifier, quote_table

Sheet = Any
"""A write-only worksheet; openpyxl's types leave out what it can do."""
GUIDE, DICTIONARY = "Læsevejledning", "Ordbog"
MOST_ROWS = 120_000
"""A table with more rows goes in with its newest period alone (where it has `is_newest`), and the guide says so."""
EXCEL_ROWS = 1_048_575
FORMATS = {"pct": "#,##0.0", "pp": "#,##0.0", "DKK": "#,##0", "kr": "#,##0", "persons": "#,##0"}
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
        plans = [_plan(warehouse, table, most_rows) for table in tables]
        _write_guide(book.create_sheet(GUIDE), warehouse, plans, mark)
        for table, query, _, _ in plans:
            _write_table(book.create_sheet(table[:31]), warehouse, query, labels, mark)
        if warehouse.exists("meta.data_dictionary"):
            query = "SELECT * FROM meta.data_dictionary ORDER BY table_name, column_position"
            _write_table(book.create_sheet(DICTIONARY), warehouse, query, labels, mark)
    partial = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(partial)
    partial.replace(path)
    return path


def column_labels(warehouse: Warehouse) -> dict[str, tuple[str, str | None]]:
    """Return the Danish label and the unit of every column name in the dictionary."""
    if not warehouse.exists("meta.data_dictionary"):
        return {}
    rows = warehouse.rows(
        "SELECT column_name, any_value(label_da), any_value(unit) FROM meta.data_dictionary GROUP BY ALL"
    )
    return {name: (label, unit) for name, label, unit in rows}


def _plan(warehouse: Warehouse, table: str, most_rows: int) -> tuple[str, str, int, int]:
    """Return the table, the query of its rows that go in, how many go in, and how many there are."""
    full = quote_table(f"mart.{table}")
    query = f"SELECT * FROM {full}"
    total = int(warehouse.scalar(f"SELECT count(*) FROM {full}"))
    names = [name for name, _ in warehouse.columns(query)]
    if total > min(most_rows, EXCEL_ROWS) and "is_newest" in names:
        query += " WHERE is_newest"
    keys = [name for name in names if name.endswith(("_code", "_id")) or name in ("period", "rank")] or names[:1]
    query += " ORDER BY " + ", ".join(quote_identifier(name) for name in keys) + f" LIMIT {EXCEL_ROWS}"
    shown = int(warehouse.scalar(f"SELECT count(*) FROM ({query})"))
    return table, query, shown, total


def _write_table(
    sheet: Sheet,
    warehouse: Warehouse,
    query: str,
    labels: dict[str, tuple[str, str | None]],
    mark: str | None,
) -> None:
    """Write one table: the Danish labels, the column names that are filtered on, then the rows."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    columns = warehouse.columns(query)
    names = [name for name, _ in columns]
    rows = warehouse.rows(query)
    head = 2 + (1 if mark else 0)
    sheet.freeze_panes = f"{'B' if len(names) > 1 else 'A'}{head + 1}"
    sheet.auto_filter.ref = f"A{head}:{get_column_letter(len(names))}{head + len(rows)}"
    for place, width in enumerate(_widths(names, rows), start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    bold, soft, shade = Font(bold=True), Font(italic=True, color="666666"), PatternFill("solid", fgColor="E3EEF1")

    def styled(value: Any, font: Any, fill: Any = None) -> Any:
        cell = WriteOnlyCell(sheet, value=value)
        cell.font = font
        if fill is not None:
            cell.fill = fill
        return cell

    if mark:
        sheet.append([styled(mark, bold, PatternFill("solid", fgColor="FFF0B8"))])
    sheet.append([styled(labels.get(name, (name, None))[0], soft) for name in names])
    sheet.append([styled(name, bold, shade) for name in names])
    formats = [_format(name, kind, labels.get(name, ("", None))[1]) for name, kind in columns]
    status = names.index("value_status") if "value_status" in names else None
    grey = PatternFill("solid", fgColor="D9D6CD")
    for row in rows:
        out = [_cell(sheet, value, form) for value, form in zip(row, formats, strict=True)]
        if status is not None and row[status] in WITHHELD:
            out[status] = styled(row[status], soft, grey)
        sheet.append(out)


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
        return FORMATS.get(unit or "", "#,##0.0###")
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
        line(
            mark,
            "Tallene er opfundet til afprøvning. / The figures are invented for testing.",
            bold=True,
            fill="FFF0B8",
        )
    line()
    for title, text in GUIDE_TEXT:
        line(title, text)
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
    (
        "Status",
        "En tom værdi er aldrig nul: kolonnen value_status siger, om tallet er diskretioneret (suppressed), mangler "
        "(missing) eller ikke er relevant. / An empty value is never nought: value_status tells whether it is "
        "withheld, missing or not applicable.",
    ),
    (
        "Sammenlign / Compare",
        "To indikatorer må kun sammenlignes, når population, alder, opholdsgrundlag, jobdefinition og periodetype er "
        "de samme (arket indicator). / Two indicators may only be compared when those definitions agree.",
    ),
    (
        "Koder / Codes",
        "Koder er tekst og beholder deres nuller (084 er en region). / Codes are text and keep their zeros.",
    ),
    (
        "Enheder / Units",
        "Kolonnenavnet slutter på enheden (_pct, _count, _dkk); arket Ordbog forklarer hver kolonne. / Column names "
        "end with the unit; the sheet Ordbog explains every column.",
    ),
)


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

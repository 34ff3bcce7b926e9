"""The mapping as one Excel workbook: a reading guide, one sheet per table of the mart, and the dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from itertools import count
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import Any

from flows.report import words
from flows.report.data import read_query
from flows.store.exports import TITLE_DA, mart_tables
from flows.store.snapshots import remove
from transforms.areas import reference_rows
from transforms.errors import UsageError
from transforms.models.wording import UNITS, unit_of
from transforms.warehouse import Warehouse, quote_identifier, quote_table

GUIDE, SERIES, DICTIONARY = "Læsevejledning", "Tidsserier", "Ordbog"
ORDER = (
    "mapping", "municipality", "expected", "finding", "peer", "organisation", "industry_match", "method_candidate",
    "method_effect", "eligibility", "indicator", "indicator_value", "indicator_national", "group_value",
    "commuting_area",
)  # fmt: skip
"""The sheets in reading order; further tables of the mart follow by name."""
HERE = Path(__file__).parent
NAMES = {row["column"]: row for row in reference_rows("names.csv", HERE)}
"""What stands beside a code: its column -> the column it is named by, and the table, key and column of the name."""
ADDED_LABELS = {row["beside"]: row["label_da"] for row in NAMES.values() if row["label_da"]}
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
LONGEST_TEXT, LONGEST_NAME = 32_767, 31
"""What Excel takes in a cell and as the name of a sheet."""
ILLEGAL = dict.fromkeys([*range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20)], "\N{REPLACEMENT CHARACTER}")
MARKUP = "<r>"
"""XlsxWriter takes a text that begins so for markup of its own and would write it as it stands."""
RISKY = ("=", "+", "-", "@", "\t", "\r", MARKUP)
WIDTH_ROWS = 200
Plan = tuple[str, str, int, int]
"""A table, the query of its rows that go in, how many go in, and how many there are."""


def write_workbook(database: Path, path: Path, *, most_rows: int = MOST_ROWS) -> Path:
    """Write the mart of a finished database as a workbook and return it; the file appears at once, whole.

    Numbers are numbers, dates dates, codes text. A figure that is withheld or missing has no value, and a coloured
    status beside it. Text that a spreadsheet would take for a formula stays text. UsageError without a mart; OSError
    when the machine does not take it, and then nothing of it is left behind.
    """
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import FileCreateError

    partial = path.with_name(f".{path.name}.part")  # a folder: the rows of each sheet are a file until all is packed
    remove(partial)
    with Warehouse.open(database, read_only=True) as warehouse:
        tables = mart_tables(warehouse)
        if not tables:
            raise UsageError(f"{database}: there is no mart table to write")
        tables.sort(key=lambda table: (ORDER.index(table) if table in ORDER else len(ORDER), table))
        partial.mkdir(parents=True)
        try:
            options = {"constant_memory": True, "tmpdir": str(partial), "use_zip64": True}
            file = Workbook(str(partial / path.name), options)
            _write_sheets(_Book(file, warehouse), [_plan(warehouse, table, most_rows) for table in tables], most_rows)
            file.close()
            (partial / path.name).replace(path)
        except FileCreateError as error:
            raise error.args[0] from None  # the OSError it stands for
        finally:
            remove(partial)
    return path


def _write_sheets(book: _Book, plans: list[Plan], most_rows: int) -> None:
    """Write the reading guide, the tables of the mart, what has been changed since, and the dictionary."""
    _write_guide(book, plans)
    for table, query, _, _ in plans:
        if table == "indicator_value":
            _write_series(book)
        _write_table(book, table, query)
    if book.warehouse.exists("meta.revision"):
        query = "SELECT * FROM meta.revision ORDER BY run_id DESC, municipality_code, indicator_id, period "
        _write_table(book, REVISED, f"{query}LIMIT {most_rows}")
    if book.warehouse.exists("meta.data_dictionary"):
        _write_table(book, DICTIONARY, "SELECT * FROM meta.data_dictionary ORDER BY table_name, column_position")


class _Book:
    """A workbook that is written sheet after sheet, each row after row; rows and columns count from 0."""

    def __init__(self, file: Any, warehouse: Warehouse):
        self.file, self.warehouse = file, warehouse
        self.style: Callable[..., Any] = cache(lambda **properties: file.add_format(properties))
        self.labels, self.units = column_labels(warehouse), indicator_units(warehouse)
        self.mark: str | None = next((mark for (mark,) in _rows(warehouse, "data_mark", "meta.release")), None)
        file.set_properties({"title": TITLE_DA, "subject": self.mark or "Kortlægningen", "author": "kommunekort"})

    def sheet(self, name: str, widths: Sequence[float]) -> Any:
        """Return a new sheet; its name is cut to what Excel takes, and numbered where another has become the same."""
        short, sheets = name[:LONGEST_NAME], self.file.worksheets()
        taken = short.casefold() in {sheet.name.casefold() for sheet in sheets}
        sheet = self.file.add_worksheet(f"{short[:-4]}~{len(sheets)}" if taken else short)
        sheet.set_margins(left=0.75, right=0.75, top=1, bottom=1)
        for column, width in enumerate(widths):
            sheet.set_column_pixels(column, column, 7 * width)
        return sheet

    def write(self, sheet: Any, row: int, column: int, value: Any, form: Any = None) -> None:
        """Write a value as what it is, a text never as a formula; what is not known, or no number, leaves no cell."""
        if isinstance(value, str):
            text, is_risky = _text(value)
            form = self.style(quote_prefix=True) if is_risky else form
            if is_risky and text.startswith(MARKUP):
                sheet.write_rich_string(row, column, text[0], form, text[1:LONGEST_TEXT], form)
            else:
                sheet.write_string(row, column, text, form)
        elif isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, int | float | Decimal):
            if isfinite(value):
                sheet.write_number(row, column, float(value), form)
        elif isinstance(value, date | time | timedelta):
            sheet.write_datetime(row, column, value, form)
        elif value is not None:
            self.write(sheet, row, column, ", ".join(map(str, value)) if isinstance(value, list) else str(value))

    def heading(
        self, sheet: Any, names: Sequence[str], labels: Sequence[str], notes: Sequence[str | None], rows: int
    ) -> int:
        """Write the mark, the Danish labels and the column names over `rows` rows; return where these begin.

        A column's meaning is a note on its name. The heading stays in sight, filters and is printed on every page: A4
        across, as wide as the page, numbered.
        """
        head = 2 if self.mark else 1
        self.write(sheet, 0, 0, self.mark, self.style(bold=True, bg_color="#FFF0B8"))
        for column, label in enumerate(labels):
            self.write(sheet, head - 1, column, label, self.style(italic=True, font_color="#666666"))
        for column, (name, note) in enumerate(zip(names, notes, strict=True)):
            self.write(sheet, head, column, name, self.style(bold=True, bg_color="#E3EEF1"))
            if note:
                sheet.write_comment(head, column, note, {"author": "kommunekort", "width": 320, "height": 90})
        sheet.freeze_panes(head + 1, int(len(names) > 1))
        sheet.autofilter(head, 0, head + rows, len(names) - 1)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(head - 1, head)
        sheet.set_footer("&L&A&RSide &P af &N", {"margin": 0.5})
        return head + 1


@lru_cache(maxsize=100_000)
def _text(value: str) -> tuple[str, bool]:
    """Return what of a text a cell can hold, and whether it must be told that this is text."""
    text = value.translate(ILLEGAL).replace("\r\n", "\n").replace("\r", "\n")
    return text, value.startswith(RISKY)


Labels = dict[str, tuple[str, str | None, str | None]]
"""Column name -> Danish label, unit, Danish description."""


def column_labels(warehouse: Warehouse) -> Labels:
    """Return the Danish label, the unit and the Danish description of every column name in the dictionary."""
    columns = "column_name, any_value(label_da), any_value(unit), any_value(description_da)"
    rows = _rows(warehouse, columns, "meta.data_dictionary", "GROUP BY column_name")
    added: Labels = {name: (label, None, None) for name, label in ADDED_LABELS.items()}
    return added | {name: (label, unit, description) for name, label, unit, description in rows}


def _rows(warehouse: Warehouse, columns: str, table: str, rest: str = "") -> list[tuple[Any, ...]]:
    """Return rows of a table that may be absent, and then has none."""
    return warehouse.rows(f"SELECT {columns} FROM {table} {rest}") if warehouse.exists(table) else []


def _plan(warehouse: Warehouse, table: str, most_rows: int) -> Plan:
    """Return how a table goes in: in the order of its keys, the newest period alone where it has too many rows."""
    full = f"mart.{table}"
    total = int(warehouse.scalar(f"SELECT count(*) FROM {quote_table(full)}"))
    names = [name for name, _ in warehouse.columns(f"SELECT * FROM {quote_table(full)}")]
    query = f"SELECT * FROM ({_named(warehouse, full, names)})"
    if total > min(most_rows, EXCEL_ROWS) and "is_newest" in names:
        query += " WHERE is_newest"
    keys = [name for name in names if name.endswith(("_code", "_id")) or name == "period"] or names[:1]
    ranks = [name for name in ("peer_rank", "candidate_rank") if name in names]
    keys = ["municipality_code", *ranks] if ranks else keys
    query += " ORDER BY " + ", ".join(quote_identifier(name) for name in keys) + f" LIMIT {EXCEL_ROWS}"
    shown = int(warehouse.scalar(f"SELECT count(*) FROM ({query})"))
    return table, query, shown, total


def _named(warehouse: Warehouse, table: str, names: list[str]) -> str:
    """Return the query of a table with the name of each code beside it, where the table has not got it already."""
    columns, joins = [], []
    for place, name in enumerate(names):
        columns.append(f"main.{quote_identifier(name)}")
        told = NAMES.get(name)
        if told and told["beside"] not in names and told["table"] != table and warehouse.exists(told["table"]):
            columns.append(f"name_{place}.{told['text']} AS {told['beside']}")
            joins.append(f"LEFT JOIN {told['table']} name_{place} ON name_{place}.{told['key']} = main.{name}")
    return f"SELECT {', '.join(columns)} FROM {quote_table(table)} main {' '.join(joins)}"


def _write_series(book: _Book) -> None:
    """Write the figures over the years: a row per indicator and municipality, a column per year.

    A month or quarter is only set beside the same one of other years. What is not known is empty, and the sheet of
    the figures tells why.
    """
    rows = book.warehouse.rows(read_query("series"))
    years = sorted({int(row[5]) for row in rows})
    series: dict[tuple[Any, ...], dict[int, float]] = {}
    for *who, year, value in rows:
        series.setdefault(tuple(who), {})[int(year)] = value
    names = ["indicator_id", "indicator_label", "unit", "municipality_code", "municipality_name", *map(str, years)]
    labels = ["Indikator, id", "Indikator", "Enhed", "Kommunekode", "Kommune", *[""] * len(years)]
    sheet = book.sheet(SERIES, [24, 44, 12, 10, 20, *[10] * len(years)])
    start = book.heading(sheet, names, labels, [None] * len(names), len(series))
    for row, (key, values) in enumerate(series.items(), start):
        for column, text in enumerate(key):
            book.write(sheet, row, column, text)
        form = book.style(num_format=_decimals(unit_of(key[2]).decimals))
        for column, year in enumerate(years, len(key)):
            book.write(sheet, row, column, values.get(year), form)


def _write_table(book: _Book, name: str, query: str) -> None:
    """Write one table: the Danish labels, the column names that are filtered on, then the rows.

    A figure of an indicator or outcome has the decimals of that one's unit, as everywhere else it is shown.
    """
    columns, rows = _with_texts(book.warehouse, query)
    names, kinds = zip(*columns, strict=True)
    sheet = book.sheet(name, list(_widths(names, rows)))
    texts = {f"{name}_text": (f"{book.labels[name][0]}, tekst", None, None) for name in CODED if name in book.labels}
    known = book.labels | texts
    labels, units, notes = zip(*(known.get(name, (name, None, None)) for name in names), strict=True)
    start = book.heading(sheet, names, labels, notes, len(rows))
    forms = [form and book.style(num_format=form) for form in map(_format, names, kinds, units)]
    what = next((names.index(name) for name in ("indicator_id", "outcome_id") if name in names), None)
    forms_of = {
        key: [book.style(num_format=_decimals(unit_of(unit).decimals)) if name in FIGURES else form
              for name, form in zip(names, forms, strict=True)]
        for key, unit in book.units.items()
    }  # fmt: skip
    status = names.index("value_status") if "value_status" in names else None
    withheld = book.style(italic=True, font_color="#666666", bg_color="#D9D6CD")
    for at, row in enumerate(rows, start):
        own = forms if what is None else forms_of.get(row[what], forms)
        for column, (value, form) in enumerate(zip(row, own, strict=True)):
            book.write(
                sheet, at, column, value, withheld if column == status and value in words.STATUS_LETTERS else form
            )


Columns = list[tuple[str, str]]
Row = Sequence[Any]


def _with_texts(warehouse: Warehouse, query: str) -> tuple[Columns, list[Row]]:
    """Return columns and rows with what a code is called beside it, and a name where no table holds one."""
    columns = warehouse.columns(query)
    heads: Columns = []
    values: list[Callable[[Row], Any]] = []
    for place, (name, kind) in enumerate(columns):
        heads.append((name, kind))
        values.append(_outcome(place) if name in ADDED_LABELS and name.endswith("_label") else itemgetter(place))
        if name in CODED:
            heads.append((f"{name}_text", "VARCHAR"))
            values.append(_called(name, place))
    return heads, [[value(row) for value in values] for row in warehouse.rows(query)]


def _outcome(place: int) -> Callable[[Row], Any]:
    """Return what tells the name at a place of a row; that of an outcome in no table is told by its code before it."""
    return lambda row: words.outcome(row[place - 1], {})[0][0] if row[place] is None and row[place - 1] else row[place]


def _called(name: str, place: int) -> Callable[[Row], Any]:
    """Return what tells in words the code at a place of a row."""
    call = words.answer if name in words.form_words() else words.allowed
    told = cache(lambda code: None if code is None else call(name, code)[0])
    return lambda row: told(row[place])


FIGURES = (
    "value", "observed", "expected", "difference", "difference_low", "difference_high", "shrunk_difference",
    "reference_value", "gap", "median_value",
)  # fmt: skip


def indicator_units(warehouse: Warehouse) -> dict[str, str]:
    """Return the unit of every indicator, and of the outcomes that are none."""
    units: dict[str, str] = dict(_rows(warehouse, "indicator_id, unit", "mart.indicator"))
    return {"first_job_weeks": "weeks", **units} if units else {}


def _decimals(decimals: int) -> str:
    return "#,##0" + ("." + "0" * decimals if decimals else "")


def _format(name: str, kind: str, unit: str | None) -> str | None:
    """Return a column's number format. Excel writes its separators in the reader's own (Danish) form."""
    if kind.startswith(("DATE", "TIMESTAMP")):
        return "dd\\.mm\\.yyyy" if kind == "DATE" else "dd\\.mm\\.yyyy hh:mm"
    if kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")):
        return _decimals(unit_of(unit).decimals) if unit in UNITS else "#,##0.0###"
    if kind in ("BIGINT", "INTEGER", "HUGEINT", "SMALLINT") and not name.endswith("_year"):
        return "#,##0"
    return {"TIME": "hh:mm:ss", "INTERVAL": "[hh]:mm:ss"}.get(kind)


def _widths(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[float]:
    """Yield a readable width per column, from its name and the first rows."""
    for place, name in enumerate(names):
        longest = max((len(str(row[place])) for row in rows[:WIDTH_ROWS] if row[place] is not None), default=0)
        yield float(min(max(longest, len(name) + 3, 9) + 1, 60))


def _write_guide(book: _Book, plans: list[Plan]) -> None:
    sheet, rows = book.sheet(GUIDE, [34, 70, 14, 14]), count()

    def line(*values: Any, **look: Any) -> None:
        row = next(rows)
        for column, value in enumerate(values):
            book.write(sheet, row, column, value, book.style(text_wrap=True, valign="top", **look))

    line("Kortlægning / The mapping", bold=True)
    if book.mark:
        invented = "Tallene er opfundet til afprøvning. / The figures are invented for testing."
        line(book.mark, invented, bold=True, bg_color="#FFF0B8")
    line()
    for row in reference_rows("guide_texts.csv", HERE):
        line(row["title"], f"{row['text_da']} / {row['text_en']}")
    line()
    line("Ark / Sheet", "Indhold / Content", "Rækker / Rows", "I alt / In all", bold=True, bg_color="#E3EEF1")
    told = table_texts(book.warehouse)
    for table, _, shown, total in plans:
        text = told.get(f"mart.{table}", "")
        if shown < total:
            text += NEWEST_ONLY
        line(table, text, shown, total)
    line()
    for run_id, started, as_of in _rows(book.warehouse, "run_id, started_at, as_of", "meta.run"):
        line("Kørsel / Run", str(run_id))
        line("Bygget / Built", f"{started:%d.%m.%Y}")
        if as_of is not None:
            line("Kendt pr. / Known as of", f"{as_of:%d.%m.%Y}")


NEWEST_ONLY = " – kun nyeste periode, resten er i Parquet-filen / newest period only, the rest is in the Parquet file"


def table_texts(warehouse: Warehouse) -> dict[str, str]:
    """Return the Danish and English label of every table in the dictionary."""
    columns = "table_name, any_value(table_label_da), any_value(table_label_en)"
    rows = _rows(warehouse, columns, "meta.data_dictionary", "GROUP BY ALL")
    return {table: f"{da} / {en}" for table, da, en in rows}

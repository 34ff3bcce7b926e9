"""Delivered workbooks, XLSX, XLSB and ODS, as blocks of text columns: measured before opened, formulas never run.

Values are read by python-calamine. What it does not tell is taken from the sheet's own XML: per cent, codes that the
spreadsheet turned into dates and times, errors, formulas without a saved value, hidden rows, merged cells.
One module, since from a sheet to its rows and remarks is one way whatever the workbook is.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import struct
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from flows.deliveries import xlsb
from flows.deliveries.contract import Refusal, Remark, remark_of
from flows.deliveries.files import (
    HEADING_ROWS,
    LARGEST_WORKBOOK,
    WORKBOOK_BOUNDS,
    Block,
    Layout,
    Part,
    check_sizes,
    field_of,
    find_layout,
)
from flows.deliveries.values import EXCEL_EPOCH, UNSAVED, parse_industry, read_by
from flows.store.archives import FORMULA, MOST_CELLS, ZIP_ERRORS, OddEncoding, column_number, sheet_sizes
from transforms.catalogue import Contract, DeliveryField, fold_spelling

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

ROWS_PER_BLOCK = 50_000
EPOCH_1904 = dt.date(1904, 1, 1)
LEAST_QUESTIONS = 4
_ROW_OR_CELL = re.compile(
    rb"<(?:\w+:)?(?:(row)\b([^>]*)>|c\b([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>))", re.DOTALL
)  # fmt: skip
_ATTRIBUTE = re.compile(rb"\b(r|s|t|hidden)=[\"']([^\"']*)[\"']")
_VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^>]*)?>([^<]*)</")
# Formats every Excel knows by number; the others are written out in the workbook.
BUILT_IN = {
    9: "0%", 10: "0.00%", 14: "dd-mm-yyyy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "dd-mm-yyyy h:mm", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0",
}  # fmt: skip


@dataclass(frozen=True)
class Special:
    """A cell whose value alone says too little: an error or a lost formula (`text`), or a number with its format."""

    text: str = ""
    number: str = ""
    format: str = ""


@dataclass
class Facts:
    """What the XML of a sheet tells beside its values; rows and columns count from 0."""

    special: dict[xlsb.Place, Special] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Sheet:
    """One sheet: its rows from the first, each from column A, and what else is known of its cells."""

    name: str
    number: int
    rows: Callable[[], Iterator[Sequence[Any]]] = field(repr=False)
    facts: Callable[[], Facts] = field(repr=False)
    merged: tuple[xlsb.Range, ...] = ()
    epoch: dt.date = EXCEL_EPOCH


@dataclass(frozen=True)
class Book:
    """A workbook: its visible sheets, the names of hidden ones, and its number of formulas."""

    sheets: tuple[Sheet, ...]
    hidden: tuple[Sheet, ...]
    formulas: int


@lru_cache(maxsize=2)  # the sheets of one workbook are asked for one after another
def open_book(part: Part) -> Book:
    """Return the workbook of a part; Refusal when it is damaged or implausibly large."""
    with part.open() as stream:
        content = stream.read(LARGEST_WORKBOOK + 1)
    if len(content) > LARGEST_WORKBOOK:
        raise Refusal("workbook_too_large", limit=LARGEST_WORKBOOK)
    import python_calamine

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_sizes(archive.infolist(), WORKBOOK_BOUNDS)
            if part.form == "ods":
                return _open_ods(archive)
            if part.form == "xlsb":
                return _open_xlsb(content, archive)
            formulas = _measure(archive)
        return _open_xlsx(content, formulas)
    except (*ZIP_ERRORS, ElementTree.ParseError, KeyError, IndexError, struct.error, python_calamine.CalamineError):
        raise Refusal("damaged_workbook") from None


def _measure(archive: zipfile.ZipFile) -> int:
    """Return the number of formulas, after refusing sheets whose cells would not fit in memory."""
    try:
        sizes = list(sheet_sizes(archive))
    except OddEncoding:
        raise Refusal("sheet_in_odd_encoding") from None
    for size in sizes:
        _refuse_wide(size.columns, size.rows)
    return sum(size.formulas for size in sizes)


def _refuse_wide(width: int, rows: int) -> None:
    if width * rows > MOST_CELLS:
        raise Refusal("sheet_too_wide", rows=rows, columns=width)


def _open_xlsx(content: bytes, formulas: int) -> Book:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        paths, is_1904 = _sheet_paths(archive)
        formats = _formats(archive)

    def facts(name: str) -> Facts:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _facts(archive, paths[name], formats) if name in paths else Facts()

    return _book(content, formulas, facts, is_1904=is_1904)


def _book(
    content: bytes,
    formulas: int,
    facts: Callable[[str], Facts],
    merged: Mapping[str, Sequence[xlsb.Range]] | None = None,
    *,
    is_1904: bool,
) -> Book:
    """Return the sheets of a workbook; what calamine does not tell of a sheet is asked for by its name."""
    import python_calamine
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    seen: list[Sheet] = []
    hidden: list[Sheet] = []
    for number, told in enumerate(workbook.sheets_metadata, start=1):
        if told.typ != SheetTypeEnum.WorkSheet:
            continue
        try:
            values = workbook.get_sheet_by_name(told.name)
        except (*ZIP_ERRORS, python_calamine.CalamineError):
            raise Refusal("damaged_sheet") from None
        ranges = tuple(values.merged_cell_ranges or ()) if merged is None else tuple(merged.get(told.name, ()))
        sheet = Sheet(
            told.name, number, partial(_rows, values), partial(facts, told.name), ranges,
            EPOCH_1904 if is_1904 else EXCEL_EPOCH,
        )  # fmt: skip
        (seen if told.visible == SheetVisibleEnum.Visible else hidden).append(sheet)
    return Book(tuple(seen), tuple(hidden), formulas)


def _rows(sheet: CalamineSheet) -> Iterator[Sequence[Any]]:
    return iter(sheet.to_python(skip_empty_area=False))


def _local(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _sheet_paths(archive: zipfile.ZipFile) -> tuple[dict[str, str], bool]:
    """Return sheet name -> path in the archive, and whether days count from 1904."""
    related = xlsb.related_parts(archive, "workbook.xml")
    paths: dict[str, str] = {}
    is_1904 = False
    for each in ElementTree.fromstring(archive.read(xlsb.names_in(archive)["xl/workbook.xml"])).iter():
        if _local(each) == "workbookPr":
            is_1904 = each.get("date1904", "0") in ("1", "true")
        elif _local(each) == "sheet":
            key = next((value for name, value in each.attrib.items() if name.endswith("}id")), "")
            if key in related:
                paths[each.get("name", "")] = related[key]
    return paths, is_1904


def _formats(archive: zipfile.ZipFile) -> list[str]:
    """Return the number format of each cell style, in order; empty for the general one."""
    path = xlsb.names_in(archive).get("xl/styles.xml")
    own: dict[int, str] = {}
    found: list[str] = []
    for each in ElementTree.fromstring(archive.read(path)) if path else ():
        if _local(each) == "numFmts":
            own = {int(one.get("numFmtId", "0")): one.get("formatCode", "") for one in each}
        elif _local(each) == "cellXfs":
            ids = [int(one.get("numFmtId", "0")) for one in each]
            found = [own.get(one, BUILT_IN.get(one, "")) for one in ids]
    return [_plain_format(code) for code in found]


def _plain_format(code: str) -> str:
    """Return the first section of a number format without texts, colours and languages, in small letters."""
    first = re.sub(r"\"[^\"]*\"|\\.|_.|\*.", "", code).split(";")[0]
    return re.sub(r"\[(?!h+\]|m+\]|s+\])[^\]]*\]", "", first.casefold()).strip()


def _facts(archive: zipfile.ZipFile, path: str, formats: Sequence[str]) -> Facts:
    """Return what a sheet's XML tells beside its values: one pass, and only over what it can matter for."""
    data = archive.read(path)
    facts = Facts()
    styles = {str(number).encode() for number, code in enumerate(formats) if _is_special(code)}
    row = column = -1
    for match in _ROW_OR_CELL.finditer(data):
        is_row, row_text, cell_text, inner = match.groups()
        found = dict(_ATTRIBUTE.findall(row_text if is_row else cell_text))
        place = found.get(b"r", b"")
        if is_row:
            row, column = int(place) - 1 if place else row + 1, -1
            if found.get(b"hidden") in (b"1", b"true"):
                facts.hidden.add(row)
            continue
        column = column_number(place.rstrip(b"0123456789")) - 1 if place else column + 1
        special = _special(found.get(b"t", b"n"), found.get(b"s", b"") if styles else b"", inner, styles, formats)
        if special is not None:
            facts.special[row, column] = special
    return facts


def _special(
    kind: bytes, style: bytes, inner: bytes | None, styles: set[bytes], formats: Sequence[str]
) -> Special | None:
    if inner is None:
        return None
    value = _VALUE.search(inner)
    if kind == b"e":
        return Special(text=value[1].decode("utf-8", "replace").strip() if value else "#N/A")
    if kind == b"n" and (value is None or not value[1].strip()):
        return Special(text=UNSAVED) if FORMULA.search(inner) else None
    if kind == b"n" and value is not None and style in styles:
        return Special(number=value[1].decode("ascii", "replace").strip(), format=formats[int(style)])
    return None


def _is_special(code: str) -> bool:
    return "%" in code or bool(re.search(r"[dmyh]", code) and "general" not in code)


# Excel's binary workbooks: the same parts as an XLSX, each of them records in place of XML.


def _open_xlsb(content: bytes, archive: zipfile.ZipFile) -> Book:
    """Return the sheets of a binary workbook, measured as an XLSX is."""
    binary = xlsb.read_workbook(archive)
    formats = [_plain_format(code if isinstance(code, str) else BUILT_IN.get(code, "")) for code in binary.formats]
    merged: dict[str, list[xlsb.Range]] = {}
    facts: dict[str, Facts] = {}
    formulas = 0
    for name, path in binary.paths.items():
        cells = xlsb.read_sheet(archive.read(path))
        _refuse_wide(cells.width, cells.height)
        formulas += cells.formulas
        special = {place: Special(text=error) for place, error in cells.errors.items()}
        facts[name], merged[name] = Facts(special, cells.hidden), cells.merged
        for place, (number, style) in cells.numbers.items():
            code = formats[style] if style < len(formats) else ""
            if _is_special(code):
                special[place] = Special(number=repr(number), format=code)
    return _book(content, formulas, lambda name: facts.get(name, Facts()), merged, is_1904=binary.is_1904)


# What the sheet of a spreadsheet in OpenDocument holds: a plain reading of its content.xml.


def _open_ods(archive: zipfile.ZipFile) -> Book:
    """Return the sheets of an OpenDocument spreadsheet; Refusal when it is none or spans too much."""
    if archive.read("mimetype")[:60].strip() != b"application/vnd.oasis.opendocument.spreadsheet":
        raise Refusal("no_spreadsheet", is_table=False)
    hidden_styles: set[str] = set()
    seen: list[Sheet] = []
    hidden: list[Sheet] = []
    formulas = 0
    with archive.open("content.xml") as stream:
        for _, element in ElementTree.iterparse(stream):
            if _local(element) == "style" and any(_ods(one, "display") == "false" for one in element):
                hidden_styles.add(_ods(element, "name"))
            elif _local(element) == "table" and element.tag.startswith("{urn:oasis:names:tc:opendocument:xmlns:table"):
                sheet, count = _ods_sheet(element, len(seen) + len(hidden) + 1)
                formulas += count
                (hidden if _ods(element, "style-name") in hidden_styles else seen).append(sheet)
                element.clear()
    if not seen and not hidden:
        raise Refusal("no_readable_sheet")
    return Book(tuple(seen), tuple(hidden), formulas)


def _ods(element: ElementTree.Element, name: str) -> str:
    """Return an attribute by its local name; empty when it is not there."""
    return next((value for key, value in element.attrib.items() if key.rsplit("}", 1)[-1] == name), "")


def _ods_sheet(table: ElementTree.Element, number: int) -> tuple[Sheet, int]:
    rows: list[list[Any]] = []
    facts = Facts()
    merged: list[xlsb.Range] = []
    waiting = formulas = 0
    for line in (each for each in table.iter() if _local(each) == "table-row"):
        repeated = int(_ods(line, "number-rows-repeated") or 1)
        cells: list[Any] = []
        gap = 0
        for cell in line:
            if _local(cell) not in ("table-cell", "covered-table-cell"):
                continue
            times = int(_ods(cell, "number-columns-repeated") or 1)
            formulas += bool(_ods(cell, "formula"))
            value, special = _ods_value(cell)
            if value == "" and special is None:
                gap += times
                continue
            cells += [""] * gap
            gap = 0
            _refuse_wide(len(cells) + times, len(rows) + waiting + 1)
            if special is not None:
                for step in range(times):
                    facts.special[len(rows) + waiting, len(cells) + step] = special
            down, across = int(_ods(cell, "number-rows-spanned") or 1), int(_ods(cell, "number-columns-spanned") or 1)
            if down > 1 or across > 1:
                start = (len(rows) + waiting, len(cells))
                merged.append((start, (start[0] + down - 1, start[1] + across - 1)))
            cells += [value] * times
        if not cells:
            waiting += repeated
            continue
        _refuse_wide(len(cells), len(rows) + waiting + repeated)
        rows += [[] for _ in range(waiting)]
        waiting = 0
        if _ods(line, "visibility") in ("collapse", "filter"):
            facts.hidden.update(range(len(rows), len(rows) + repeated))
        rows += [cells] * repeated
    width = max(map(len, rows), default=0)
    full = [[*row, *[""] * (width - len(row))] for row in rows]
    return Sheet(_ods(table, "name"), number, lambda: iter(full), lambda: facts, tuple(merged)), formulas


def _ods_value(cell: ElementTree.Element) -> tuple[Any, Special | None]:
    """Return a cell's value and, where that says too little, what else there is to it."""
    kind, value = _ods(cell, "value-type"), _ods(cell, "value")
    text = "\n".join("".join(part.itertext()) for part in cell if _local(part) == "p")
    if any(key.endswith("}value-type") and told == "error" for key, told in cell.attrib.items()) or (
        _ods(cell, "formula") and re.match(r"#|Err:", text)
    ):
        return text, Special(text=text if text.startswith("#") else "#VALUE!")
    if kind == "" and _ods(cell, "formula") and not text:
        return UNSAVED, Special(text=UNSAVED)
    if kind == "percentage":
        return float(value), Special(number=value, format="%")
    if kind in ("float", "currency"):
        return float(value), None
    if kind == "date":
        return _ods(cell, "date-value").replace("T", " "), None
    if kind == "boolean":
        return _ods(cell, "boolean-value") == "true", None
    return text, None


# From sheets to tables.


def sheet_layout(sheet: Sheet, contracts: Iterable[Contract], hint: str) -> Layout | None:
    """Return the layout of a sheet, or None when it holds no delivery (an instruction, a list)."""
    contracts = list(contracts)
    rows = [[_text(cell) for cell in row] for row in islice(sheet.rows(), HEADING_ROWS)]
    return find_layout(rows, contracts, hint) or _form_layout(sheet, contracts)


def _form_layout(sheet: Sheet, contracts: Sequence[Contract]) -> Layout | None:
    """Return the layout of a form that asks one question a line, or None.

    `positions` are then lines, and the answers stand in the columns headed «Svar», each of them one whole answer.
    """
    for contract in contracts:
        if contract.table != "organisation":
            continue
        rows = [[_text(cell) for cell in row] for row in islice(sheet.rows(), 500)]
        for column in range(min(4, max(map(len, rows), default=0))):
            asked: dict[str, int] = {}
            for number, row in enumerate(rows):
                each = field_of(row[column], contract) if column < len(row) else None
                if each is not None and each.type != "dropped":
                    asked.setdefault(each.name, number)
            top = min(asked.values(), default=0)
            if len(asked) >= LEAST_QUESTIONS and _answer_columns(rows[:top], column):
                lines = {name: number + 1 for name, number in asked.items()}
                return Layout(contract, column, len(rows), asked, (), (), lines)
    return None


def sheet_blocks(sheet: Sheet, layout: Layout) -> Generator[Block]:
    """Yield the rows under the heading in blocks; row numbers are those Excel shows."""
    facts = sheet.facts()
    fields = {name: layout.contract.field(name) for name in layout.positions}
    if layout.questions:
        yield from _form_blocks(sheet, layout, fields, facts)
        return
    rows = sheet.rows()
    first = layout.heading_row + 2
    fill = _fill_down(sheet, layout.heading_row)
    above: dict[tuple[int, int], Any] = {}
    for _ in range(layout.heading_row + 1):
        next(rows, None)
    while batch := list(islice(rows, ROWS_PER_BLOCK)):
        for number, row in enumerate(batch, start=first - 1):
            for column, start in fill.get(number, ()):
                if number == start:
                    above[start, column] = row[column]
                elif isinstance(row, list) and column < len(row):
                    row[column] = above.get((start, column), "")
        columns = {
            name: _array(
                _text(row[position], fields[name], facts.special.get((number, position)), sheet.epoch)
                for number, row in enumerate(batch, start=first - 1)
            )
            for name, position in layout.positions.items()
        }
        yield _block(columns, range(first, first + len(batch)), [_text(row[0]) for row in batch])
        first += len(batch)


def _form_blocks(sheet: Sheet, layout: Layout, fields: dict[str, DeliveryField], facts: Facts) -> Iterator[Block]:
    """Yield the answers of a form with one question a line: one row for each column that is filled in."""
    rows = list(sheet.rows())
    question, top = layout.heading_row, min(layout.positions.values())
    answers = _answer_columns([[_text(cell) for cell in row] for row in rows[:top]], question)
    filled = [column for column in answers if any(_text(rows[n][column]).strip() for n in layout.positions.values())]
    columns = {
        name: _array(
            _text(rows[n][column], fields[name], facts.special.get((n, column)), sheet.epoch) for column in filled
        )
        for name, n in layout.positions.items()
    }
    yield _block(columns, range(2, 2 + len(filled)), [""] * len(filled))


def _answer_columns(rows: Sequence[Sequence[str]], question: int) -> list[int]:
    """Return the columns after the questions that are headed «Svar», «Svar 2», «Answer»."""
    found = {
        column
        for row in rows
        for column, text in enumerate(row)
        if column > question and re.fullmatch(r"(svar|answer)\d*", fold_spelling(text))
    }
    return sorted(found)


def _array(texts: Iterable[str]) -> Any:
    import pyarrow as pa

    return pa.array(list(texts), pa.string())


def _block(columns: dict[str, Any], rows: range, first: list[str]) -> Block:
    import numpy as np

    return Block(columns, np.arange(rows.start, rows.stop), [], _array(first))


def _fill_down(sheet: Sheet, heading_row: int) -> dict[int, list[tuple[int, int]]]:
    """Return row -> (column, row its value stands in) for cells merged over several rows under the heading."""
    found: dict[int, list[tuple[int, int]]] = {}
    for (top, left), (bottom, right) in sheet.merged:
        if heading_row < top < bottom and left == right:
            for row in range(top, bottom + 1):
                found.setdefault(row, []).append((left, top))
    return found


def sheet_remarks(sheet: Sheet, layout: Layout) -> Iterator[Remark]:
    """Yield what is to be told of a sheet: hidden rows, cells merged over rows, codes restored from dates."""
    facts = sheet.facts()
    below = sum(row > layout.heading_row for row in facts.hidden)
    if below and not layout.questions:
        yield remark_of("hidden_rows", rows=below)
    merged = sum(map(len, _fill_down(sheet, layout.heading_row).values()))
    if merged and not layout.questions:
        yield remark_of("merged_cells", cells=merged)
    codes = {position for name, position in layout.positions.items() if layout.contract.field(name).type == "industry"}
    restored = sum(
        1
        for (row, column), special in facts.special.items()
        if (row if layout.questions else column) in codes
        and row > layout.heading_row
        and restored_code(special, sheet.epoch)
    )
    if restored:
        yield remark_of("restored_codes", codes=restored)


def restored_code(special: Special, epoch: dt.date) -> str | None:
    """Return the industry code that a spreadsheet turned into a date or time, told by the cell's format; else None.

    «01.11» typed becomes 1 November (d-mmm), «10.71» October 1971 (mmm-yy), «47.19» a time (h:mm). A full date says
    nothing about what was typed, and gives None.
    """
    try:
        value = float(special.number)
    except ValueError:
        return None
    letters = set(re.findall(r"[dmyhs]", special.format))
    if letters == {"d", "m"} or letters == {"m", "y"}:
        day = epoch + dt.timedelta(days=int(value))
        text = f"{day:%d.%m}" if "d" in letters else f"{day:%m.%y}"
    elif "h" in letters and not letters & {"d", "y"}:
        seconds = round(value * 86_400)
        text = f"{seconds // 3600:02d}.{seconds // 60 % 60:02d}" + (f".{seconds % 60:02d}" if seconds % 60 else "")
    else:
        return None
    return text if read_by(parse_industry, text) else None


def _text(
    cell: Any, each: DeliveryField | None = None, special: Special | None = None, epoch: dt.date = EXCEL_EPOCH
) -> str:
    """Return a cell as a municipality would have written it in a Danish CSV."""
    if special is not None:
        if special.text:
            return special.text
        if "%" in special.format:
            return f"{Decimal(special.number) * 100:f} %".replace(".", ",")
        if each is not None and each.type in ("industry", "industries") and (code := restored_code(special, epoch)):
            return code
    if isinstance(cell, bool):
        return "Ja" if cell else "Nej"
    if isinstance(cell, (int, float)) and each is not None and each.type == "date" and epoch != EXCEL_EPOCH:
        return (epoch + dt.timedelta(days=int(cell))).isoformat() if 0 <= cell < 2_950_000 else str(cell)
    if isinstance(cell, float):
        if each is not None and each.type in ("industry", "industries") and not cell.is_integer():
            return repr(cell)  # a code is written with a dot
        return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", ",")
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ")
    return str(cell)

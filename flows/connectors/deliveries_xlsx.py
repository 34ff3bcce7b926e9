"""A delivered workbook as blocks of text columns: measured before it is opened, formulas counted, never run."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from flows.connectors.deliveries_contract import Contract
from flows.connectors.deliveries_csv import Block
from flows.connectors.deliveries_faults import Refusal
from flows.connectors.deliveries_files import ZIP_ERRORS, Bounds, Part, check_sizes
from flows.connectors.deliveries_layout import HEADING_ROWS, Layout, find_layout

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

ROWS_PER_BLOCK = 50_000
_COLUMN = re.compile(rb"\sr=[\"']([A-Z]{1,3})\d")
_ROW = re.compile(rb"\sr=[\"'][A-Z]{0,3}(\d{1,7})[\"']")
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")


def open_workbook(part: Part, bounds: Bounds) -> tuple[CalamineWorkbook, int]:
    """Return the workbook and its number of formulas; Refusal when it is damaged or implausibly large."""
    import python_calamine

    with part.open() as stream:
        content = stream.read(bounds.workbook // 4 + 1)
    if len(content) > bounds.workbook // 4:
        raise Refusal(
            part.label,
            f"Projektmappen fylder mere end {bounds.workbook // 4:,} bytes; send den som CSV.",
            f"a workbook larger than {bounds.workbook // 4:,} bytes; deliver it as CSV",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            formulas = _measure(archive, part.label, bounds)
        return python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)), formulas
    except (*ZIP_ERRORS, python_calamine.CalamineError):
        raise Refusal(
            part.label,
            "Projektmappen er beskadiget; gem den igen, og send den.",
            "a damaged workbook; save it again and deliver it",
        ) from None


def _measure(archive: zipfile.ZipFile, label: str, bounds: Bounds) -> int:
    """Return the number of formulas, after refusing sheets whose cells would not fit in memory.

    The reader lays a sheet out as a full rectangle: two cells far apart would ask for terabytes.
    """
    check_sizes(archive.infolist(), label, bounds.workbook, bounds.ratio)
    formulas = 0
    for entry in archive.infolist():
        if not re.fullmatch(r"/?xl/worksheets/[^/]+\.xml", entry.filename):
            continue
        columns: set[bytes] = set()
        last_row, tail = 1, b""
        with archive.open(entry) as stream:
            while chunk := stream.read(1 << 20):
                if b"\0" in chunk[:256]:
                    raise Refusal(
                        label,
                        "Et ark har et usædvanligt tegnsæt; gem projektmappen igen i Excel.",
                        "a sheet in an unusual encoding; save the workbook again in Excel",
                    )
                text = tail + chunk
                columns.update(_COLUMN.findall(text))
                last_row = max(last_row, max(map(int, set(_ROW.findall(text))), default=1))
                formulas += len(_FORMULA.findall(text)) - len(_FORMULA.findall(tail))
                tail = text[-64:]
        width = max((_column_number(name) for name in columns), default=1)
        if width * last_row > bounds.cells:
            raise Refusal(
                label,
                f"Et ark spænder over {last_row:,} rækker og {width:,} kolonner; slet alt uden for tabellen.",
                f"a sheet spans {last_row:,} rows and {width:,} columns; delete what lies outside the table",
            )
    return formulas


def _column_number(name: bytes) -> int:
    number = 0
    for letter in name:
        number = number * 26 + letter - 64
    return number


def sheets(workbook: CalamineWorkbook) -> list[str]:
    """Return the names of the visible work sheets."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    return [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
    ]


def read_sheet(workbook: CalamineWorkbook, name: str, label: str) -> CalamineSheet:
    """Return one sheet; Refusal when it cannot be read."""
    import python_calamine

    try:
        return workbook.get_sheet_by_name(name)
    except (*ZIP_ERRORS, python_calamine.CalamineError):
        raise Refusal(
            label,
            "Et ark kan ikke læses; gem projektmappen igen, og send den.",
            "a sheet cannot be read; save the workbook again and deliver it",
        ) from None


def sheet_layout(sheet: CalamineSheet, contracts: Iterable[Contract], hint: str) -> Layout | None:
    """Return the layout of a sheet, or None when it holds no delivery (an instruction, a list)."""
    rows = [[_text(cell) for cell in row] for row in islice(_rows(sheet), HEADING_ROWS)]
    return find_layout(rows, list(contracts), hint)


def sheet_blocks(sheet: CalamineSheet, layout: Layout) -> Iterator[Block]:
    """Yield the rows under the heading in blocks; row numbers are those Excel shows."""
    import numpy as np
    import pyarrow as pa

    rows = _rows(sheet)
    first = layout.heading_row + 2
    for _ in range(layout.heading_row + 1):
        next(rows)
    while batch := list(islice(rows, ROWS_PER_BLOCK)):
        columns = {
            name: pa.array([_text(row[position]) for row in batch], pa.string())
            for name, position in layout.positions.items()
        }
        yield Block(columns, np.arange(first, first + len(batch)), [])
        first += len(batch)


def _rows(sheet: CalamineSheet) -> Iterator[Sequence[Any]]:
    """Yield all rows from the sheet's first, also the empty ones in front, each from column A."""
    return iter(sheet.to_python(skip_empty_area=False))


def _text(cell: Any) -> str:
    """Return a cell as a municipality would have written it in a Danish CSV."""
    if isinstance(cell, bool):
        return "Ja" if cell else "Nej"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", ",")
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ")
    return str(cell)

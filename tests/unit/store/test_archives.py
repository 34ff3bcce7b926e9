"""What may come out of an archive, and the rectangle a sheet spans, told before anything is laid out in memory."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from flows.connectors.jobindsats import read_answer
from flows.connectors.statbank.forms import open_table
from flows.deliveries.contract import Refusal
from flows.deliveries.files import parts_of
from flows.deliveries.sheets import open_book
from flows.store.archives import Bounds, OddEncoding, SheetSize, sheet_sizes
from tests.unit.deliveries.delivery_files import zip_bytes
from transforms.errors import DataRefused


def workbook(cells: dict[tuple[int, int], object]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for (row, column), value in cells.items():
        sheet.cell(row, column, value)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


FAR = workbook({(1, 1): "Titel", (2, 2): "2024K1", (3, 1): "Hele landet", (3, 2): 5, (1_048_576, 16_384): 7})
"""One stray cell in the last corner: five kilobytes that would be laid out as 17,179,869,184 cells."""


@pytest.mark.parametrize(
    ("packed", "limit"), [(0, 1_000), (4, 1_000), (5, 1_000), (6, 1_200), (49, 9_800), (50, 10_000), (51, 10_000)]
)
def test_what_may_come_out_grows_with_what_went_in(packed: int, limit: int) -> None:
    assert Bounds(most=10_000, times=200, harmless=1_000).limit(packed) == limit


def test_small_is_no_excuse_where_nothing_is_harmless() -> None:
    assert Bounds(most=10_000, times=200).limit(1) == 200


def test_a_sheet_is_measured_by_its_farthest_row_and_column() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook({(3, 1): 1, (2, 28): "=A3+1"}))) as archive:
        sizes = list(sheet_sizes(archive))
    assert SheetSize(rows=3, columns=28, formulas=1) in sizes
    assert all(size.fits for size in sizes)


def test_a_cell_across_two_blocks_is_seen_and_a_formula_counted_once() -> None:
    cell = b'<c r="AAA9999"><f>1</f></c>'
    for before in range((1 << 20) - len(cell) - 1, (1 << 20) + 1):
        content = zip_bytes({"xl/worksheets/sheet1.xml": b" " * before + cell})
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (size,) = sheet_sizes(archive)
        assert (size.rows, size.columns, size.formulas) == (9_999, 703, 1), before


@pytest.mark.parametrize(
    ("rows", "columns", "fits"), [(10_000_000, 1, True), (5_000_000, 2, True), (5_000_001, 2, False)]
)
def test_the_bound_is_on_rows_times_columns(rows: int, columns: int, fits: bool) -> None:
    assert SheetSize(rows, columns, formulas=0).fits == fits


def test_a_sheet_whose_bytes_do_not_tell_its_size_is_not_guessed_at() -> None:
    content = zip_bytes({"xl/worksheets/sheet1.xml": '<row r="9"/>'.encode("utf-16")})
    with zipfile.ZipFile(io.BytesIO(content)) as archive, pytest.raises(OddEncoding):
        list(sheet_sizes(archive))


@pytest.mark.parametrize("read", [open_table, read_answer])
def test_a_workbook_that_swells_is_refused_at_every_door(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "a.xlsx").write_bytes(zip_bytes({"xl/workbook.xml": b" " * 3_000_000}))
    with pytest.raises(DataRefused, match=r"^a\.xlsx: the workbook unfolds from"):
        read(tmp_path / "a.xlsx")


SHEET = "xl/worksheets/sheet1.xml"
LAST_ROW, LAST_CELL = b'<row r="1048576">', b'<c r="XFD1048576" t="n">'


def far(row: bytes = LAST_ROW, cell: bytes = LAST_CELL, *, place: str = SHEET) -> bytes:
    """Return FAR with its last row and cell written otherwise, and the sheet at another place of the workbook."""
    with zipfile.ZipFile(io.BytesIO(FAR)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = re.sub(rb"<dimension[^>]*/>", b"", members.pop(SHEET))
    for name in ("xl/_rels/workbook.xml.rels", "[Content_Types].xml"):
        members[name] = members[name].replace(SHEET.encode(), place.encode())
    assert LAST_ROW in sheet
    assert LAST_CELL in sheet
    return zip_bytes({**members, place: sheet.replace(LAST_ROW, row).replace(LAST_CELL, cell)})


WRITTEN: dict[str, bytes] = {
    "plainly": FAR,
    "spaces around the sign": far(b"<row>", b'<c r = "XFD1048576">'),
    "no space before": far(b"<row>", b'<c t="n"r="XFD1048576">'),
    "small letters": far(b"<row>", b"<c r='xfd1048576'>"),
    "beyond what a sheet can be": far(b"<row>", b'<c r="A4294967290">'),
    "a tag of many blocks": far(b"<row>", b'<c s=">" r' + b" " * 3_000_000 + b'="XFD1048576">'),
    "cells without a place": far(cell=b"<c/>" * 16_384 + b"<c>"),
    "elsewhere": far(place="xl/elsewhere/sheet1.xml"),
    "below": far(place="xl/worksheets/more/sheet1.xml"),
    "in capitals": far(place="xl/Worksheets/Sheet1.XML"),
    "with another ending": far(place="xl/worksheets/sheet1.png"),
}
"""A stray cell in the last corner, in the ways the reader of workbooks understands: each ended the process."""


@pytest.mark.parametrize("written", WRITTEN)
def test_a_far_cell_is_seen_however_it_is_written(tmp_path: Path, written: str) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(WRITTEN[written])
    with zipfile.ZipFile(path) as archive:
        assert not all(size.fits for size in sheet_sizes(archive))
    swells = "|unfolds from" if written == "a tag of many blocks" else ""
    for read in (open_table, read_answer):
        with pytest.raises(DataRefused, match=rf"^a\.xlsx: [^\n]*(cells span{swells})"):
            read(path)
    (part,), _ = parts_of(path, "")
    with pytest.raises(Refusal, match="spans"):
        open_book(part)


def test_cells_and_rows_without_a_place_are_counted() -> None:
    row = b"<row>" + b"<c/>" * 30 + b"</row>"
    content = zip_bytes(
        {SHEET: b'<row r="7"><c r="B7"/></row>' + row * 40_000, "xl/media/image1.png": b"\0\xff" * 999_999}
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size, picture = sheet_sizes(archive)
    assert (size.rows, picture) == (40_007, SheetSize(1, 1, 0))
    assert 30 <= size.columns <= 62

"""What may come out of an archive, and the rectangle a sheet spans, told before anything is laid out in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from flows.connectors.jobindsats import read_answer
from flows.connectors.statbank.forms import open_table
from flows.store.archives import Bounds, OddEncoding, SheetSize, sheet_sizes
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


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
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
        (size,) = sheet_sizes(archive)
    assert (size.rows, size.columns, size.formulas, size.fits) == (3, 28, 1, True)


def test_a_cell_across_two_blocks_is_seen_and_a_formula_counted_once() -> None:
    cell = b'<c r="AAA9999"><f>1</f></c>'
    for before in range((1 << 20) - len(cell) - 1, (1 << 20) + 1):
        content = zipped({"xl/worksheets/sheet1.xml": b" " * before + cell})
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (size,) = sheet_sizes(archive)
        assert (size.rows, size.columns, size.formulas) == (9_999, 703, 1), before


@pytest.mark.parametrize(
    ("rows", "columns", "fits"), [(10_000_000, 1, True), (5_000_000, 2, True), (5_000_001, 2, False)]
)
def test_the_bound_is_on_rows_times_columns(rows: int, columns: int, fits: bool) -> None:
    assert SheetSize(rows, columns, formulas=0).fits == fits


def test_a_sheet_whose_bytes_do_not_tell_its_size_is_not_guessed_at() -> None:
    content = zipped({"xl/worksheets/sheet1.xml": '<row r="9"/>'.encode("utf-16")})
    with zipfile.ZipFile(io.BytesIO(content)) as archive, pytest.raises(OddEncoding):
        list(sheet_sizes(archive))


@pytest.mark.parametrize("read", [open_table, read_answer])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (FAR, "its cells span 1,048,576 rows and 16,384 columns"),
        (zipped({"xl/workbook.xml": b" " * 3_000_000}), "the workbook unfolds from"),
    ],
    ids=["far", "bomb"],
)
def test_no_door_of_the_registers_lays_out_what_does_not_fit(
    tmp_path: Path, read: Callable[[Path], object], content: bytes, says: str
) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(DataRefused, match=f"^a.xlsx: {says}"):
        read(tmp_path / "a.xlsx")

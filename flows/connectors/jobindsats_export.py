"""Excel exports made by hand on jobindsats.dk: moving headings, group texts given once, footers.

A1 holds the path of the measure. Then come headings over the columns (period, area, measure, industry … in any
order) and stubs beside the rows; both may give a text once for a whole group. Blank rows end the table.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from flows.connectors.jobindsats_periods import is_period
from transforms.areas import area_code
from transforms.errors import DataRefused

MARKS = {".", "..", "-", ""}
FOOTERS = ("kilde:", "anm.:", "note:")
AREA, PERIOD, MEASURE = "Område", "Periode", "Måling"


def read_export(content: bytes, name: str) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    """Return (headings, rows), long: Periode, Område, Måling, then one column per further axis, and Værdi.

    Further axes have no name in the file and are called «Akse 1», «Akse 2», … from left to right, stubs first.
    Raises DataRefused when the sheet is no such export.
    """
    grid = _grid(content, name)
    first = next((n for n, row in enumerate(grid) if n and row[0]), None)
    if first is None or first < 2:
        raise DataRefused(f"{name}: not an export from jobindsats.dk (no rows under the headings)")
    last = next((n for n in range(first, len(grid)) if _ends(grid[n])), len(grid))
    heads, body = grid[1:first], grid[first:last]
    stub_width = next((n for n in range(len(grid[0])) if any(row[n] for row in heads)), 0)
    if stub_width == 0:
        raise DataRefused(f"{name}: not an export from jobindsats.dk (no headings over the columns)")
    stubs = [_filled([row[n] for row in body]) for n in range(stub_width)]
    columns = range(stub_width, len(grid[0]))
    headings = [_filled([row[n] for n in columns]) for row in heads if any(row)]
    axes = [*stubs, *headings]
    kinds = [_kind(axis) for axis in axes]
    for wanted in (PERIOD, AREA):
        if kinds.count(wanted) != 1:
            raise DataRefused(f"{name}: {kinds.count(wanted)} axes look like {wanted}; export with exactly one")
    further = [n for n, kind in enumerate(kinds) if kind == ""]
    order = [kinds.index(PERIOD), kinds.index(AREA), *further]
    rows: list[tuple[str | None, ...]] = []
    for row_number, row in enumerate(body):
        for column_number, column in enumerate(columns):
            at = [axis[row_number] if n < stub_width else axis[column_number] for n, axis in enumerate(axes)]
            rows.append((*(at[n] for n in order), row[column]))
    # Which further axis holds the measures is settled by who knows their names.
    names = [PERIOD, AREA, *(f"Akse {n}" for n in range(1, len(further) + 1)), "Værdi"]
    return tuple(names), rows


def _grid(content: bytes, name: str) -> list[list[str]]:
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        cells = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, IndexError, ValueError, OSError):
        raise DataRefused(f"{name}: a damaged workbook; export it again") from None
    return [[_text(cell) for cell in row] for row in cells]


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", ",")
    return str(cell).strip()


def _ends(row: Sequence[str]) -> bool:
    return not any(row) or row[0].lower().startswith(FOOTERS)


def _filled(texts: Sequence[str]) -> list[str]:
    """Return texts with each gap filled from before: a group's text may stand at its first member only."""
    filled: list[str] = []
    for text in texts:
        filled.append(text or (filled[-1] if filled else ""))
    return filled


def _kind(axis: Sequence[str]) -> str:
    values = set(axis) - {""}
    if values and all(is_period(value) for value in values):
        return PERIOD
    return AREA if values and all(area_code(value) for value in values) else ""

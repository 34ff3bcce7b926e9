"""The workbook statistikbanken.dk writes, as a grid of text; bombs and strangers are refused before they unfold."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import Path

from flows.connectors.statbank_decode import Limits, check_text, one_line, read_whole, refusal
from flows.connectors.statbank_numbers import plain_number

_TABLE_ID = re.compile(r"[A-ZÆØÅ]{2,}[0-9]+[A-Z0-9]*")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


def read_workbook(path: Path, gz: bool, limits: Limits) -> tuple[list[list[str]], str | None]:
    """Return (grid of the only sheet, table id when the sheet is named like one).

    Numbers become text with a point and no thousands marks; rows keep their place in the sheet. Raises DataRefused
    for a damaged or oversized workbook, one that unfolds beyond the limits, and one with several filled sheets.
    """
    import python_calamine as calamine

    content = read_whole(path, gz, limits)
    _check_archive(path, content, limits)
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = [(name, book.get_sheet_by_name(name).to_python(skip_empty_area=False)) for name in book.sheet_names]
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise refusal(path, f"the workbook cannot be read ({one_line(str(error))})", "save it as .xlsx again") from None
    filled = [(name, rows) for name, rows in sheets if any(any(cell != "" for cell in row) for row in rows)]
    if len(filled) != 1:
        raise refusal(
            path,
            f"{len(filled)} filled sheets where StatBank writes one",
            "keep the sheet of one table per workbook",
        )
    name, rows = filled[0]
    grid = [[_text(cell) for cell in row] for row in rows]
    check_text(path, "\n".join(" ".join(row) for row in grid))
    return grid, name if _TABLE_ID.fullmatch(name) else None


def _check_archive(path: Path, content: bytes, limits: Limits) -> None:
    """Refuse what is no workbook or unfolds beyond the limits; sizes are declared, so contents are tested too."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if not any(member.filename == "xl/workbook.xml" for member in members):
                raise refusal(path, "a zip file that is no .xlsx workbook", "unpack it, or download CSV")
            unzipped = sum(member.file_size for member in members)
            if unzipped > limits.unzipped_bytes or unzipped > limits.unzip_ratio * len(content):
                raise refusal(
                    path,
                    f"the workbook unfolds from {len(content):,} to {unzipped:,} bytes",
                    "download the table as CSV",
                )
            broken = archive.testzip()
    except _DAMAGED as error:
        raise refusal(path, f"the workbook is damaged ({one_line(str(error))})", "download it again") from None
    if broken is not None:
        raise refusal(path, f"the workbook is damaged in {broken}", "download it again")


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int | float):
        return plain_number(cell)
    return str(cell).strip()

"""Archives that others have packed: what may come out of one, and how large its sheets are, before they are read."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

ZIP_MAGIC = b"PK\x03\x04"
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
"""What reading a damaged or hostile archive raises."""
MOST_CELLS = 10_000_000
"""The most cells of a sheet that is read: the reader lays it out as a full rectangle, so that two cells far apart would
ask for terabytes, and end the process."""
_SHEET = re.compile(r"/?xl/worksheets/[^/]+\.xml")
_COLUMN = re.compile(rb"\sr=[\"']([A-Z]{1,3})\d")
_ROW = re.compile(rb"\sr=[\"'][A-Z]{0,3}(\d{1,7})[\"']")
FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")


@dataclass(frozen=True)
class Bounds:
    """How many bytes may come out of an archive: `most`, and `times` what went in; `harmless` bytes always may."""

    most: int
    times: int
    harmless: int = 0

    def limit(self, packed: int) -> int:
        """Return the most bytes that may come out of so many."""
        return min(self.most, max(self.harmless, self.times * packed))


class OddEncoding(ValueError):
    """A sheet is written in letters whose bytes say nothing of its size."""


@dataclass(frozen=True)
class SheetSize:
    """The rectangle a sheet of an .xlsx workbook spans, and the formulas in it."""

    rows: int
    columns: int
    formulas: int

    @property
    def fits(self) -> bool:
        """Tell whether the sheet can be laid out in memory."""
        return self.rows * self.columns <= MOST_CELLS


def sheet_sizes(archive: zipfile.ZipFile) -> Iterator[SheetSize]:
    """Yield the size of each sheet of an .xlsx workbook, in constant memory; OddEncoding when its bytes do not tell."""
    for entry in archive.infolist():
        if not _SHEET.fullmatch(entry.filename):
            continue
        columns: set[bytes] = set()
        formulas, last_row, tail = 0, 1, b""
        with archive.open(entry) as stream:
            while chunk := stream.read(1 << 20):
                if b"\0" in chunk[:256]:
                    raise OddEncoding("a sheet in UTF-16")
                text = tail + chunk
                columns.update(_COLUMN.findall(text))
                last_row = max(last_row, max(map(int, set(_ROW.findall(text))), default=1))
                formulas += len(FORMULA.findall(text)) - len(FORMULA.findall(tail))
                tail = text[-64:]
        yield SheetSize(last_row, max(map(column_number, columns), default=1), formulas)


def column_number(name: bytes) -> int:
    """Return the number of a column by its letters, from 1."""
    number = 0
    for letter in name:
        number = number * 26 + letter - 64
    return number

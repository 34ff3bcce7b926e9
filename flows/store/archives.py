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
LONGEST_TAG = 16 << 20
_SHEET = re.compile(r"/?xl/worksheets/[^/]+\.xml")
# As tolerant as the reader is: of spaces around the sign, of none before the name, of small letters. What stands before
# is looked at last, since a search for one letter is quick.
_COLUMN = re.compile(rb"r(?<=[\s\"']r)\s*=\s*[\"']([A-Za-z]+)\d")
_ROW = re.compile(rb"r(?<=[\s\"']r)\s*=\s*[\"'][A-Za-z]*(\d+)[\"']")
_CELL_TAG = re.compile(rb"<(?:[\w.-]+:)?c[\s/>]")
_ROW_TAG = re.compile(rb"<(?:[\w.-]+:)?row[\s/>]")
_NUMBERED = re.compile(rb"<(?:[\w.-]+:)?row\s(?:[^<>]*[\s\"'])?r\s*=")
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
    """Yield the size of each part of an .xlsx workbook that may be a sheet; OddEncoding when its bytes do not tell.

    Every part: a workbook names the place of its sheets as it likes. In constant memory, but for endless tags.
    """
    for entry in archive.infolist():
        is_named_so = _SHEET.fullmatch(entry.filename) is not None
        width = unplaced = in_row = unnumbered = formulas = 0
        last_row = 1
        for part in _tags(archive, entry, is_named_so):
            columns = _COLUMN.findall(part)
            width = max(width, max(map(column_number, set(columns)), default=0))
            last_row = max(last_row, max(map(int, set(_ROW.findall(part))), default=1))
            if _most(part, b"row") > part.count(b'<row r="'):
                unnumbered += max(len(_ROW_TAG.findall(part)) - len(_NUMBERED.findall(part)), 0)
            formulas += len(FORMULA.findall(part)) if is_named_so else 0
            if _most(part, b"c") > len(columns):  # cells without a place of their own stand beside the one before
                counts = [len(_CELL_TAG.findall(row)) for row in _ROW_TAG.split(part)]
                counts[0] += in_row
                unplaced, in_row = max(unplaced, *counts), counts[-1]
            else:
                in_row = 0
        yield SheetSize(last_row + unnumbered, max(width + unplaced, 1), formulas)


def _most(part: bytes, tag: bytes) -> int:
    """Return how many tags of a name there are at most: counting is quicker than looking closely."""
    return sum(
        part.count(before + tag + after) for before in (b"<", b":") for after in (b" ", b">", b"/", b"\t", b"\n", b"\r")
    )


def _tags(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, is_sheet: bool) -> Iterator[bytes]:
    """Yield the bytes of a part in pieces that begin with a tag, so that none is cut in two."""
    rest = b""
    with archive.open(entry) as stream:
        while chunk := stream.read(1 << 20):
            if is_sheet and b"\0" in chunk[:256]:
                raise OddEncoding("a sheet in UTF-16")
            rest += chunk
            at = rest.rfind(b"<")
            yield rest[:at] if at >= 0 else rest
            rest = rest[at:] if at >= 0 else b""
            if len(rest) > LONGEST_TAG:
                raise OddEncoding("a tag without an end")
    yield rest


def column_number(name: bytes) -> int:
    """Return the number of a column by its letters, from 1."""
    number = 0
    for letter in name.upper():
        number = number * 26 + letter - 64
    return number

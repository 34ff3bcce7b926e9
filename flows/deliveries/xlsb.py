"""What a binary Excel workbook (.xlsb) tells beside its values: styles, errors, hidden rows, merged cells, its extent.

Source: [MS-XLSB], Excel (.xlsb) Binary File Format, sections 2.1.4 (records) and 2.4 (their content),
https://learn.microsoft.com/openspecs/office_file_formats/ms-xlsb/. Values are read by python-calamine.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

# Records by number, as [MS-XLSB] 2.5.124 lists them.
ROW, RK, ERROR, REAL, FORMULAS, FORMULA_NUMBER, FORMULA_ERROR = 0, 2, 3, 5, range(8, 12), 9, 11
CELLS = range(1, 12)
FORMAT, STYLE, STYLES, STYLES_END = 44, 47, 617, 618
BOOK, SHEET, MERGED = 153, 156, 176
ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}
Place = tuple[int, int]
Range = tuple[Place, Place]


@dataclass(frozen=True)
class Workbook:
    """A workbook: name of each sheet -> its path in the archive, the format of each style (its number when it is
    one every Excel knows), and whether days count from 1904."""

    paths: dict[str, str]
    formats: list[int | str]
    is_1904: bool


@dataclass
class SheetCells:
    """What the records of a sheet tell; rows and columns count from 0.

    `numbers` are place -> (number, style) of those with a style of their own.
    """

    width: int = 0
    height: int = 0
    formulas: int = 0
    errors: dict[Place, str] = field(default_factory=dict)
    numbers: dict[Place, tuple[float, int]] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    merged: list[Range] = field(default_factory=list)


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a part: number and content. ValueError when the part is cut off."""
    at = 0
    while at < len(data):
        kind, at = _varying(data, at, 2)
        size, at = _varying(data, at, 4)
        if at + size > len(data):
            raise ValueError("cut off")
        yield kind, data[at : at + size]
        at += size


def _varying(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Return a number of up to `most` bytes, seven bits in each; a record's number keeps its high bit."""
    value = 0
    for step in range(most):
        if at >= len(data):
            raise ValueError("cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * step
        if byte < 0x80:
            break
    return value, at


def _text(content: bytes, at: int) -> tuple[str, int]:
    """Return a text (its length in letters, then UTF-16) and where it ends; an absent one is empty."""
    (length,) = struct.unpack_from("<I", content, at)
    if length == 0xFFFFFFFF:
        return "", at + 4
    end = at + 4 + 2 * length
    return content[at + 4 : end].decode("utf-16-le", "replace"), end


def names_in(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return path -> member of a workbook; some programs write the paths with a slash before them."""
    return {name.lstrip("/"): name for name in archive.namelist()}


def related_parts(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Return id -> member of everything a workbook's main part refers to. KeyError for a damaged one."""
    names = names_in(archive)
    found: dict[str, str] = {}
    for each in ElementTree.fromstring(archive.read(names[f"xl/_rels/{part}.rels"])):
        target = each.get("Target", "")
        path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if path in names:
            found[each.get("Id", "")] = names[path]
    return found


def read_workbook(archive: zipfile.ZipFile) -> Workbook:
    """Return what `xl/workbook.bin` and the styles say. KeyError, ValueError or struct.error for a damaged one."""
    names, related = names_in(archive), related_parts(archive, "workbook.bin")
    paths: dict[str, str] = {}
    is_1904 = False
    for kind, content in records(archive.read(names["xl/workbook.bin"])):
        if kind == BOOK:
            is_1904 = bool(content[0] & 1)
        elif kind == SHEET:
            relation, at = _text(content, 8)
            name, _ = _text(content, at)
            if relation in related:
                paths[name] = related[relation]
    styles = archive.read(names["xl/styles.bin"]) if "xl/styles.bin" in names else b""
    return Workbook(paths, _formats(styles), is_1904)


def _formats(styles: bytes) -> list[int | str]:
    own: dict[int, str] = {}
    found: list[int | str] = []
    is_of_cells = False
    for kind, content in records(styles):
        if kind == FORMAT:
            own[struct.unpack_from("<H", content)[0]] = _text(content, 2)[0]
        elif kind in (STYLES, STYLES_END):
            is_of_cells = kind == STYLES
        elif kind == STYLE and is_of_cells:
            (number,) = struct.unpack_from("<H", content, 2)
            found.append(own.get(number, number))
    return found


def read_sheet(data: bytes) -> SheetCells:
    """Return what the records of a sheet tell beside its values. ValueError or struct.error for a damaged one."""
    cells = SheetCells()
    row = 0
    for kind, content in records(data):
        if kind == ROW:
            row, flags = struct.unpack_from("<I", content)[0], content[11]
            cells.height = max(cells.height, row + 1)
            if flags & 0x10:
                cells.hidden.add(row)
        elif kind in CELLS:
            column, style = struct.unpack_from("<II", content)
            place, style = (row, column), style & 0xFFFFFF
            cells.width = max(cells.width, column + 1)
            cells.formulas += kind in FORMULAS
            if kind in (ERROR, FORMULA_ERROR):
                cells.errors[place] = ERRORS.get(content[8], "#VALUE!")
            elif style and kind in (RK, REAL, FORMULA_NUMBER):
                number = _short(content) if kind == RK else struct.unpack_from("<d", content, 8)[0]
                cells.numbers[place] = (number, style)
        elif kind == MERGED:
            top, bottom, left, right = struct.unpack_from("<IIII", content)
            cells.merged.append(((top, left), (bottom, right)))
    return cells


def _short(content: bytes) -> float:
    """Return a number written in four bytes (RkNumber, 2.5.122): an integer or the high half of a float, or 1/100."""
    (raw,) = struct.unpack_from("<I", content, 8)
    if raw & 2:
        value = float(struct.unpack_from("<i", content, 8)[0] >> 2)
    else:
        value = struct.unpack("<d", b"\0\0\0\0" + struct.pack("<I", raw & 0xFFFFFFFC))[0]
    return value / 100 if raw & 1 else value

"""Deliveries for tests, built in memory. The CPR numbers are made up; 1 January births like the group's own."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.deliveries.intake import deliver
from flows.deliveries.keys import keygen, load_keys
from flows.deliveries.receipts import Receipt
from flows.deliveries.store import open_restricted

MOMENT = datetime(2016, 4, 15, 9, 0, tzinfo=UTC)
CASES = ("CPR-nr.", "Navn", "Dato for opholdstilladelse", "Opholdsgrundlag", "Oprindelsesland", "Antal børn")


def cpr(number: int) -> str:
    """Return the CPR number of made-up person `number`: born 1 January 1960-1999."""
    return f"0101{60 + number % 40:02d}-{1000 + number // 40:04d}"


def case_rows(count: int, start: int = 0) -> list[list[str]]:
    """Return `count` faultless rows in the columns of CASES."""
    return [
        [cpr(n), f"Navn Navnesen {n}", "01-02-2015", "Kvoteflygtning", "Syrien", "2"]
        for n in range(start, start + count)
    ]


def csv_bytes(
    headings: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ";", encoding: str = "utf-8"
) -> bytes:
    """Return a CSV as a municipal system writes it: CRLF, no quotes."""
    lines = [delimiter.join(row) for row in (headings, *rows)]
    return ("\r\n".join(lines) + "\r\n").encode(encoding)


def xlsx_bytes(rows: Sequence[Sequence[Any]], title: str = "Ark1") -> bytes:
    """Return a workbook of one sheet."""
    import openpyxl

    book = openpyxl.Workbook()
    book.worksheets[0].title = title
    for row in rows:
        book.worksheets[0].append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    """Return a ZIP of the given members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Door:
    """A data directory with a key, to deliver to."""

    def __init__(self, folder: Path):
        self.folder, self.data, self.key = folder, folder / "data", folder / "keys" / "pseudonym.key"
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        keygen(self.key, self.data)

    def deliver(self, name: str, content: bytes, municipality: str | None = "840", **options: Any) -> list[Receipt]:
        """Deliver one file and return its receipts."""
        path = self.inbox / name
        path.write_bytes(content)
        options.setdefault("received_at", MOMENT)
        return deliver([path], municipality, self.data, self.key, **options)

    def one(self, name: str, content: bytes, municipality: str | None = "840", **options: Any) -> Receipt:
        """Deliver one file that holds one table and return its receipt."""
        (receipt,) = self.deliver(name, content, municipality, **options)
        return receipt

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the restricted database."""
        with open_restricted(self.data / "restricted", load_keys(self.key).database_key, read_only=True) as warehouse:
            return warehouse.rows(sql)


@dataclass(frozen=True)
class Styled:
    """A number in a binary workbook with its format; an error of the spreadsheet where `error` is set."""

    number: float = 0.0
    format: str = ""
    error: int | None = None


def xlsb_bytes(
    sheets: dict[str, Sequence[Sequence[Any]]], *, mac: bool = False, hidden: Iterable[int] = (), merged: str = ""
) -> bytes:
    """Return a binary Excel workbook ([MS-XLSB]); `hidden` rows count from 1, `merged` is a range such as A2:A6.

    Nothing free writes this format, so its records are written here: texts, numbers, truth values, errors, formats.
    """
    formats = list(dict.fromkeys(
        cell.format for rows in sheets.values() for row in rows for cell in row if isinstance(cell, Styled)
    ))  # fmt: skip
    styles = b"".join(_record(44, struct.pack("<H", 200 + n) + _wide(code)) for n, code in enumerate(formats))
    xfs = [_record(47, struct.pack("<HH12x", 0, 0))]
    xfs += [_record(47, struct.pack("<HH12x", 0, 200 + n)) for n in range(len(formats))]
    styles += _record(626, b"") + _record(47, bytes(16)) + _record(627, b"")  # those of named styles are none of cells'
    styles += _record(617, struct.pack("<I", len(xfs))) + b"".join(xfs) + _record(618, b"")
    book = _record(131, b"") + _record(153, struct.pack("<III", int(mac), 0, 0)) + _record(143, b"")
    relations, parts = "", {}
    for number, (name, rows) in enumerate(sheets.items(), start=1):
        book += _record(156, struct.pack("<II", 0, number) + _wide(f"r{number}") + _wide(name))
        relations += (
            f'<Relationship Id="r{number}" Target="worksheets/sheet{number}.bin" Type="http://schemas.openxmlformats.org'
            '/officeDocument/2006/relationships/worksheet"/>'
        )
        parts[f"xl/worksheets/sheet{number}.bin"] = _sheet(rows, formats, set(hidden), merged)
    namespace = "http://schemas.openxmlformats.org/package/2006/relationships"
    return zip_bytes(
        {
            "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "xl/workbook.bin": book + _record(144, b"") + _record(132, b""),
            "xl/_rels/workbook.bin.rels": f'<Relationships xmlns="{namespace}">{relations}</Relationships>'.encode(),
            "xl/styles.bin": styles,
            **parts,
        }
    )


def _record(kind: int, content: bytes) -> bytes:
    number = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, rest = b"", len(content)
    while rest > 0x7F:
        size, rest = size + bytes([rest & 0x7F | 0x80]), rest >> 7
    return number + size + bytes([rest]) + content


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _sheet(rows: Sequence[Sequence[Any]], formats: list[str], hidden: set[int], merged: str) -> bytes:
    width = max(map(len, rows))
    body = _record(129, b"") + _record(148, struct.pack("<IIII", 0, len(rows) - 1, 0, width - 1)) + _record(145, b"")
    for number, row in enumerate(rows):
        flags = bytes([0, 0x10 if number + 1 in hidden else 0, 0])
        body += _record(0, struct.pack("<IIH", number, 0, 300) + flags + struct.pack("<I", 0))
        body += b"".join(_cell(column, cell, formats) for column, cell in enumerate(row) if cell not in (None, ""))
    body += _record(146, b"")
    if merged:
        from openpyxl.utils import range_boundaries

        left, top, right, bottom = (int(each or 1) - 1 for each in range_boundaries(merged))
        body += _record(177, struct.pack("<I", 1)) + _record(176, struct.pack("<IIII", top, bottom, left, right))
        body += _record(178, b"")
    return body + _record(130, b"")


def _cell(column: int, cell: Any, formats: list[str]) -> bytes:
    place = struct.pack("<II", column, 0)
    if isinstance(cell, bool):
        return _record(4, place + bytes([cell]))
    if isinstance(cell, int) and abs(cell) < 1 << 28:
        return _record(2, place + struct.pack("<i", cell << 2 | 2))
    if isinstance(cell, int | float):
        return _record(5, place + struct.pack("<d", cell))
    if isinstance(cell, Styled):
        place = struct.pack("<II", column, 1 + formats.index(cell.format))
        return (
            _record(3, place + bytes([cell.error]))
            if cell.error
            else _record(5, place + struct.pack("<d", cell.number))
        )
    return _record(6, place + _wide(str(cell)))

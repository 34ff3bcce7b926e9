"""Deliveries for tests, built in memory. The CPR numbers are made up; 1 January births like the group's own."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
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

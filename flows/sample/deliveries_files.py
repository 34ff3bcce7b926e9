"""How municipalities write the same thing: encodings, delimiters, headings, dates, and the usual mistakes."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from flows.connectors.deliveries_contract import DeliveryField, load_contracts
from flows.connectors.deliveries_values import countries

FAULTY_SHARE = 1 / 70
MONTHS = (
    "januar", "februar", "marts", "april", "maj", "juni", "juli", "august", "september", "oktober", "november",
    "december",
)  # fmt: skip
DATES: tuple[Callable[[date], str], ...] = (
    lambda day: f"{day:%d-%m-%Y}",
    lambda day: f"{day:%d.%m.%y}",
    lambda day: f"{day.day}/{day.month}-{day.year}",
    lambda day: day.isoformat(),
    lambda day: f"{day.day}. {MONTHS[day.month - 1]} {day.year}",
)
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "cp1252", "utf-16")
DELIMITERS = (";", ";", ",", "\t")
FORMS = ("csv", "csv", "csv", "xlsx", "zip")
MOST_WORKBOOK_LINES = 120
"""Longer tables come as CSV: writing large workbooks would be most of the time of the sample run."""
# Mistakes as they happen, by the field they happen in.
MISTAKES = {
    "cpr": ("310299-0000", "ukendt person", ""),
    "permit_date": ("31-02-2015", "", "01-13-2015"),
    "start_date": ("31-04-2015", "", "snarest"),
    "residence_basis_code": ("Kvotefl.", "se journal"),
    "measure_kind_code": ("Praktik?", "diverse"),
    "is_subsidised": ("delvist",),
}


@dataclass(frozen=True)
class Hand:
    """One municipality's way of writing one kind of delivery; the same seed writes the same way every time."""

    seed: int
    code: str
    kind: str
    dirt: bool

    @cached_property
    def rng(self) -> random.Random:
        """Where the choices come from."""
        return random.Random(f"{self.seed}:{self.code}:{self.kind}")

    @cached_property
    def style(self) -> dict[str, Any]:
        """The choices that hold for the whole file."""
        rng = random.Random(f"{self.seed}:{self.code}")
        return {
            "form": rng.choice(FORMS),
            "encoding": rng.choice(ENCODINGS),
            "delimiter": rng.choice(DELIMITERS),
            "date": rng.choice(DATES),
            "hyphen": rng.random() < 0.6,
            "lost_zero": rng.random() < 0.15,
            "title": rng.random() < 0.3,
            "variants": rng.random() < 0.5,
        }


def write_table(
    folder: Path, stem: str, names: list[str], rows: list[list[Any]], hand: Hand, note: str
) -> tuple[Path, int, int]:
    """Write one table and return (path, rows under the heading, rows a receiver must reject)."""
    fields = [load_contracts()[hand.kind].field(name) for name in names]
    headings = [_heading(field, hand) for field in fields]
    texts = [[_text(value, field, hand) for value, field in zip(row, fields, strict=True)] for row in rows]
    faulty = _dirty(texts, names, hand) if hand.dirt else 0
    head = [[note], []] if hand.style["title"] else []
    lines = [*head, headings, *texts]
    form = hand.style["form"]
    if form == "xlsx" and len(lines) > MOST_WORKBOOK_LINES:
        form = "csv"
    if form == "xlsx":
        path = folder / f"{stem}.xlsx"
        path.write_bytes(_workbook(lines))
    else:
        width, delimiter = len(headings), hand.style["delimiter"]
        padded = [[*line, *[""] * (width - len(line))] for line in lines]
        content = "\r\n".join(delimiter.join(_quoted(cell, delimiter) for cell in line) for line in padded) + "\r\n"
        data = content.encode(hand.style["encoding"], "replace")
        path = folder / f"{stem}.{form}"
        path.write_bytes(data if form == "csv" else _zipped(f"{stem}.csv", data))
    return path, sum(any(row) for row in texts), faulty


def _heading(field: DeliveryField, hand: Hand) -> str:
    return hand.rng.choice([field.label_da, *field.headings]) if hand.style["variants"] else field.label_da


def _text(value: Any, field: DeliveryField, hand: Hand) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Ja" if value else "Nej"
    if isinstance(value, date):
        return str(hand.style["date"](value))
    if isinstance(value, float):
        return f"{value:g}".replace(".", ",")
    if field.type == "cpr":
        return _cpr(str(value), hand)
    if field.type == "enum":
        allowed = next(each for each in field.values if each.code == value)
        return hand.rng.choice([allowed.text_da, *allowed.variants]) if hand.style["variants"] else allowed.text_da
    if field.type == "country":
        return _country_name(str(value))
    return str(value)


def _cpr(digits: str, hand: Hand) -> str:
    if hand.style["lost_zero"]:
        return digits.lstrip("0") if digits.startswith("0") and not digits.startswith("00") else digits
    return f"{digits[:6]}-{digits[6:]}" if hand.style["hyphen"] else digits


@cache
def _country_name(code: str) -> str:
    return next(name for name, found in countries().items() if found == code and name != code.lower()).capitalize()


def _dirty(texts: list[list[str]], names: list[str], hand: Hand) -> int:
    """Spoil some rows, repeat one and add blank ones at the end; return how many must be rejected."""
    rng, faulty = hand.rng, 0
    places = [n for n, name in enumerate(names) if name in MISTAKES]
    for row in texts:
        if rng.random() < FAULTY_SHARE:
            place = rng.choice(places)
            row[place] = rng.choice(MISTAKES[names[place]])
            faulty += 1
    if len(texts) > 20 and rng.random() < 0.5:
        texts.append(list(texts[0]))  # a repeated row is a fault, whether the first was one or not
        faulty += 1
    texts += [[""] * len(names)] * rng.randrange(3)
    return faulty


def _quoted(cell: str, delimiter: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if delimiter in cell or '"' in cell else cell


def _workbook(lines: list[list[str]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Udtræk")
    for line in lines:
        sheet.append(line)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()

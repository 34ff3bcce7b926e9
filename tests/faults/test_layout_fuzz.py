"""Accepted deliveries laid out anew at random: every value stored is the original's, and every row is accounted for.

The oracle knows the values each delivery was written from. What is accepted must equal them; a row that is not there
must be named by the receipt; rows in must be the rows written. Persons are invented.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.deliveries.contract import load_contracts
from flows.deliveries.intake import Intake, Request, receive
from flows.deliveries.keys import keygen, load_keys
from flows.deliveries.receipts import Receipt
from flows.deliveries.store import open_restricted
from flows.deliveries.values import industry_classes
from tests.unit.deliveries.delivery_files import Styled, xlsb_bytes, zip_bytes
from transforms.areas import areas_at

EVERYDAY, LONG = 60, 300
# All of it: LAYOUTS=20000 pytest -m long tests/faults/test_layout_fuzz.py
MOMENT = datetime(2017, 1, 15, 9, tzinfo=UTC)
MUNICIPALITIES = [area.name_da for area in areas_at(["municipality"])]
FIELDS = {
    "cases": ("cpr", "permit_date", "residence_basis_code", "origin_country_code", "children_count", "end_date"),
    "employment": ("cpr", "start_date", "end_date", "weekly_hours", "industry_code", "is_subsidised"),
    "measures": ("cpr", "measure_kind_code", "start_date", "end_date", "weekly_hours", "industry_code"),
}
TABLES = {"cases": "case", "employment": "employment", "measures": "measure"}
# What a spreadsheet may hold as a number or a date.
PLAIN = {"cpr", "start_date", "end_date", "permit_date", "weekly_hours", "children_count", "industry_code"}
COUNTRIES = {"SYR": ("Syrien", "syrien", "SYR"), "ERI": ("Eritrea",), "IRQ": ("Irak",), "XXA": ("Statsløs",)}


@dataclass(frozen=True)
class Original:
    """A delivery as values: of which municipality and kind, and its rows in the order of FIELDS."""

    municipality: str
    kind: str
    rows: list[tuple[Any, ...]]


def original(number: int) -> Original:
    """Return the accepted delivery of municipality `number`: 5-40 rows, the same every time."""
    rng = random.Random(number)
    kind = ("cases", "employment", "measures")[number % 3]
    rows = []
    for n in range(rng.randint(5, 40)):
        cpr = f"{n % 28 + 1:02d}{number % 12 + 1:02d}{60 + n // 28}{1000 + number:04d}"
        start = date(2016, 1, 1) + timedelta(days=rng.randrange(360))
        end = rng.choice([None, None, start + timedelta(days=rng.randint(10, 300))])
        hours = rng.choice([None, 37.0, 20.5, 15.0, 7.25])
        industry = rng.choice([None, rng.choice(sorted(industry_classes())) + "00"])
        basis = rng.choice(["convention", "protection", "quota", "family_refugee"])
        measure = rng.choice(["placement_private", "igu", "mentor", "danish"])
        rows.append(
            {
                "cases": (cpr, start, basis, rng.choice(list(COUNTRIES)), rng.choice([None, 0, 1, 2, 12]), end),
                "employment": (cpr, start, end, hours, industry, rng.random() < 0.3),
                "measures": (cpr, measure, start, end, hours, industry),
            }[kind]
        )
    return Original(MUNICIPALITIES[number], kind, rows)


# Values as people and systems write them.

NAMES = (
    "januar", "februar", "marts", "april", "maj", "juni", "juli", "august", "september", "oktober", "november",
    "december",
)  # fmt: skip
DATES: list[Callable[[date], str]] = [
    lambda day: f"{day:%d-%m-%Y}", lambda day: f"{day:%d.%m.%y}", lambda day: f"{day.day}/{day.month}-{day.year}",
    lambda day: f"{day.day}/{day.month} {day.year}", date.isoformat, lambda day: f"{day:%Y%m%d}",
    lambda day: f"{day.day:02d}-{NAMES[day.month - 1][:3].upper()}-{day:%y}",
    lambda day: f"{day.day}. {NAMES[day.month - 1]} {day.year}", lambda day: f"{day:%d-%m-%Y} 00:00:00",
    lambda day: f"{(datetime(day.year, day.month, day.day) - timedelta(hours=1)).isoformat()}Z",
    lambda day: f"{day:%d-%m-%Y} kl. 12.30", lambda day: str((day - date(1899, 12, 30)).days),
    lambda day: f"{day.day:02d}{NAMES[day.month - 1][:3].upper()}{day.year}", lambda day: f" {day:%d-%m-%Y}\u00a0",
]  # fmt: skip
CPRS: list[Callable[[str], str]] = [
    str, lambda text: f"{text[:6]}-{text[6:]}", lambda text: f"{text[:6]} {text[6:]}", lambda text: text.lstrip("0"),
    lambda text: f"\u200b{text[:6]}-{text[6:]}", lambda text: f"{text[:6]}\u2013{text[6:]}", lambda text: f"'{text}",
    lambda text: f"{text[:2]} {text[2:4]} {text[4:6]} {text[6:]}", lambda text: f"{text}.0",
]  # fmt: skip
OPEN = ["", "31-12-9999", "NULL", "\\N", "NaT", "9999-12-31"]


def write(name: str, value: Any, rng: random.Random, style: dict[str, Any], kind: str) -> str:
    """Return one value as text."""
    each = load_contracts()[kind].field(name)
    if each.type == "cpr":
        return str(style["cpr"](value))
    if each.type == "date":
        return rng.choice(style["open"]) if value is None else str(style["date"](value))
    if value is None:
        return rng.choice(["", "-", "NULL"])
    if each.type == "boolean":
        return rng.choice(["Ja", "ja", "1"] if value else ["Nej", "nej", "0"])
    if each.type == "country":
        return rng.choice(COUNTRIES[value])
    if each.type == "enum":
        allowed = next(one for one in each.values if one.code == value)
        return rng.choice([allowed.text_da, allowed.text_da.upper(), *allowed.variants])
    if each.type == "industry":
        return rng.choice(
            [value, f"{value[:2]}.{value[2:4]}", f"{value[:2]}.{value[2:4]}.{value[4:]}", f"{value} Tekst"]
        )
    return f"{value:g}".replace(".", ",")


# Layouts.


@dataclass(frozen=True)
class Laid:
    """What was delivered: file name and bytes, the rows in it, and in how many tables they stand."""

    name: str
    content: bytes
    rows: int
    tables: int = 1


def lay_out(source: Original, rng: random.Random) -> Laid:
    """Return a delivery in a layout of its own."""
    style = {"cpr": rng.choice(CPRS), "date": rng.choice(DATES), "open": [rng.choice(OPEN)]}
    names = ["municipality", *FIELDS[source.kind]]
    extra = rng.choice([[], ["person_name"], ["note"]])
    order = rng.sample([*names, *extra], len(names) + len(extra))
    fields = [load_contracts()[source.kind].field(name) for name in order]
    heading = [rng.choice([each.label_da, each.label_da.upper(), *each.headings[:2]]) for each in fields]
    values = [dict(zip(FIELDS[source.kind], row, strict=True)) for row in source.rows]
    lines = [
        [
            source.municipality if name == "municipality" else "Opdigtet" if name in ("person_name", "note")
            else write(name, row[name], rng, style, source.kind)
            for name in order
        ]
        for row in values
    ]  # fmt: skip
    blank = rng.choice([0, 0, 0, 1, 3])
    heading, lines = heading + [""] * blank, [line + [""] * blank for line in lines]
    title = rng.choice([[], [], ["Udtræk fra fagsystem"], ["Udtræk", ""], ["Rapport", "Dannet den 3. januar 2017", ""]])
    footer = rng.choice([[], [], ["I alt"], ["Kilde: fagsystem"], ["", "I alt", "Kilde: systemet, udtrukket i dag"]])
    form = rng.choices(["csv", "xlsx", "zip", "sheets", "members", "xlsb"], [6, 2, 1, 1, 1, 1])[0]
    if form in ("csv", "zip"):
        content = as_csv(heading, lines, title, footer, rng)
        packed = form == "zip"
        return Laid(f"a.{form}", zip_bytes({"a.csv": content}) if packed else content, len(lines))
    cut = rng.randrange(1, len(lines))
    parts = [lines] if form in ("xlsx", "xlsb") else [lines[:cut], lines[cut:]]
    if form == "members":
        made = [as_csv(heading, part, title, footer, rng) for part in parts]
        return Laid("a.zip", zip_bytes({f"{n}/a.csv": content for n, content in enumerate(made)}), len(lines), 2)
    typed = [[cell_of(name, row[name]) for name in FIELDS[source.kind]] for row in values]
    if form == "xlsb":
        return Laid("a.xlsb", as_binary_workbook(order, heading, lines, typed, source, title, footer, rng), len(lines))
    return Laid("a.xlsx", as_workbook(order, heading, parts, typed, source, title, footer, rng), len(lines))


def as_csv(
    heading: list[str], lines: list[list[str]], title: list[str], footer: list[str], rng: random.Random
) -> bytes:
    """Return a CSV in some delimiter, line ends, quoting, encoding, with lines that are no rows."""
    delimiter = rng.choice([";", ";", ",", "\t", "|"])
    always = rng.random() < 0.2

    def quoted(cell: str) -> str:
        return f'"{cell}"' if always or delimiter in cell or "\n" in cell else cell

    padded = rng.random() < 0.5
    rest = delimiter * (len(heading) - 1) if padded else ""
    written = [f"{quoted(text)}{rest}" if text else "" for text in title]
    written += [delimiter.join(map(quoted, line)) for line in (heading, *lines)]
    if rng.random() < 0.2:
        written = [line.rstrip(delimiter) + delimiter * 2 for line in written]
    written += [f"{quoted(text)}{rest}" if text else "" for text in footer]
    ends = rng.choice([["\n"], ["\r\n"], ["\r"], ["\r\r\n"], ["\n", "\r\n", "\r"]])
    text = "".join(line + rng.choice(ends) for line in written)
    if rng.random() < 0.15:
        text = text.rstrip("\r\n")
    fits = [encoding for encoding in ("utf-8", "utf-8-sig", "cp1252", "cp850", "mac_roman", "utf-16")
            if encoding.startswith("utf") or _encodable(text, encoding)]  # fmt: skip
    return text.encode(rng.choice(fits))


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def cell_of(name: str, value: Any) -> Any:
    """Return a value as a spreadsheet holds it."""
    if name == "cpr":
        return int(value)
    if name == "industry_code" and value is not None:
        return int(value)
    return "Ja" if value is True else "Nej" if value is False else value


def as_workbook(
    order: list[str], heading: list[str], parts: list[list[list[str]]], typed: list[list[Any]], source: Original,
    title: list[str], footer: list[str], rng: random.Random,
) -> bytes:  # fmt: skip
    """Return a workbook: some columns as text, some as numbers and dates; hidden rows; one sheet or two."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    as_typed = {name for name in order if name in PLAIN and rng.random() < 0.5}
    names, done = FIELDS[source.kind], 0
    for number, part in enumerate(parts):
        sheet = book.create_sheet(f"Team {number + 1}")
        for text in title:
            sheet.append([text or None])
        sheet.append(heading)
        for line in part:
            for n, name in enumerate(order):
                if name in as_typed:
                    line[n] = typed[done][names.index(name)]
            sheet.append([None if cell == "" else cell for cell in line])
            done += 1
            if rng.random() < 0.05:
                sheet.row_dimensions[sheet.max_row].hidden = True
        for text in footer:
            sheet.append([text or None])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def as_binary_workbook(
    order: list[str], heading: list[str], lines: list[list[str]], typed: list[list[Any]], source: Original,
    title: list[str], footer: list[str], rng: random.Random,
) -> bytes:  # fmt: skip
    """Return the same as Excel's binary workbook, dates as numbers with a format."""
    as_typed = {name for name in order if name in PLAIN and rng.random() < 0.5}
    names = FIELDS[source.kind]
    code = rng.choice(["dd-mm-yyyy", "d/m/yy", "[$-406]d. mmmm yyyy"])

    def cell(name: str, row: list[Any]) -> Any:
        value = row[names.index(name)]
        return Styled((value - date(1899, 12, 30)).days, code) if isinstance(value, date) else value

    cells = [
        [cell(order[n], row) if n < len(order) and order[n] in as_typed else text for n, text in enumerate(line)]
        for line, row in zip(lines, typed, strict=True)
    ]
    above, below = ([[text] for text in texts] for texts in (title, footer))
    hidden = {len(title) + 2 + n for n in range(len(lines)) if rng.random() < 0.05}
    return xlsb_bytes({"Team": [*above, heading, *cells, *below]}, hidden=hidden)


# The oracle.


def expected(source: Original, intake: Intake) -> set[tuple[Any, ...]]:
    """Return the rows that must be stored, by pseudonym."""
    found = set()
    for cpr, *rest in source.rows:
        person_id = intake.people.pseudonym(cpr)
        assert person_id is not None
        found.add((person_id, *rest))
    return found


def check(source: Original, laid: Laid, receipts: list[Receipt], stored: set[tuple[Any, ...]], intake: Intake) -> None:
    (receipt,) = receipts
    assert not receipt.is_refused, receipt.remarks
    assert receipt.rows_in == receipt.rows_accepted + receipt.rows_rejected
    assert receipt.rows_in == laid.rows
    assert receipt.municipality == source.municipality
    assert stored <= expected(source, intake)
    assert len(stored) == receipt.rows_accepted
    named = sum(total.count for total in receipt.totals if total.severity == "reject")
    assert laid.rows - len(stored) <= named  # what is not there is named
    assert laid.rows - len(stored) <= laid.tables  # and can only be the last row of a file without an end of line


def fuzz(folder: Path, count: int, seed: int) -> int:
    """Lay out and receive `count` deliveries; return how many were stored whole."""
    keygen(folder / "k.key")
    keys = load_keys(folder / "k.key")
    intake = Intake(keys, Request(received_at=MOMENT))
    whole = 0
    with open_restricted(folder / "restricted", keys.database_key) as warehouse:
        for number in range(seed, seed + count):
            source = original(number % len(MUNICIPALITIES))
            laid = lay_out(source, random.Random(number))
            path = folder / laid.name
            path.write_bytes(laid.content)
            receipts = [each for each in receive([path], intake, warehouse) if not each.is_unchanged]
            if not receipts:
                continue
            columns = ", ".join(["person_id", *FIELDS[source.kind][1:]])
            sql = f'SELECT {columns} FROM restricted."{TABLES[source.kind]}" WHERE delivery_id = ?'
            stored = {
                tuple(float(cell) if type(cell).__name__ == "Decimal" else cell for cell in row)
                for row in warehouse.rows(sql, [receipts[0].delivery_id])
            }
            try:
                check(source, laid, receipts, stored, intake)
            except AssertionError as error:
                raise AssertionError(f"number {number}: {error}") from error
            whole += len(stored) == laid.rows
            if number % 200 == 199:
                for table in TABLES.values():
                    warehouse.execute(f'DELETE FROM restricted."{table}"')
                    if warehouse.rows(f"SELECT 1 FROM duckdb_tables() WHERE table_name = 'superseded_{table}'"):
                        warehouse.execute(f'DELETE FROM restricted."superseded_{table}"')
    return whole


@pytest.mark.long
def test_deliveries_in_any_layout_give_the_original_values(tmp_path: Path) -> None:
    assert fuzz(tmp_path, EVERYDAY, seed=0) > 0.8 * EVERYDAY


@pytest.mark.long
def test_many_more_layouts(tmp_path: Path) -> None:
    count = int(os.environ.get("LAYOUTS", LONG))
    assert fuzz(tmp_path, count, seed=1_000_000) > 0.8 * count

"""Texts of a delivery turned into values: dates, numbers, codes, in every form municipalities write them."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from flows.deliveries.keys import looks_like_cpr
from transforms.areas import area_code, areas
from transforms.catalogue import DeliveryField, squash

REFERENCE = Path(__file__).parent.parent.parent / "transforms" / "reference"
MISSING = frozenset(
    {"", "-", "--", ".", "..", "...", "/", "?", "null", "none", "nan", "n/a", "na", "#n/a", "(tom)", "tom"}
)
MISSING_VALUE = frozenset({"uoplyst", "ukendt", "ikke oplyst", "ingen", "00-00-0000", "00.00.0000", "0000-00-00"})
EXCEL_EPOCH = date(1899, 12, 30)
EXCEL_DAYS = range(18_264, 73_051)  # 1950-01-01 … 2099-12-31
# Two-digit years: 00-49 are 2000-2049. Permits and jobs, never birth dates, are written so.
PIVOT_YEAR = 50
MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "maj": 5, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
    "okt": 10, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
# Divisions of DB07 (NACE rev. 2).
DIVISIONS = frozenset(
    f"{number:02d}"
    for first, last in ((1, 3), (5, 9), (10, 33), (35, 39), (41, 43), (45, 47), (49, 53), (55, 56), (58, 66),
                        (68, 75), (77, 82), (84, 88), (90, 99))
    for number in range(first, last + 1)
)  # fmt: skip
TRUE = frozenset({"ja", "j", "1", "true", "sand", "x", "yes", "y"})
FALSE = frozenset({"nej", "n", "0", "false", "falsk", "no"})

_YMD = re.compile(r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})")
_DMY = re.compile(r"(\d{1,2})\s*[-./ ]\s*(\d{1,2})\s*[-./ ]\s*(\d{2}|\d{4})")
_WORDS = re.compile(r"(?:den\s+)?(\d{1,2})\.?\s*([a-zæøå]{3,9})\.?[\s,-]*(\d{2}|\d{4})")
_TIME = re.compile(r"[ t]\d{1,2}[:.]\d{2}([:.]\d{2}([.,]\d+)?)?(z|[+-]\d{2}:?\d{2})?$")
_NUMBER = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d{1,3}( \d{3})+|\d+)(,\d+)?|[-+]?\d+\.\d{1,2}|[-+]?\d+\.\d{4,}")
_UNIT = re.compile(r"\s*(%|pct\.?|kr\.?|dkk|timer|time|t\.?|stk\.?)$")
_PERIOD = re.compile(r"(\d{4})(?:\s*[-/ ]?\s*(?:[kqKQ]\s*([1-4])|([1-4])\.?\s*(?:kvt|kvartal)))?")
_QUARTER_FIRST = re.compile(r"(?:[kq]\s*([1-4])|([1-4])\.?\s*(?:kvt|kvartal)\.?)[\s,/-]*(\d{4})")

Parsed = tuple[Any, str | None]


class Wrong(ValueError):
    """A text that is no value of its field; carries the rule's id and never the text."""


def clean(text: str) -> str:
    """Return `text` without outer space, odd spaces, and the `="…"` and `'` Excel users protect zeros with."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    plain = " ".join(plain.split())
    if plain.startswith('="') and plain.endswith('"') and len(plain) > 2:
        plain = plain[2:-1].strip()
    return plain.removeprefix("'")


def parser_of(field: DeliveryField) -> Callable[[str], Parsed]:
    """Return the function from a cleaned text of `field` to (value, None), or (None, rule) when it is wrong."""
    parse = PARSERS[field.type]

    def run(text: str) -> Parsed:
        plain = clean(text)
        lower = plain.casefold()
        if lower in MISSING or (lower in MISSING_VALUE and field.type not in ("enum", "country", "presence")):
            return (None, "required") if field.required else (False if field.type == "presence" else None, None)
        if field.type != "presence" and plain[0] in "=@":
            return None, "formula"
        try:
            return parse(plain, field), None
        except Wrong as wrong:
            misplaced = field.type != "presence" and looks_like_cpr(plain)
            return None, "cpr_misplaced" if misplaced else str(wrong)

    return run


@lru_cache(maxsize=50_000)
def parse_date(text: str) -> date:
    """Return the date in a Danish or ISO text or an Excel serial number; Wrong otherwise.

    Takes dd-mm-yyyy, dd.mm.yy, d/m-yyyy, d/m yyyy, yyyy-mm-dd, yyyymmdd, ddmmyyyy, «1. januar 2016», each with or
    without a time behind. The day always stands before the month: 03/13/2016 is wrong, not 13 March.
    """
    lower = _TIME.sub("", text.casefold()).strip()
    if match := _YMD.fullmatch(lower):
        return _date(match[1], match[2], match[3])
    if match := _DMY.fullmatch(lower):
        return _date(match[3], match[2], match[1])
    if (match := _WORDS.fullmatch(lower)) and match[2][:3] in MONTHS:
        return _date(match[3], str(MONTHS[match[2][:3]]), match[1])
    if re.fullmatch(r"\d{5}([.,]\d+)?", lower) and int(lower[:5]) in EXCEL_DAYS:
        return EXCEL_EPOCH + timedelta(days=int(lower[:5]))
    if re.fullmatch(r"(19|20)\d{6}", lower) and int(lower[4:6]) in range(1, 13):
        return _date(lower[:4], lower[4:6], lower[6:])
    if re.fullmatch(r"\d{4}(19|20)\d{2}", lower):
        return _date(lower[4:], lower[2:4], lower[:2])
    raise Wrong("date")


def _date(year: str, month: str, day: str) -> date:
    full = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < PIVOT_YEAR else 1900)
    if not 1900 <= full <= 2100:
        raise Wrong("date")
    try:
        return date(full, int(month), int(day))
    except ValueError:
        raise Wrong("date") from None


def parse_number(text: str) -> float:
    """Return the number in a Danish text: decimal comma, dot or space for thousands, a unit behind; Wrong otherwise.

    `20.5` (one, two or more than three digits behind one dot) is read with a decimal point; `1.229` is 1229.
    """
    plain = _UNIT.sub("", text.casefold()).strip()
    match = _NUMBER.fullmatch(plain)
    if match is None or len(plain) > 20:
        raise Wrong("number")
    if match[1] is not None:
        plain = plain.replace(".", "").replace(" ", "").replace(",", ".")
    return float(plain)


def parse_period(text: str) -> str:
    """Return `2016` or `2016K1` from a year, a quarter in any usual form, or a date (its quarter)."""
    lower = text.casefold()
    if (match := _QUARTER_FIRST.fullmatch(lower)) and 1900 <= int(match[3]) <= 2100:
        return f"{match[3]}K{match[1] or match[2]}"
    if (match := _PERIOD.fullmatch(lower)) and 1900 <= int(match[1]) <= 2100:
        quarter = match[2] or match[3]
        return f"{match[1]}K{quarter}" if quarter else match[1]
    return quarter_of(parse_date(text))


def quarter_of(day: date) -> str:
    """Return the quarter a date lies in, as `2016K1`."""
    return f"{day.year}K{(day.month + 2) // 3}"


def parse_industry(text: str) -> str:
    """Return a DB07 code of two or six digits; takes dots, a text behind the code, and a lost leading zero."""
    match = re.match(r"(\d{1,2}(?:\.\d{1,2}){1,2}|\d+)(?:\.0+)?(?=$|[\s:,-])", text)
    digits = match[1].replace(".", "") if match else ""
    digits = digits.zfill(6) if len(digits) == 5 else digits.zfill(2) if len(digits) == 1 else digits
    if len(digits) == 4:
        digits += "00"
    if len(digits) not in (2, 6) or digits[:2] not in DIVISIONS:
        raise Wrong("industry")
    return digits


def parse_municipality(text: str) -> str:
    """Return the three-digit code of one of the 98 municipalities; Wrong for every other area and text."""
    plain = text.removesuffix(".0").zfill(3)
    code = area_code(plain) or area_code(re.sub(r"^0?(\d{3})\s+.*$", r"\1", text))
    if code is None or areas()[code].level != "municipality":
        raise Wrong("municipality")
    return code


@cache
def countries() -> dict[str, str]:
    """Return squashed country name or code -> ISO 3166-1 alpha-3 code (XXA stateless, XXX not stated)."""
    with (REFERENCE / "origin_countries.csv").open(encoding="utf-8", newline="") as file:
        return {
            squash(name): row["code"]
            for row in csv.DictReader(file, delimiter=";")
            for name in (row["code"], row["name_da"], row["name_en"], *row["variants"].split("|"))
            if name
        }


def _ranged(value: float, field: DeliveryField) -> float:
    if (field.minimum is not None and value < field.minimum) or (field.maximum is not None and value > field.maximum):
        raise Wrong("range")
    return value


def _integer(text: str, field: DeliveryField) -> int:
    value = parse_number(text)
    if value != int(value):
        raise Wrong("whole_number")
    return int(_ranged(value, field))


def _boolean(text: str, field: DeliveryField) -> bool:
    key = squash(text.removesuffix(".0"))
    if key not in TRUE | FALSE:
        raise Wrong("boolean")
    return key in TRUE


def _lookup(known: dict[str, str], text: str) -> str:
    code = known.get(squash(text)) or known.get(squash(text.removesuffix(".0")))
    if code is None:
        raise Wrong("unknown_value")
    return code


def _listed(parse: Callable[[str], str]) -> Callable[[str, DeliveryField], list[str]]:
    return lambda text, field: [parse(part.strip()) for part in re.split(r"[,;/]", text) if part.strip()]


PARSERS: dict[str, Callable[[str, DeliveryField], Any]] = {
    "date": lambda text, field: parse_date(text),
    "decimal": lambda text, field: round(_ranged(parse_number(text), field), 2),
    "integer": _integer,
    "boolean": _boolean,
    "enum": lambda text, field: _lookup(field.known, text),
    "country": lambda text, field: _lookup(countries(), text),
    "industry": lambda text, field: parse_industry(text),
    "industries": _listed(parse_industry),
    "municipality": lambda text, field: parse_municipality(text),
    "municipalities": _listed(parse_municipality),
    "period": lambda text, field: parse_period(text),
    "presence": lambda text, field: True,
}

"""Numbers in Danish and English sentences: 1.234,5 against 1,234.5, pct. against procentpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Language = Literal["da", "en"]

# unit -> decimals, (Danish, English) after a level, (Danish, English) after a difference
UNITS: dict[str, tuple[int, tuple[str, str], tuple[str, str]]] = {
    "pct": (1, (" pct.", " per cent"), (" procentpoint", " percentage points")),
    "pp": (1, (" procentpoint", " percentage points"), (" procentpoint", " percentage points")),
    "per_1000": (1, (" pr. 1.000", " per 1,000"), (" pr. 1.000", " per 1,000")),
    "weeks": (0, (" uger", " weeks"), (" uger", " weeks")),
    "days": (0, (" dage", " days"), (" dage", " days")),
    "dkk": (0, (" kr.", " DKK"), (" kr.", " DKK")),
    "dkk_thousand": (0, (" t.kr.", " thousand DKK"), (" t.kr.", " thousand DKK")),
    "jobs": (0, (" job", " jobs"), (" job", " jobs")),
    "persons": (0, (" personer", " persons"), (" personer", " persons")),
    "fte": (1, (" årsværk", " full-time posts"), (" årsværk", " full-time posts")),
    "count": (0, ("", ""), ("", "")),
    "ratio": (2, ("", ""), ("", "")),
}


def number(value: float, decimals: int, language: Language) -> str:
    """Return the number as printed: da 1.234,5 and en 1,234.5; a minus is a minus sign, and never "-0"."""
    rounded = round(value, decimals) + 0.0
    text = f"{abs(rounded):,.{decimals}f}"
    if language == "da":
        text = text.translate(str.maketrans(",.", ".,"))
    return f"\u2212{text}" if rounded < 0 else text


def level(value: float, unit: str, language: Language) -> str:
    """Return a level with its unit: 12,3 pct. / 12.3 per cent. Raises KeyError on an unknown unit."""
    decimals, names, _ = UNITS[unit]
    return number(value, decimals, language) + names[language == "en"]


def gap(value: float, unit: str, language: Language) -> str:
    """Return a difference without sign: between shares it is percentage points (74 - 49 = 25), never per cent."""
    decimals, _, names = UNITS[unit]
    return number(abs(value), decimals, language) + names[language == "en"]


# Numbers, units, periods and statuses as a Danish and an English reader expects them.


@dataclass(frozen=True)
class Unit:
    """Decimals shown, what stands after a level and after a difference, and the unit alone; Danish and English."""

    decimals: int
    level: tuple[str, str]
    difference: tuple[str, str]


DISPLAY_UNITS: dict[str, Unit] = {
    "pct": Unit(1, ("pct.", "per cent"), ("procentpoint", "percentage points")),
    "pp": Unit(1, ("procentpoint", "percentage points"), ("procentpoint", "percentage points")),
    "per_1000": Unit(
        1, ("pr. 1.000 indbyggere", "per 1,000 residents"), ("pr. 1.000 indbyggere", "per 1,000 residents")
    ),
    "persons": Unit(0, ("personer", "persons"), ("personer", "persons")),
    "jobs": Unit(0, ("job", "jobs"), ("job", "jobs")),
    "dwellings": Unit(0, ("boliger", "dwellings"), ("boliger", "dwellings")),
    "dkk": Unit(0, ("kr.", "DKK"), ("kr.", "DKK")),
    "dkk_thousand": Unit(0, ("1.000 kr.", "DKK 1,000"), ("1.000 kr.", "DKK 1,000")),
    "weeks": Unit(0, ("uger", "weeks"), ("uger", "weeks")),
    "days": Unit(0, ("dage", "days"), ("dage", "days")),
    "fte": Unit(1, ("årsværk", "full-time posts"), ("årsværk", "full-time posts")),
    "ratio": Unit(2, ("", ""), ("", "")),
    "count": Unit(0, ("", ""), ("", "")),
}
PLAIN = Unit(1, ("", ""), ("", ""))

STATUSES = {
    "observed": ("observeret", "observed"),
    "zero": ("nul", "zero"),
    "suppressed": ("diskretioneret", "withheld"),
    "missing": ("mangler", "missing"),
    "not_applicable": ("ikke relevant", "not applicable"),
    "provisional": ("foreløbigt tal", "provisional"),
    "estimated": ("skøn", "estimate"),
}
QUARTERS = re.compile(r"(\d{4})[KQ]([1-4])")
MONTHS = re.compile(r"(\d{4})M(\d{2})")
SHORT_DA = ("jan.", "feb.", "marts", "april", "maj", "juni", "juli", "aug.", "sept.", "okt.", "nov.", "dec.")
SHORT_EN = ("Jan", "Feb", "Mar", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec")


def unit_of(name: str | None) -> Unit:
    """Return how a unit is shown; a unit nobody described is shown with one decimal and no word."""
    return DISPLAY_UNITS.get(name or "", PLAIN)


def period_text(period: str) -> tuple[str, str]:
    """Return a publisher's period code in words: 2016K1 -> («1. kvt. 2016», "Q1 2016"); a year stays as it is."""
    quarter = QUARTERS.fullmatch(period)
    if quarter:
        return f"{quarter[2]}. kvt. {quarter[1]}", f"Q{quarter[2]} {quarter[1]}"
    month = MONTHS.fullmatch(period)
    if month and 1 <= int(month[2]) <= 12:
        place = int(month[2]) - 1
        return f"{SHORT_DA[place]} {month[1]}", f"{SHORT_EN[place]} {month[1]}"
    return period, period


def date_text(day: date | datetime, language: Language) -> str:
    """Return a day as 30.11.2016 in Danish and 30 Nov 2016 in English."""
    if language == "da":
        return f"{day.day:02d}.{day.month:02d}.{day.year}"
    return f"{day.day} {SHORT_EN[day.month - 1]} {day.year}"


def signed(value: float, decimals: int, language: Language) -> str:
    """Return a difference with its sign, plus included; what rounds to nothing has none."""
    text = number(value, decimals, language)
    return f"+{text}" if round(value, decimals) > 0 else text


def danish_key(name: str) -> str:
    """Return a key that sorts names as a Danish reader expects: æ, ø and å (and aa) last."""
    return name.casefold().replace("aa", "å").translate(str.maketrans("æøå", "{|}"))

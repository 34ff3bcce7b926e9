"""Numbers in Danish and English sentences: 1.234,5 against 1,234.5, pct. against procentpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Literal

from transforms.catalogue import YamlFile

Language = Literal["da", "en"]
STORED = Decimal("0.0001")
"""The last digit the database keeps of any figure (DECIMAL(18, 4))."""


@dataclass(frozen=True)
class Unit:
    """Decimals shown, and what stands after a level and after a difference; Danish and English."""

    decimals: int
    level: tuple[str, str]
    difference: tuple[str, str]


TEXTS: dict[str, Any] = YamlFile(Path(__file__).with_name("wording.yml")).data
"""What sentences of both languages are made of, by what it is about."""
UNITS = {
    name: Unit(told["decimals"], tuple(told["level"]), tuple(told.get("difference", told["level"])))
    for name, told in TEXTS["units"].items()
}
PLAIN = Unit(1, ("", ""), ("", ""))


def unit_of(name: str | None) -> Unit:
    """Return how a unit is shown; a unit nobody described is shown with one decimal and no word."""
    return UNITS.get(name or "", PLAIN)


def shown(value: float | Decimal, decimals: int) -> Decimal:
    """Return the figure with the digits a reader sees: the one place that rounds for map, page, workbook and terminal.

    Rounded once, from the four decimals the database keeps; a figure exactly between two goes away from nought, as
    spreadsheets and DuckDB's `round` do. Never a negative nought.
    """
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    stored = exact.quantize(STORED, ROUND_HALF_UP)
    return stored.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP) + Decimal(0)


def number(value: float | Decimal, decimals: int, language: Language) -> str:
    """Return the number as printed: da 1.234,5 and en 1,234.5; a minus is a minus sign, and never "-0"."""
    rounded = shown(value, decimals)
    text = f"{abs(rounded):,.{decimals}f}"
    if language == "da":
        text = text.translate(str.maketrans(",.", ".,"))
    return f"\u2212{text}" if rounded < 0 else text


SINGULAR: dict[str, str] = TEXTS["singular"]


def _with_word(text: str, word: str) -> str:
    word = SINGULAR.get(word, word) if text in ("1", "\u22121") else word
    return f"{text} {word}" if word else text


def level(value: float | Decimal, unit: str, language: Language) -> str:
    """Return a level with its unit: 12,3 pct. / 12.3 per cent."""
    known = unit_of(unit)
    text = number(value, known.decimals, language)
    return _with_word(text, known.level[language == "en"])


def gap(value: float | Decimal, unit: str, language: Language) -> str:
    """Return a difference without sign: between shares it is percentage points (74 - 49 = 25), never per cent."""
    known = unit_of(unit)
    text = number(abs(shown(value, known.decimals)), known.decimals, language)
    return _with_word(text, known.difference[language == "en"])


# Names of municipalities as they stand in a sentence.


OFFICIAL: dict[tuple[Language, str], str] = {
    (language, name): official for language, names in TEXTS["official"].items() for name, official in names.items()
}


def official_name(name: str, language: Language) -> str:
    """Return a municipality's official name: Rebild Kommune, Københavns Kommune, Bornholms Regionskommune."""
    return OFFICIAL.get((language, name), f"{name} {'Kommune' if language == 'da' else 'Municipality'}")


def listed(names: Sequence[str], language: Language) -> str:
    """Return names in a row as one writes them: A, B og C."""
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + (" og " if language == "da" else " and ") + names[-1]


# Periods, dates and statuses as a Danish and an English reader expects them.


STATUSES = {name: (danish, english) for name, (danish, english) in TEXTS["statuses"].items()}
FORMS = (
    (re.compile(r"(\d{4})QMAT0?([1-4])"), "året til og med {1}. kvt. {0}", "the year to Q{1} {0}"),
    (re.compile(r"(\d{4})-(\d{4})"), "{0}–{1}", "{0}–{1}"),
    (re.compile(r"(\d{4})[KQ]([1-4])"), "{1}. kvt. {0}", "Q{1} {0}"),
)
MONTHS = re.compile(r"(\d{4})M(\d{2})")
SHORT_DA = ("jan.", "feb.", "marts", "april", "maj", "juni", "juli", "aug.", "sept.", "okt.", "nov.", "dec.")
SHORT_EN = ("Jan", "Feb", "Mar", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec")


def period_text(period: str) -> tuple[str, str]:
    """Return a publisher's period code in words: 2016K1 -> (»1. kvt. 2016«, "Q1 2016"); a year stays as it is.

    A rolling year told by quarters, 2025QMAT04, is the four quarters that end with the fourth of 2025.
    """
    for form, danish, english in FORMS:
        if match := form.fullmatch(period):
            return danish.format(*match.groups()), english.format(*match.groups())
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


def signed(value: float | Decimal, decimals: int, language: Language) -> str:
    """Return a difference with its sign, plus included; what rounds to nothing has none."""
    text = number(value, decimals, language)
    return f"+{text}" if shown(value, decimals) > 0 else text


def danish_key(name: str) -> str:
    """Return a key that sorts names as a Danish reader expects: æ, ø and å (and aa) last."""
    return name.casefold().replace("aa", "å").translate(str.maketrans("æøå", "{|}"))

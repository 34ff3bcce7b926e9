"""Numbers in Danish and English sentences: 1.234,5 against 1,234.5, pct. against procentpoint."""

from __future__ import annotations

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

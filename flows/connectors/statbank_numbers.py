"""Numbers as StatBank prints them, in Danish (1.229,5) and English (1,229.5), made plain without guessing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from flows.connectors.statbank_table import MARKS

Style = Literal["en", "da"]
_MINUS = str.maketrans({"−": "-", "\u00a0": " ", "\u202f": " "})
_PLAIN = re.compile(r"-?[0-9]+")
_ENGLISH = re.compile(r"(-?)([0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.([0-9]+))?")
_DANISH = re.compile(r"(-?)([0-9]+|[1-9][0-9]{0,2}(?:[. ][0-9]{3})+)(?:,([0-9]+))?")


class Undecided(Exception):
    """A value such as 1.229 reads as two numbers and nothing before it in the column decides which."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class MixedStyles(Exception):
    """One column holds both a number that is Danish only and one that is English only."""

    def __init__(self, text: str, earlier: str) -> None:
        super().__init__(text)
        self.text = text
        self.earlier = earlier


def readings(text: str, decimals: int) -> dict[Style, str]:
    """Return what `text` means in English and in Danish, as plain text with a point; empty when neither.

    `decimals` is the number of decimals the table is published with. Three digits after a single separator
    are a thousands group unless the table has three decimals or more; in a table without decimals a fraction
    must be zeros.
    """
    found: dict[Style, str] = {}
    for style, pattern in (("en", _ENGLISH), ("da", _DANISH)):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        sign, whole, fraction = match[1], match[2], match[3] or ""
        digits = re.sub(r"\D", "", whole)
        could_be_group = len(fraction) == 3 and len(whole) <= 3 and not whole.startswith("0")
        if could_be_group and decimals < 3:
            continue
        if decimals == 0 and fraction:
            if fraction.strip("0"):
                continue
            fraction = ""
        number = f"{sign}{digits}.{fraction}" if fraction else f"{sign}{digits}"
        found["en" if style == "en" else "da"] = number
    return found


def plain_number(number: float | int | str) -> str:
    """Return a machine's number as text that no reading takes for a thousands group (1.229 as 1.2290).

    For cells that a spreadsheet or JSON holds as numbers. Beyond 18 digits the number is left as written.
    """
    if isinstance(number, str) and not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", number):
        number = float(number)
    if not isinstance(number, str) and not abs(number) < 1e18:
        return str(number)
    whole, _, fraction = format(Decimal(str(number)), "f").partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) == 3:
        fraction += "0"
    return f"{whole}.{fraction}" if fraction else whole


@dataclass
class NumberReader(dict[str, str | None]):
    """The values of one column, text to canonical text; None for what is no number.

    Calling `reader[text]` reads a text once and remembers it. The column's style is taken from the first value
    that only one style can read; a value of the other style raises MixedStyles, a value that both read
    differently before the style is known raises Undecided.
    """

    decimals: int
    style: Style | None = None
    evidence: str = field(default="")

    def __missing__(self, text: str) -> str | None:
        """Read a text met for the first time."""
        if len(self) > 1_000_000:
            self.clear()
        self[text] = number = self._read(text)
        return number

    def _read(self, text: str) -> str | None:
        cleaned = text.translate(_MINUS).strip()
        if cleaned in MARKS or _PLAIN.fullmatch(cleaned):
            return cleaned
        found = readings(cleaned, self.decimals)
        if not found:
            return None
        if len(found) == 2:
            if found["en"] == found["da"]:
                return found["en"]
            if self.style is None:
                raise Undecided(text)
            return found[self.style]
        (style, number), *_ = found.items()
        if self.style is None:
            self.style, self.evidence = style, text
        elif self.style != style:
            raise MixedStyles(text, self.evidence)
        return number

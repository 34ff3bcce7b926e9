"""From what a cell says to the publisher's code: exact code, exact text in Danish or English, or both in one cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from flows.connectors.statbank_table import is_period
from transforms.areas import area_code

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Dimension, Source

How = Literal["code", "text", "both"]
Language = Literal["da", "en"]

_PERIODS = {
    "year": re.compile(r"(?:19|20)\d\d(?:/(?:19|20)\d\d)?"),
    "quarter": re.compile(r"((?:19|20)\d\d)[KQ]([1-4])"),
    "month": re.compile(r"(?:19|20)\d\dM(?:0[1-9]|1[0-2])"),
}
_DASHES = str.maketrans({"‐": "-", "‑": "-", "–": "-", "—": "-", "\u00a0": " "})


@dataclass(frozen=True)
class Match:
    """The code a cell stands for, how the cell says it, and the language when only one has that text."""

    code: str
    how: How
    language: Language | None = None


def key_of(text: str) -> str:
    """Return `text` as it is compared: case, spacing and kinds of dash do not matter."""
    return " ".join(text.translate(_DASHES).casefold().split())


class Resolver:
    """The codes of one dimension of one source, looked up by whatever a cell may say."""

    def __init__(self, catalogue: Catalogue, source: Source, dimension: Dimension) -> None:
        self.dimension = dimension
        self.is_time = dimension.role == "time"
        self._period = _PERIODS.get(source.frequency or "")
        self._codes = [] if self.is_time else list(catalogue.codes(source, dimension))
        self._by_code = {code.code: code for code in self._codes}
        self._by_text: dict[str, dict[str, Language | None]] = {}
        for code in self._codes:
            both = key_of(code.text_da) == key_of(code.text_en)
            self._add(code.text_da, code.code, None if both else "da")
            self._add(code.text_en, code.code, None if both else "en")

    def match(self, cell: str) -> Match | None:
        """Return what the cell stands for; None for an unknown code or text and for a text two codes share."""
        text = cell.strip()
        if self.is_time:
            return self._match_period(text)
        if text in self._by_code:
            return Match(text, "code")
        return self._match_text(text) or self._match_both(text)

    def matching_codes(self, cell: str) -> list[str]:
        """Return all codes whose text the cell is: more than one when the publisher uses a text twice."""
        return list(self._by_text.get(key_of(cell), {}))

    def nearest(self, cell: str) -> list[str]:
        """Return up to three known `code text` that look like the cell, for use in a message only."""
        if self.is_time:
            return []
        shown = {key: code for code in self._codes for key in (key_of(code.text_en), key_of(code.text_da))}
        shown |= {code.code.casefold(): code for code in self._codes}
        keys = get_close_matches(key_of(cell), shown, n=6, cutoff=0.5)
        return list(dict.fromkeys(f"{shown[key].code} {shown[key].text_da}" for key in keys))[:3]

    def texts(self, code: str) -> list[str]:
        """Return the Danish and English text of a code, empty for an unknown code."""
        found = self._by_code.get(code)
        return [found.text_da, found.text_en] if found else []

    def _add(self, text: str, code: str, language: Language | None) -> None:
        self._by_text.setdefault(key_of(text), {})[code] = language

    def _match_text(self, text: str) -> Match | None:
        found = self._by_text.get(key_of(text))
        if found:
            (code, language), *more = found.items()
            return None if more else Match(code, "text", language)
        if self.dimension.role == "area":
            alias = area_code(text)
            return Match(alias, "text") if alias in self._by_code else None
        return None

    def _match_both(self, text: str) -> Match | None:
        """Read `101 København`, `København 101` and `H70 Masters programs`.

        A code with a letter in it counts whatever text follows, since publishers put it in the text itself. A
        bare number must stand beside its own text: `10 years and over` is not age 10.
        """
        first, _, after = text.partition(" ")
        before, _, last = text.rpartition(" ")
        for code, rest in ((first, after.strip()), (last, before.strip())):
            if code not in self._by_code or not rest:
                continue
            if rest in self._by_code and rest != code and key_of(rest) not in self._by_text:
                continue
            own = self._by_text.get(key_of(rest), {})
            same_area = self.dimension.role == "area" and area_code(rest) == code
            if code in own or same_area:
                return Match(code, "both", own.get(code))
            if code == first and not code.isdigit() and re.search(r"[A-Za-zÆØÅæøå]", code) and not own:
                return Match(code, "text")
        return None

    def _match_period(self, text: str) -> Match | None:
        upper = text.upper()
        if self._period is None or not is_period(upper) or not (found := self._period.fullmatch(upper)):
            return None
        if found.lastindex:
            return Match(f"{found[1]}K{found[2]}", "code", "en" if "Q" in upper else "da")
        return Match(upper, "code")


def refusal_parts(resolver: Resolver, cell: str) -> tuple[str, str]:
    """Return (rule, next step) for a cell the resolver does not know."""
    name = resolver.dimension.id
    if resolver.is_time:
        return f"not a period of this table in {name}", "download the table's own periods"
    shared = resolver.matching_codes(cell)
    if len(shared) > 1:
        return f"the text of {' and '.join(shared)} alike in {name}", "download the table with codes"
    nearest = resolver.nearest(cell)
    hint = f"nearest known: {', '.join(nearest)}" if nearest else "download the table with codes"
    return f"neither a code nor a text of {name}", hint


def same_language(matches: Sequence[tuple[str, Match]]) -> tuple[str, str] | None:
    """Return the first Danish and the first English cell when one column holds both, else None."""
    danish = next((cell for cell, match in matches if match.language == "da"), None)
    english = next((cell for cell, match in matches if match.language == "en"), None)
    return (danish, english) if danish is not None and english is not None else None

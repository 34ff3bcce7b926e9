"""What a municipal delivery may hold, by `flows/sources/delivery_*.yml`, and what is told of it, by `texts.yml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from flows.deliveries.keys import MASK, looks_like_cpr
from transforms.areas import suggest
from transforms.catalogue import Contract, DeliveryField, RuleText, Severity, YamlFile, fold_spelling, load_catalogue
from transforms.errors import DataRefused, UsageError

_catalogue = cache(load_catalogue)


@cache
def load_contracts() -> dict[str, Contract]:
    """Return kind -> contract of every source that municipalities deliver."""
    contracts = [
        source.delivery.model_copy(update={"title_da": source.title_da, "title_en": source.title_en})
        for source in _catalogue().sources.values()
        if source.delivery is not None
    ]
    return {contract.kind: contract for contract in contracts}


def largest_rejected_share(kind: str) -> float:
    """Return the share of rejected rows above which a whole delivery of a kind is refused (`quarantine_max_share`)."""
    return _catalogue().sources[f"delivery_{kind}"].expectations.quarantine_max_share


def kind_named(word: str, option: str) -> str:
    """Return the kind a word stands for, in English or Danish; UsageError with all of them when it stands for none."""
    contracts = load_contracts()
    spelled = {fold_spelling(one): kind for kind in contracts for one in (kind, *contracts[kind].file_words)}
    key = fold_spelling(word)
    if key in spelled:
        return spelled[key]
    near = get_close_matches(key, spelled, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    known = ", ".join(f"{kind} ({contract.file_words[0]})" for kind, contract in contracts.items())
    raise UsageError(f"{option} {word}: unknown{hint}; use one of {known}")


# What municipalities are told, in words they can act on, and never a person's data.


TEXTS: dict[str, dict[str, dict[str, Any]]] = YamlFile(Path(__file__).with_name("texts.yml")).data
"""The texts by sort and name, each in Danish and English."""
CELL_RULES = {name: RuleText.model_validate(text) for name, text in TEXTS["rules"].items()}
_PLAIN_NUMBER = re.compile(r"[\d\s.,:/%+-]{1,20}")


@dataclass(frozen=True)
class RowFault:
    """One broken rule in one row. `row` counts from 1 with the heading's line; `shown` is safe to print."""

    row: int
    field: str
    rule: str
    shown: str = ""


def text_of(rule: str, contract: Contract) -> RuleText:
    """Return a rule in words, whether of a cell or of the contract."""
    return next((own for own in contract.rules if own.id == rule), None) or CELL_RULES[rule]


def shown(text: str, field: DeliveryField, rule: str) -> str:
    """Return what of a faulty cell may be printed, with a suggestion where one is safe; else `MASK`.

    A name can stand in any column of a shifted row. So only a short plain number or date is printed as it stands;
    of a text only the allowed value it resembles.
    """
    plain = " ".join(text.split())
    if not plain or rule == "required":
        return ""
    if rule == "error_value":
        return plain  # one of a short list
    if field.personal != "none" or looks_like_cpr(plain):
        return MASK
    if _PLAIN_NUMBER.fullmatch(plain):
        return plain
    if field.type == "enum" and (near := get_close_matches(fold_spelling(plain), field.known, n=1, cutoff=0.75)):
        meant = next(value.text_da for value in field.values if value.code == field.known[near[0]])
        return f"{MASK}: ligner/resembles »{meant}«"
    if field.type == "municipality" and (names := suggest(plain)):
        return f"{MASK}: ligner/resembles »{names[0]}«"
    return MASK


def danish(number: int) -> str:
    """Return a whole number with points between the thousands."""
    return f"{number:,}".replace(",", ".")


def size_of(number: int) -> str:
    """Return a number of bytes as people say it: in bytes, MB or GB."""
    if number < 2**20:
        return f"{number} bytes"
    return f"{number / 2**30:.3g} GB" if number >= 2**30 else f"{number / 2**20:.3g} MB"


@dataclass(frozen=True)
class Remark:
    """A remark on a delivery as a whole; one that needs no action is `info` and changes no verdict."""

    text_da: str
    text_en: str
    severity: Severity = "warn"


class _Words(Formatter):
    """Fills in the texts of one language; the forms a value may take are told in `texts.yml`."""

    def __init__(self, language: str, between_thousands: str):
        self.language = language
        self.between_thousands = between_thousands

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return what stands for a value; for a remark its text."""
        if isinstance(value, Remark):
            return str(getattr(value, self.language))
        match format_spec.split("|"):
            case ["size"]:
                return size_of(value)
            case ["share"]:
                return f"{value:.0%}".replace("%", " %")
            case ["n"]:
                return f"{value:,}".replace(",", self.between_thousands)
            case [one, several]:
                return f"{self.format_field(value, 'n')} {one if value == 1 else several}"
        return str(super().format_field(value, format_spec))


_LANGUAGES = (_Words("text_da", "."), _Words("text_en", ","))


def remark_of(name: str, /, **told: Any) -> Remark:
    """Return a remark by its name in `texts.yml`, with what is told filled in."""
    text = TEXTS["remarks"][name]
    return Remark(**text | {words.language: words.vformat(text[words.language], (), told) for words in _LANGUAGES})


class Refusal(DataRefused):
    """A delivery nothing can be taken from, by the name of the remark that says why, and what is told in it.

    `is_table` is False for what holds no rows at all, such as a letter in PDF.
    """

    def __init__(self, name: str, /, *, is_table: bool = True, **told: Any):
        self.remark = remark_of(name, **told)
        super().__init__(self.remark.text_en)
        self.is_table = is_table

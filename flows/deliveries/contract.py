"""What a municipal delivery may hold: the `delivery:` part of `flows/sources/delivery_*.yml`, typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from flows.deliveries.keys import MASK, looks_like_cpr
from transforms.areas import suggest
from transforms.catalogue import Contract, DeliveryField, Severity, load_catalogue, squash
from transforms.errors import DataRefused


def load_contracts() -> dict[str, Contract]:
    """Return kind -> contract of every source that municipalities deliver."""
    return _load()


@cache
def _load() -> dict[str, Contract]:
    contracts = [
        source.delivery.model_copy(update={"title_da": source.title_da, "title_en": source.title_en})
        for source in load_catalogue().sources.values()
        if source.delivery is not None
    ]
    return {contract.kind: contract for contract in contracts}


# What can be wrong with a delivered cell or row, in words a municipality can act on, and never a person's data.


_PLAIN_NUMBER = re.compile(r"[\d\s.,:/%+-]{1,20}")


@dataclass(frozen=True)
class Text:
    """A rule in words: what is wrong and what to do, in Danish and English."""

    severity: Severity
    text_da: str
    text_en: str
    fix_da: str
    fix_en: str


CELL_RULES: dict[str, Text] = {
    "required": Text("reject", "Feltet skal udfyldes.", "The field must be filled in.", "Udfyld det.", "Fill it in."),
    "cpr": Text(
        "reject", "Ikke et CPR-nummer på ti cifre med en fødselsdato, der findes.",
        "Not a CPR number of ten digits with an existing birth date.",
        "Ret nummeret; erstatningsnumre kan ikke modtages.", "Correct the number; replacement numbers are not taken.",
    ),
    "cpr_misplaced": Text(
        "reject", "Her står noget, der ligner et CPR-nummer, i et felt, der ikke er til det.",
        "Something like a CPR number stands in a field that is not for it.",
        "Kontrollér, om kolonnerne er forskudt.", "Check whether the columns have shifted.",
    ),
    "date": Text(
        "reject", "Ikke en dato, der findes.", "Not an existing date.",
        "Skriv dd-mm-åååå, fx 31-03-2016.", "Write dd-mm-yyyy, e.g. 31-03-2016.",
    ),
    "number": Text("reject", "Ikke et tal.", "Not a number.", "Skriv fx 20,5.", "Write e.g. 20,5."),
    "whole_number": Text("reject", "Ikke et helt tal.", "Not a whole number.", "Skriv fx 3.", "Write e.g. 3."),
    "range": Text(
        "reject", "Tallet ligger uden for det mulige.", "The number is outside what is possible.",
        "Kontrollér tal og enhed.", "Check number and unit.",
    ),
    "boolean": Text("reject", "Ikke ja eller nej.", "Not yes or no.", "Skriv Ja eller Nej.", "Write Ja or Nej."),
    "unknown_value": Text(
        "reject", "Værdien er ikke en af de tilladte.", "The value is not one of those allowed.",
        "Brug en værdi fra skabelonens liste.", "Use a value of the template's list.",
    ),
    "industry": Text(
        "reject", "Ikke en DB07-branchekode.", "Not a DB07 industry code.",
        "Skriv seks cifre, fx 561010.", "Write six digits, e.g. 561010.",
    ),
    "municipality": Text(
        "reject", "Ikke en af de 98 kommuner.", "Not one of the 98 municipalities.",
        "Skriv kommunens navn eller trecifrede kode.", "Write the municipality's name or three-digit code.",
    ),
    "formula": Text(
        "reject", "Cellen indeholder en formel som tekst.", "The cell holds a formula as text.",
        "Gem værdierne i stedet for formlerne.", "Save values instead of formulas.",
    ),
    "row_shape": Text(
        "reject", "Rækken har et andet antal felter end overskriften.",
        "The row has another number of fields than the heading.",
        "Kontrollér skilletegn og anførselstegn i rækken.", "Check delimiters and quotes in the row.",
    ),
    "other_municipality": Text(
        "reject", "Rækken hører til en anden kommune end leverancen.",
        "The row belongs to another municipality than the delivery.",
        "Lever én fil pr. kommune.", "Deliver one file per municipality.",
    ),
    "other_period": Text(
        "reject", "Rækken hører til en anden periode end leverancen.",
        "The row belongs to another period than the delivery.",
        "Lever én fil pr. periode.", "Deliver one file per period.",
    ),
    "duplicate": Text(
        "reject", "Rækken gentager en tidligere række (samme nøgle).", "The row repeats an earlier one (same key).",
        "Slet gentagelsen, eller ret nøglefelterne.", "Delete the repetition or correct the key fields.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One broken rule in one row. `row` counts from 1 with the heading's line; `shown` is safe to print."""

    row: int
    field: str
    rule: str
    shown: str = ""


def text_of(rule: str, contract: Contract) -> Text:
    """Return a rule in words, whether of a cell or of the contract."""
    for own in contract.rules:
        if own.id == rule:
            return Text(own.severity, own.text_da, own.text_en, own.fix_da, own.fix_en)
    return CELL_RULES[rule]


def shown(text: str, field: DeliveryField, rule: str) -> str:
    """Return what of a faulty cell may be printed, with a suggestion where one is safe; else «skjult».

    A name can stand in any column of a shifted row. So only a short plain number or date is printed as it stands;
    of a text only the allowed value it resembles.
    """
    plain = " ".join(text.split())
    if not plain or rule == "required":
        return ""
    if field.personal != "none" or looks_like_cpr(plain):
        return MASK
    if _PLAIN_NUMBER.fullmatch(plain):
        return plain
    if field.type == "enum" and (near := get_close_matches(squash(plain), field.known, n=1, cutoff=0.75)):
        meant = next(value.text_da for value in field.values if value.code == field.known[near[0]])
        return f"{MASK}: ligner/resembles «{meant}»"
    if field.type == "municipality" and (names := suggest(plain)):
        return f"{MASK}: ligner/resembles «{names[0]}»"
    return MASK


class Refusal(DataRefused):
    """A delivery nothing can be taken from, in Danish for its receipt and in English for the terminal."""

    def __init__(self, label: str, text_da: str, text_en: str):
        super().__init__(f"{label}: {text_en}")
        self.text_da = text_da
        self.text_en = text_en

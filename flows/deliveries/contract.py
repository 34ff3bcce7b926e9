"""What a municipal delivery may hold: the `delivery:` part of `flows/sources/delivery_*.yml`, typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from flows.deliveries.keys import MASK, looks_like_cpr
from transforms.areas import suggest
from transforms.catalogue import Contract, DeliveryField, Severity, fold_spelling, load_catalogue
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
    key = fold_spelling(word)
    for kind, contract in load_contracts().items():
        if key in {fold_spelling(kind), *(fold_spelling(one) for one in contract.file_words)}:
            return kind
    known = ", ".join(f"{kind} ({contract.file_words[0]})" for kind, contract in load_contracts().items())
    near = get_close_matches(
        key, [fold_spelling(one) for each in load_contracts().values() for one in each.file_words], n=1
    )
    raise UsageError(
        f"{option} {word}: unknown" + (f"; did you mean {near[0]}?" if near else "") + f"; use one of {known}"
    )


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
        "Ret nummeret.", "Correct the number.",
    ),
    "cpr_shortened": Text(
        "reject", "Excel har forkortet CPR-nummeret til et tal som 1,01E+09.",
        "Excel has shortened the CPR number to a figure such as 1.01E+09.",
        "Formatér kolonnen som tekst, og hent numrene ind igen.",
        "Format the column as text and fetch the numbers again.",
    ),
    "cpr_replacement": Text(
        "reject", "Et erstatningsnummer eller et skjult nummer, ikke et CPR-nummer.",
        "A replacement number or a hidden number, not a CPR number.",
        "Erstatningsnumre kan ikke modtages; send rækken, når personen har fået CPR-nummer.",
        "Replacement numbers are not taken; send the row once the person has a CPR number.",
    ),
    "cpr_misplaced": Text(
        "reject", "Her står noget, der ligner et CPR-nummer, i et felt, der er beregnet til noget andet.",
        "Something like a CPR number stands in a field that is not for it.",
        "Kontrollér, om kolonnerne er forskudt.", "Check whether the columns have shifted.",
    ),
    "date": Text(
        "reject", "Ikke en dato, der findes.", "Not an existing date.",
        "Skriv dd-mm-åååå, fx 31-03-2016.", "Write dd-mm-yyyy, e.g. 31-03-2016.",
    ),
    "open_end": Text(
        "info", "Læst som »ikke afsluttet«: 31-12-9999, 01-01-0001, d.d. og lignende.",
        "Read as “not ended”: 31-12-9999, 01-01-0001, d.d. and the like.",
        "Ingen handling.", "No action.",
    ),
    "error_value": Text(
        "reject", "Cellen rummer en fejl fra regnearket, fx #N/A eller #REFERENCE!.",
        "The cell holds an error of the spreadsheet, such as #N/A or #REF!.",
        "Ret formlen, eller tøm cellen.", "Correct the formula or clear the cell.",
    ),
    "unit": Text(
        "reject", "Enheden bag tallet passer ikke til feltet.", "The unit behind the number is not that of the field.",
        "Skriv tallet i feltets enhed.", "Write the number in the unit of the field.",
    ),
    "share_below_one": Text(
        "warn", "Andelen er under 1 pct.; er 0,80 skrevet for 80 pct.?",
        "The share is below 1 per cent; was 0.80 written for 80 per cent?",
        "Kontrollér andelen; rækken er medtaget.", "Check the share; the row is kept.",
    ),
    "cut_off": Text(
        "reject", "Filen slutter uden linjeskift midt i rækken, så den sidste værdi kan være skåret over.",
        "The file ends without a line break, so the last value may be cut off.",
        "Dan filen igen, eller sæt et linjeskift efter sidste række.",
        "Export the file again, or put a line break behind the last row.",
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
        "reject", "Ikke en kode i DB07 på to, fire eller seks cifre.", "Not a DB07 code of two, four or six digits.",
        "Skriv koden som tekst, fx 561010 eller 56.10; flere koder adskilles med komma og mellemrum.",
        "Write the code as text, e.g. 561010 or 56.10; separate several by comma and space.",
    ),
    "municipality": Text(
        "reject", "Ikke en af de 98 kommuner.", "Not one of the 98 municipalities.",
        "Skriv kommunens navn eller trecifrede kode.", "Write the municipality's name or three-digit code.",
    ),
    "formula": Text(
        "reject", "Cellen indeholder en formel uden en gemt værdi.", "The cell holds a formula without a saved value.",
        "Indsæt værdierne i stedet for formlerne, og gem igen.", "Paste values instead of formulas and save again.",
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


def counted(number: int, one: str, several: str) -> str:
    """Return a number with the word for what is counted, as Danes write it: `1 række`, `1.234 rækker`."""
    return f"{danish(number)} {one if number == 1 else several}"


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


class Refusal(DataRefused):
    """A delivery nothing can be taken from, in Danish for its receipt and in English for the terminal.

    `is_table` is False for what holds no rows at all, such as a letter in PDF.
    """

    def __init__(self, text_da: str, text_en: str, *, is_table: bool = True):
        super().__init__(text_en)
        self.text_da = text_da
        self.text_en = text_en
        self.is_table = is_table

"""What a municipal delivery may hold: the `delivery:` part of `flows/sources/delivery_*.yml`, typed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from flows.deliveries.keys import MASK, looks_like_cpr
from transforms.areas import suggest
from transforms.catalogue import YamlFile
from transforms.errors import DataRefused, UsageError

SOURCES = Path(__file__).parent.parent / "sources"
_FOLDED = str.maketrans({"æ": "ae", "ø": "oe", "å": "aa", "ä": "ae", "ö": "oe", "ü": "y"})

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Personal = Literal["cpr", "name", "free_text", "none"]
Type = Literal[
    "cpr", "date", "decimal", "integer", "boolean", "enum", "industry", "industries",
    "municipality", "municipalities", "country", "period", "presence", "dropped",
]  # fmt: skip
SQL_TYPES: dict[str, str] = {
    "date": "DATE", "decimal": "DECIMAL(12,2)", "integer": "INTEGER", "boolean": "BOOLEAN",
    "presence": "BOOLEAN", "industries": "VARCHAR[]", "municipalities": "VARCHAR[]",
}  # fmt: skip
Severity = Literal["reject", "warn", "info"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Value(_Strict):
    """One allowed value: the code stored, its texts, and other ways municipalities write it."""

    code: Name
    text_da: str
    text_en: str
    variants: list[str] = []


class DeliveryField(_Strict):
    """One field: what it is called in files, what it may hold, and how personal it is."""

    name: Name
    type: Type
    label_da: str
    label_en: str
    headings: list[str] = []
    personal: Personal = "none"
    required: bool = False
    aspect: Literal["fact", "judgement", "about"] = "fact"
    values: list[Value] = []
    minimum: float | None = None
    maximum: float | None = None
    help_da: str = ""
    help_en: str = ""

    @property
    def spellings(self) -> set[str]:
        """Return every accepted heading, squashed."""
        return {squash(text) for text in (self.name, self.label_da, self.label_en, *self.headings)}

    @cached_property
    def known(self) -> dict[str, str]:
        """Return squashed text -> code of the allowed values."""
        return {
            squash(text): value.code
            for value in self.values
            for text in (value.code, value.text_da, value.text_en, *value.variants)
        }


class Rule(_Strict):
    """A rule over one accepted row. `breaks` is a predicate over the stored columns, true where it is broken."""

    id: Name
    severity: Severity
    breaks: str
    field: Name
    text_da: str
    text_en: str
    fix_da: str
    fix_en: str


class Contract(_Strict):
    """One kind of delivery: its table in the restricted database, its fields and rules."""

    version: int = Field(ge=1)
    table: Name
    key: list[Name]
    period_field: Name
    file_words: list[str]
    max_rejected_share: float = Field(default=0.2, ge=0, le=1)
    fields: list[DeliveryField]
    rules: list[Rule] = []
    title_da: str = ""
    title_en: str = ""

    @property
    def kind(self) -> str:
        """Return the kind as receipts and file names call it (same word as the source's id ends in)."""
        return KINDS[self.table]

    @cached_property
    def by_heading(self) -> dict[str, DeliveryField]:
        """Return squashed heading -> field."""
        return {spelling: field for field in self.fields for spelling in field.spellings}

    def field(self, name: str) -> DeliveryField:
        """Return one field by name (KeyError is a fault of the program)."""
        return next(field for field in self.fields if field.name == name)

    @property
    def columns(self) -> dict[str, str]:
        """Return the stored columns with their SQL types, in order; the CPR number itself is none of them."""
        found: dict[str, str] = {}
        for field in self.fields:
            if field.type == "cpr":
                found["person_id"] = "VARCHAR"
                if self.table == "case":  # said once per person; other tables need no more than the link
                    found |= {"sex_code": "VARCHAR", "age_at_permit_years": "INTEGER", "is_modulus11": "BOOLEAN"}
            elif field.type not in ("period", "municipality", "dropped"):
                found[field.name] = SQL_TYPES.get(field.type, "VARCHAR")
        return found


KINDS = {"case": "cases", "measure": "measures", "employment": "employment", "organisation": "organisation"}


@cache
def squash(text: str) -> str:
    """Return `text` reduced to what spelling variants share: no case, spaces or signs, ae/oe/aa for æ/ø/å."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_FOLDED)
    return re.sub(r"[^0-9a-z]+", "", folded)


def load_contracts(directory: Path = SOURCES) -> dict[str, Contract]:
    """Return kind -> contract from every `delivery_*.yml`; UsageError with file and line when one is wrong."""
    return _load(directory)


@cache
def _load(directory: Path) -> dict[str, Contract]:
    found: dict[str, Contract] = {}
    for path in sorted(directory.glob("delivery_*.yml")):
        file = YamlFile(path, f"flows/sources/{path.name}")
        titles = {key: file.data.get(key, "") for key in ("title_da", "title_en")}
        try:
            contract = Contract.model_validate({**file.data["delivery"], **titles})
        except ValidationError as error:
            first = error.errors()[0]
            raise file.error(["delivery", *first["loc"]], first["msg"]) from None
        _check(contract, file)
        found[contract.kind] = contract
    if not found:
        raise UsageError(f"{directory}: no delivery_*.yml there")
    return found


def _check(contract: Contract, file: YamlFile) -> None:
    """Refuse what pydantic cannot see: two fields of one heading, two codes of one text, unknown names."""
    names = {field.name for field in contract.fields}
    for unknown in {contract.period_field, *(rule.field for rule in contract.rules)} - names:
        raise file.error(["delivery", "fields"], f"no field {unknown}")
    for unknown in set(contract.key) - set(contract.columns):
        raise file.error(["delivery", "key"], f"no column {unknown}")
    headings: dict[str, str] = {}
    for number, field in enumerate(contract.fields):
        where: list[int | str] = ["delivery", "fields", number]
        for spelling in field.spellings:
            if headings.setdefault(spelling, field.name) != field.name:
                raise file.error(where, f"heading {spelling!r} belongs to {headings[spelling]} and {field.name}")
        if (field.type == "enum") != bool(field.values):
            raise file.error(where, f"{field.name}: `values` are needed for enum, and only there")
        texts: dict[str, str] = {}
        for value in field.values:
            for text in (value.code, value.text_da, value.text_en, *value.variants):
                if texts.setdefault(squash(text), value.code) != value.code:
                    raise file.error(where, f"{text!r} stands for {texts[squash(text)]} and {value.code}")


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

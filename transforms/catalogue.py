"""The catalogue: every source file, checked against the code lists, the areas and the dictionary.

One module, since every part of a source file is checked against the same lists, and a fault names its line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from transforms.areas import Level, areas, areas_at, reference_rows
from transforms.errors import UsageError
from transforms.periods import PERIOD_FORMS

# The publishers' code lists: every code a dimension can hold, with its Danish and English text.


CODELISTS = Path(__file__).parent / "reference" / "codelists.csv"
Kind = Literal["total", "subtotal", "leaf"]
LEFT_OUT = "_ALL"
"""Our code for a dimension left out of the request: the publisher then answers with the sum over it."""
TOTAL = "TOT"
"""Our code for the total of a Jobindsats dimension, which has texts and no codes."""
RESIDUAL = ("abroad", "unknown")
"""Levels of areas that are no place in Denmark: any table may have them."""


@dataclass(frozen=True)
class Code:
    """One code as the publisher writes it; `leaves` are the leaf codes a total or subtotal covers."""

    code: str
    text_da: str
    text_en: str
    kind: Kind = "leaf"
    leaves: tuple[str, ...] = ()
    spelt: tuple[str, ...] = ()
    """Other codes the publisher writes for it in one extract, when told by its text."""


def total_code(code: str, codes: Sequence[Code]) -> Code:
    """Return a code of our own for the total of a dimension's leaves: left out of the request, or told by its text."""
    leaves = tuple(code.code for code in codes if code.kind == "leaf")
    return Code(code, "I alt (udeladt af udtrækket)", "Total (left out of the extract)", "total", leaves)


def load_codelists(path: Path = CODELISTS) -> dict[str, list[Code]]:
    """Return code list -> its codes in the publisher's order.

    Raises UsageError with the line for a code given twice, an unknown kind, or a subtotal over codes
    that are not leaves of the same list. The `*` of a total is spelled out as all leaves.
    """
    lists: dict[str, list[Code]] = {}
    lines: dict[tuple[str, str], int] = {}
    for number, row in enumerate(reference_rows(path.name, path.parent), start=2):
        where = (row["codelist"], row["code"])
        if where in lines:
            raise _error(path, number, f"code {where[1]} of {where[0]} is already on line {lines[where]}")
        lines[where] = number
        if row["kind"] not in get_args(Kind):
            raise _error(path, number, f"kind {row['kind']!r} is not one of {', '.join(get_args(Kind))}")
        kind, leaves = cast(Kind, row["kind"]), tuple(row["leaves"].split())
        lists.setdefault(where[0], []).append(Code(row["code"], row["text_da"], row["text_en"], kind, leaves))
    for name, codes in lists.items():
        lists[name] = _resolve(name, codes, lines, path)
    return lists


def _resolve(name: str, codes: list[Code], lines: dict[tuple[str, str], int], path: Path) -> list[Code]:
    leaves = tuple(code.code for code in codes if code.kind == "leaf")
    resolved = []
    for code in codes:
        covered = leaves if code.leaves == ("*",) else code.leaves
        strange = sorted(set(covered) - set(leaves))
        if strange:
            raise _error(path, lines[name, code.code], f"{code.code} of {name} covers {strange[0]}, which is no leaf")
        if (code.kind == "leaf") == bool(covered):
            raise _error(path, lines[name, code.code], f"{code.code} of {name}: only totals and subtotals have leaves")
        resolved.append(replace(code, leaves=covered))
    return resolved


def _error(path: Path, line: int, message: str) -> UsageError:
    return UsageError(f"{path.parent.name}/{path.name}:{line}: {message}")


# What a source file may say: the shape of `flows/sources/<id>.yml`.


Role = Literal["area", "category", "selector", "time"]
Text = Annotated[str, StringConstraints(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Dimension(_Strict):
    """One dimension of a table: the publisher's id and label, our column, its codes and what is asked for.

    `codes` are given here instead of in a code list; `is_text`: it holds the publisher's texts, which have no codes.
    `complete`: the codes asked for are all parts of a whole that has no total of its own, and are added up; one that
    the publisher adds is then missing in the sum, and the source waits for it. `also`: what else the publisher calls it
    (its id -> its code -> ours, of the codes that are spelt otherwise there).
    """

    id: Text
    text_da: Text
    text_en: Text
    column: Text
    role: Role
    select: list[Text] = Field(min_length=1)
    codelist: str | None = None
    codes: list[Text] = []
    is_text: bool = False
    levels: list[Level] = []
    extra_codes: list[Text] = []
    elimination: bool = False
    total: str | None = None
    complete: bool = False
    also: dict[Text, dict[Text, Text]] = {}

    @model_validator(mode="before")
    @classmethod
    def _eliminable_by_default(cls, data: Any) -> Any:
        if isinstance(data, dict) and "elimination" not in data:
            # A table that has the whole country stands at it when no area is asked for.
            country = data.get("role") == "area" and "country" in (data.get("levels") or ())
            return {**data, "elimination": country or data.get("role") in ("category", "selector")}
        return data

    @property
    def is_left_out(self) -> bool:
        """Tell whether the request leaves this dimension out, so that the publisher sums over it.

        Needs a non-streaming format: BULK wants codes for every dimension.
        """
        return self.select == [LEFT_OUT]

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        if LEFT_OUT in self.select and (self.total != LEFT_OUT or not self.is_left_out or self.role != "category"):
            raise ValueError(
                f"{self.id}: {LEFT_OUT} leaves a category out of the request; it needs `total: {LEFT_OUT}`"
            )
        for name, codes in self.also.items():
            if len(set(codes.values())) < len(codes):
                raise ValueError(f"{self.id}: two codes of {name} stand for one of ours; each needs one of its own")
        if self.role == "area" and not self.levels:
            raise ValueError(f"{self.id} has role area but no `levels`; list the levels the table holds")
        if self.role in ("category", "selector") and not (self.codelist or self.codes or self.is_text):
            raise ValueError(f"{self.id} has role {self.role} but no `codelist`")
        if self.role == "selector" and (len(self.select) != 1 or "*" in self.select[0]):
            raise ValueError(
                f"{self.id} is a selector and must be pinned to exactly one code, not {', '.join(self.select)}; "
                "otherwise every figure is counted once per code"
            )
        return self


class Accepted(_Strict):
    """A period whose figures stand out and are right, and how that is known; rules of level and change pass it."""

    period: Text
    reason: Text


class Anchor(_Strict):
    """Between which figures the country lies, in every period or in one.

    `cell` names codes by column; a column it does not name is added up. Of the areas the country is meant, or where
    the table has none, all of them.
    """

    cell: dict[str, Text] = {}
    low: Annotated[float, Field(strict=False)]
    high: Annotated[float, Field(strict=False)]
    period: Text | None = None
    reason: Text


class Expectations(_Strict):
    """What every delivery of the source must satisfy before it is accepted."""

    min_rows: int = Field(default=1, ge=1)
    value_min: float | None = None
    value_max: float | None = None
    quarantine_max_share: float = Field(default=0.01, ge=0, le=1)
    inhabitants_share: list[float] | None = Field(default=None, min_length=2, max_length=2)
    """With every category at its total, the figure is from this to that share of the area's inhabitants."""
    yearly_change: float = Field(default=1.2, gt=1)
    """How many times the middle figure may move in a year, while too few periods are there to learn it from."""
    anchors: list[Anchor] = []
    accepted: list[Accepted] = []


# The `jobindsats:` part.


PeriodKind = Literal["M", "Q", "Y", "QMAT"]
PERIOD_KINDS = {"M": "month", "Q": "quarter", "Y": "year", "QMAT": "rolling_year"}


class Measure(_Strict):
    """One measure: our id, unit, texts, and what its column is called in answers and exports.

    `of`: the measure that counts those a rate speaks of; `signed`: the figure may be below zero.
    """

    id: Text
    unit: Literal["persons", "pct", "pct_points", "fte", "hours", "rank", "count"]
    text_da: Text
    text_en: Text
    headings: list[Text] = Field(min_length=1)
    of: Text | None = None
    signed: bool = False


class JobindsatsDimension(_Strict):
    """One dimension beside area and period: our column and its headings in answers.

    With a `codelist` its texts are kept as codes; `texts` adds wordings of the publisher's own, `total_texts` the sum.
    `hierarchies` are the ids it may be asked for by in version 3: the first that the table has, else the first. With
    `total_text` an answer may lack its column: its rows are then those of the total, which is called so.
    """

    column: Text
    text_da: Text
    text_en: Text
    headings: list[Text] = Field(min_length=1)
    hierarchies: list[Text] = []
    total_text: Text | None = None
    codelist: str | None = None
    texts: dict[str, str] = {}
    total_texts: list[str] = []


class JobindsatsQuery(_Strict):
    """The `jobindsats:` part of a source file.

    `selections`: what version 2 is asked for beside the areas. `nulls`: what a null of the publisher says.
    """

    table: Text
    period_kind: PeriodKind
    latest: int = Field(ge=1)
    area_hierarchy: Text = "_nykom"
    selections: dict[str, str] = {}
    measures: list[Measure] = Field(min_length=1)
    dimensions: list[JobindsatsDimension] = []
    all_municipalities: bool = True
    nulls: Literal["missing", "suppressed"] = "missing"


# The `delivery:` part: what a municipal delivery may hold.


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


class DeliveryValue(_Strict):
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
    values: list[DeliveryValue] = []
    minimum: float | None = None
    maximum: float | None = None
    help_da: str = ""
    help_en: str = ""

    @property
    def spellings(self) -> set[str]:
        """Return every accepted heading, folded."""
        return {fold_spelling(text) for text in (self.name, self.label_da, self.label_en, *self.headings)}

    @cached_property
    def known(self) -> dict[str, str]:
        """Return folded text -> code of the allowed values."""
        return {
            fold_spelling(text): value.code
            for value in self.values
            for text in (value.code, value.text_da, value.text_en, *value.variants)
        }


class RuleText(_Strict):
    """A rule in words: what is wrong and what to do, in Danish and English."""

    severity: Severity
    text_da: str
    text_en: str
    fix_da: str
    fix_en: str


class DeliveryRule(RuleText):
    """A rule over one accepted row. `breaks` is a predicate over the stored columns, true where it is broken."""

    id: Name
    breaks: str
    field: Name


class Contract(_Strict):
    """One kind of delivery: its table in the restricted database, its fields and rules."""

    version: int = Field(ge=1)
    table: Name
    key: list[Name]
    period_field: Name
    file_words: list[str]
    fields: list[DeliveryField]
    rules: list[DeliveryRule] = []
    title_da: str = ""
    title_en: str = ""

    @property
    def kind(self) -> str:
        """Return the kind as receipts and file names call it (same word as the source's id ends in)."""
        return KINDS[self.table]

    @cached_property
    def by_heading(self) -> dict[str, DeliveryField]:
        """Return folded heading -> field."""
        return {spelling: field for field in self.fields for spelling in field.spellings}

    def field(self, name: str) -> DeliveryField:
        """Return one field by name (KeyError is a fault of the program)."""
        return next(field for field in self.fields if field.name == name)

    @property
    def columns(self) -> dict[str, str]:
        """Return the stored columns with their SQL types, in order; the CPR number itself is none of them."""
        found: dict[str, str] = {}
        for each in self.fields:
            if each.type == "cpr":
                found["person_id"] = "VARCHAR"
                if self.table == "case":  # said once per person; other tables need no more than the link
                    found |= {"sex_code": "VARCHAR", "age_at_permit_years": "INTEGER", "is_modulus11": "BOOLEAN"}
            elif each.type not in ("period", "municipality", "dropped"):
                found[each.name] = SQL_TYPES.get(each.type, "VARCHAR")
        return found


KINDS = {"case": "cases", "measure": "measures", "employment": "employment", "organisation": "organisation"}


@cache
def fold_spelling(text: str) -> str:
    """Return `text` reduced to what spelling variants share: no case, spaces or signs, ae/oe/aa for æ/ø/å.

    For what people type. Publishers' texts differ by less, and two of them may differ by a space or a sign alone.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_FOLDED)
    return re.sub(r"[^0-9a-z]+", "", folded)


class ReferenceTable(_Strict):
    """Figures the project keeps itself, with the source of each row: the stem of `transforms/reference/<table>.csv`."""

    table: Text


class Source(_Strict):
    """One source: who publishes it under which licence, what is asked for, and what must be true of it."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    connector: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    title_da: Text
    title_en: Text
    producer: Text
    licence: Text
    producer_en: Text | None = None
    licence_en: Text | None = None
    """In English, where `flows/report/codes.csv` does not tell it."""
    url: Text
    owner: Text
    frequency: Literal["year", "quarter", "month"] | None = None
    publication_lag_days: int = Field(default=0, ge=0)
    max_age_days: int = Field(gt=0)
    ended: date | None = None
    """The day after which its publisher has nothing more to tell: from then on the table may stand still."""
    required: bool
    table: str | None = None
    unit: Literal["persons", "jobs", "dwellings", "pct", "dkk", "dkk_thousand", "count"] | None = None
    decimals: int = Field(default=0, ge=0, le=4)
    dimensions: list[Dimension] = []
    lookalikes: list[Text] = []
    """StatBank tables that have all these dimensions too, so that columns alone do not tell a file of this one."""
    expectations: Expectations = Expectations()
    jobindsats: JobindsatsQuery | None = None
    delivery: Contract | None = None
    reference: ReferenceTable | None = None

    @model_validator(mode="after")
    def _fits_its_connector(self) -> Self:
        if self.jobindsats is not None and not self.dimensions:
            # Derived, so that every register is loaded and checked alike; the model itself is frozen.
            self.__dict__["dimensions"] = _jobindsats_dimensions(self.jobindsats)
        if self.connector != "statbank":
            section = {"jobindsats": self.jobindsats, "delivery": self.delivery, "reference": self.reference}
            if section.get(self.connector, self.dimensions) in (None, []):
                raise ValueError(f"connector {self.connector} needs a `{self.connector}:` section")
            return self
        missing = [key for key in ("table", "frequency", "unit", "dimensions") if not getattr(self, key)]
        if missing:
            raise ValueError(f"connector statbank needs `{missing[0]}`")
        if self.id != f"statbank_{(self.table or '').lower()}":
            raise ValueError(f"the id of table {self.table} must be statbank_{(self.table or '').lower()}")
        times = [dimension.id for dimension in self.dimensions if dimension.role == "time"]
        if times != [self.dimensions[-1].id]:
            raise ValueError("exactly one dimension must have role time, and it must be the last")
        for what in ("id", "column"):
            names = [getattr(dimension, what) for dimension in self.dimensions]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two dimensions share the {what} {twice[0]}")
        return self

    def dimension(self, name: str) -> Dimension:
        """Return the dimension with this publisher id, case-insensitively; UsageError naming those there are."""
        for dimension in self.dimensions:
            if dimension.id.casefold() == name.casefold():
                return dimension
        known = ", ".join(dimension.id for dimension in self.dimensions)
        raise UsageError(f"{self.id} has no dimension {name}; it has {known}")

    @property
    def time(self) -> Dimension:
        """The time dimension of a register."""
        return self.dimensions[-1]

    def has_ended(self, day: date) -> bool:
        """Tell whether its publisher has nothing more to tell on a day."""
        return self.ended is not None and day > self.ended

    @property
    def is_register(self) -> bool:
        """Tell whether the source is fetched from a register: no delivery, and not the project's own."""
        return self.connector not in ("delivery", "reference")

    @property
    def period_kind(self) -> str | None:
        """Return year, quarter, month or rolling_year: what one period of the source is."""
        return PERIOD_KINDS[self.jobindsats.period_kind] if self.jobindsats else self.frequency


def _jobindsats_dimensions(query: JobindsatsQuery) -> list[Dimension]:
    """Return the dimensions of a Jobindsats table as canonical rows have them: area, its own, the measure, time."""
    return [
        Dimension(
            id="OMRÅDE", text_da="område", text_en="area", column="area_code", role="area", select=["*"],
            levels=["country", "municipality"],
        ),
        *(
            Dimension(
                id=each.column.upper(), text_da=each.text_da, text_en=each.text_en, column=each.column,
                role="category", select=["*"], codelist=each.codelist, is_text=each.codelist is None,
                total=TOTAL if each.codelist else None,
            )
            for each in query.dimensions
        ),
        Dimension(
            id="MÅLING", text_da="måling", text_en="measure", column="measure_name", role="category", select=["*"],
            codes=[measure.id for measure in query.measures],
        ),
        Dimension(id="TID", text_da="tid", text_en="time", column="period", role="time", select=["*"]),
    ]  # fmt: skip


# Where in a YAML file a value stands, so that an error can name the line.


# The parser in C reads all source files in a tenth of a second instead of one.
if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeLoader as SafeLoader
else:
    from yaml import CSafeLoader as SafeLoader

Location = Sequence[int | str]


class YamlFile:
    """A parsed YAML mapping that still knows its lines."""

    def __init__(self, path: Path, shown_as: str = "", verb: str = "given"):
        """Read `path`; UsageError with the line when it is no YAML mapping, or a key «is {verb} twice».

        Errors name it as `shown_as`, or by its path in the repository.
        """
        self.shown_as = shown_as = shown_as or _shown(path)
        try:
            text = path.read_text(encoding="utf-8")
            self._root = yaml.compose(text, Loader=SafeLoader)
        except UnicodeDecodeError:
            raise UsageError(f"{shown_as}:1: is no UTF-8 text; save it as UTF-8") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "cannot be read as YAML"
            raise UsageError(f"{shown_as}:{mark.line + 1 if mark else 1}: {problem}") from None
        if not isinstance(self._root, yaml.MappingNode):
            raise UsageError(f"{shown_as}:1: expected `key: value` lines at the top")
        _refuse_double_keys(self._root, shown_as, verb)
        self.data = yaml.load(text, Loader=SafeLoader)

    def error(self, location: Location, message: str) -> UsageError:
        """Return the error to raise for the value at `location`, with file and line."""
        return UsageError(f"{self.shown_as}:{self.line(location)}: {message}")

    def line(self, location: Location) -> int:
        """Return the line of the value at `location`, or of its nearest parent that exists."""
        node: yaml.Node | None = self._root
        line = 1
        for part in location:
            if isinstance(node, yaml.MappingNode):
                entry = next((pair for pair in node.value if pair[0].value == part), None)
                if entry is None:
                    break
                line, node = entry[0].start_mark.line + 1, entry[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line


def _refuse_double_keys(node: yaml.Node, shown_as: str, verb: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_double_keys(item, shown_as, verb)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise UsageError(f"{shown_as}:{key.start_mark.line + 1}: `{key.value}` is {verb} twice; keep one")
            seen.add(key.value)
            _refuse_double_keys(value, shown_as, verb)


ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "flows" / "sources"
DICTIONARY = Path(__file__).parent / "dictionary.yml"
_PERIOD = f"({'|'.join(PERIOD_FORMS.values())})"
_TIME_PATTERN = re.compile(
    rf"^(\*|\*K[1-4]|\*M\d\d|\d{{1,3}}\*\w*|{_PERIOD}|\(\d+\)|\(-n\+\d+\)|(>={_PERIOD})?(<={_PERIOD})?)$"
)


@dataclass(frozen=True)
class Catalogue:
    """All sources by id, with the codes of their dimensions."""

    sources: dict[str, Source]
    codelists: Mapping[str, list[Code]] = field(repr=False)
    new_codes: Mapping[tuple[str, str], Sequence[Code]] = field(default_factory=dict)
    """Source and dimension id -> codes that an extract holds and no code list has; see `with_new_codes`."""
    spellings: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Source and dimension id -> our code -> other codes for it; see `with_spellings`."""

    def source(self, source_id: str) -> Source:
        """Return one source; UsageError listing the known ids when there is none."""
        if source_id not in self.sources:
            raise UsageError(f"no source {source_id}; known: {', '.join(sorted(self.sources))}")
        return self.sources[source_id]

    def by_table(self, table: str) -> Source | None:
        """Return the source of a StatBank table, whatever the case it is written in, or None."""
        wanted = table.casefold()
        return next((s for s in self.sources.values() if s.table and s.table.casefold() == wanted), None)

    def codes(self, source: Source, dimension: Dimension | str) -> list[Code]:
        """Return all codes the dimension (or that of an id) can hold, in the publisher's order; none for the time.

        For an area dimension: the areas of its levels (StatBank's hierarchical order), then its extra codes.
        A dimension that may be left out of the request has our code `_ALL` for its total in front.
        """
        found = source.dimension(dimension) if isinstance(dimension, str) else dimension
        if found.role == "area":
            wanted = areas_at(found.levels) + [areas()[code] for code in found.extra_codes]
            return [Code(area.code, area.name_da, area.name_en) for area in wanted]
        codes = self.codelists[found.codelist] if found.codelist else [Code(c, c, c) for c in found.codes]
        own_total = found.total == LEFT_OUT or (found.total == TOTAL and source.jobindsats is not None)
        return [total_code(found.total or TOTAL, codes), *codes] if own_total else codes

    def readable(self, source: Source, dimension: Dimension) -> list[Code]:
        """Return every code that may stand in an extract: those of the table, residual areas, and new ones.

        Jobindsats has names instead of codes, of any level.
        """
        codes = self.codes(source, dimension)
        if dimension.role == "area":
            known = {code.code for code in codes}
            others = areas_at(RESIDUAL) if source.jobindsats is None else areas().values()
            residual = [area for area in others if area.code not in known]
            codes = codes + [Code(area.code, area.name_da, area.name_en) for area in residual]
        other = self.spellings.get((source.id, dimension.id), {})
        codes = [replace(code, spelt=other[code.code]) if code.code in other else code for code in codes]
        return [*codes, *self.new_codes.get((source.id, dimension.id), ())]

    def with_spellings(self, source: Source, spellings: Mapping[str, Mapping[str, str]]) -> Catalogue:
        """Return the catalogue with codes that one extract spells in another way (dimension id -> its code -> ours)."""
        added: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
        for name, codes in spellings.items():
            for theirs, ours in codes.items():
                known = added.setdefault((source.id, source.dimension(name).id), {})
                known[ours] = (*known.get(ours, ()), theirs)
        return replace(self, spellings={**self.spellings, **added}) if added else self

    def with_new_codes(self, source: Source, new_codes: Mapping[str, Sequence[Code]]) -> Catalogue:
        """Return the catalogue with codes (dimension id -> codes) that one extract holds and no code list has."""
        added = {(source.id, source.dimension(name).id): codes for name, codes in new_codes.items() if codes}
        return replace(self, new_codes={**self.new_codes, **added}) if added else self

    def selected(self, source: Source, dimension: Dimension) -> list[str]:
        """Return the codes the source asks for, patterns such as `*` and `1*` expanded, in the publisher's order.

        The time dimension is the publisher's to expand and gives an empty list.
        """
        if dimension.role == "time":
            return []
        if dimension.is_left_out:
            return [LEFT_OUT]
        patterns = [_as_regex(pattern) for pattern in dimension.select]
        codes = [code.code for code in self.codes(source, dimension) if code.code != LEFT_OUT]
        return [code for code in codes if any(pattern.fullmatch(code) for pattern in patterns)]

    def list_of(self, dimension: Dimension) -> str:
        """Return the file a code of the dimension is to be added to, in words."""
        if dimension.role == "area":
            return "transforms/reference/areas.csv"
        return f"{dimension.codelist} in transforms/reference/codelists.csv"


def load_catalogue(
    directory: Path = SOURCES, *, codelists: Path = CODELISTS, dictionary: Path = DICTIONARY
) -> Catalogue:
    """Read every `*.yml` of `directory` into a Catalogue.

    Raises UsageError «flows/sources/x.yml:12: …» for an unknown key, a missing one (licence, owner, …), a selector
    that is not pinned to one code, an unknown code list or code, and a column the dictionary does not describe.
    Files that are as they were the last time are not checked again: that is a third of a second.
    """
    files = sorted(directory.glob("*.yml"))
    contents = tuple(path.read_bytes() for path in (*files, codelists, dictionary) if path.exists())
    known = _checked_catalogue(tuple(files), codelists, dictionary, contents)
    return replace(known, sources=dict(known.sources))


@lru_cache(maxsize=4)
def _checked_catalogue(
    files: tuple[Path, ...], codelists: Path, dictionary: Path, contents: tuple[bytes, ...]
) -> Catalogue:
    """Return the catalogue of these files; `contents` only tell whether it is known already."""
    catalogue = Catalogue({}, load_codelists(codelists))
    columns = _described_columns(dictionary)
    for path in files:
        file = YamlFile(path)
        source = _parse(file)
        if source.id != path.stem:
            raise file.error(["id"], f"the id is {source.id}, but the file is named {path.name}")
        _check(file, catalogue, source, columns)
        catalogue.sources[source.id] = source
    return catalogue


def _parse(file: YamlFile) -> Source:
    try:
        return Source.model_validate(file.data)
    except ValidationError as error:
        # A misspelt key is missing as well; the line to correct is where it stands.
        fault = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in fault["loc"])
        message = {
            "extra_forbidden": f"unknown key `{place}`; remove it or correct its spelling",
            "missing": f"`{place}` is missing; every source must state it",
            "string_type": f"`{place}` must be text; put it in quotes (codes keep their zeros)",
        }.get(fault["type"], f"{place}: {fault['msg']}".removeprefix(": ").replace("Value error, ", ""))
        raise file.error(fault["loc"], message) from None


def _check(file: YamlFile, catalogue: Catalogue, source: Source, columns: set[str] | None) -> None:
    if source.delivery is not None:
        _check_delivery(source.delivery, file)
    for number, dimension in enumerate(source.dimensions):
        place: list[int | str] = ["dimensions", number]
        if source.jobindsats is not None:
            place = ["jobindsats", "dimensions", max(0, min(number - 1, len(source.jobindsats.dimensions) - 1))]
        if dimension.codelist and dimension.codelist not in catalogue.codelists:
            raise file.error([*place, "codelist"], f"unknown code list {dimension.codelist}; add it to codelists.csv")
        unknown = [code for code in dimension.extra_codes if code not in areas()]
        if unknown:
            raise file.error([*place, "extra_codes"], f"unknown area code {unknown[0]}; add it to areas.csv")
        if columns is not None and dimension.column not in columns:
            raise file.error(
                [*place, "column"], f"column {dimension.column} is not described in transforms/dictionary.yml"
            )
        _check_select(file, place, catalogue, source, dimension)


def _check_delivery(contract: Contract, file: YamlFile) -> None:
    """Refuse what pydantic cannot see: two fields of one heading, two codes of one text, unknown names."""
    names = {field.name for field in contract.fields}
    for unknown in {contract.period_field, *(rule.field for rule in contract.rules)} - names:
        raise file.error(["delivery", "fields"], f"no field {unknown}")
    for unknown in set(contract.key) - set(contract.columns):
        raise file.error(["delivery", "key"], f"no column {unknown}")
    headings: dict[str, str] = {}
    for number, each in enumerate(contract.fields):
        where: list[int | str] = ["delivery", "fields", number]
        for spelling in each.spellings:
            if headings.setdefault(spelling, each.name) != each.name:
                raise file.error(where, f"heading {spelling!r} belongs to {headings[spelling]} and {each.name}")
        if (each.type == "enum") != bool(each.values):
            raise file.error(where, f"{each.name}: `values` are needed for enum, and only there")
        texts: dict[str, str] = {}
        for value in each.values:
            for text in (value.code, value.text_da, value.text_en, *value.variants):
                if texts.setdefault(fold_spelling(text), value.code) != value.code:
                    raise file.error(where, f"{text!r} stands for {texts[fold_spelling(text)]} and {value.code}")


def _check_select(
    file: YamlFile, place: list[int | str], catalogue: Catalogue, source: Source, dimension: Dimension
) -> None:
    if dimension.role == "time":
        wrong = [pattern for pattern in dimension.select if not _TIME_PATTERN.match(pattern) or not pattern]
        if wrong:
            raise file.error(
                [*place, "select"], f"{wrong[0]} is no period or period pattern (2016, *K1, (-n+5), >=2012)"
            )
        return
    if dimension.is_text:
        return
    codes = {code.code for code in catalogue.codes(source, dimension)}
    for pattern in dimension.select:
        if not any(_as_regex(pattern).fullmatch(code) for code in codes):
            raise file.error([*place, "select"], f"{dimension.id} has no code {pattern}")
    unknown = [code for known in dimension.also.values() for code in known.values() if code not in codes]
    if unknown:
        raise file.error([*place, "also"], f"{dimension.id} has no code {unknown[0]}")
    if dimension.total is not None and dimension.total not in codes:
        raise file.error([*place, "total"], f"{dimension.id} has no code {dimension.total}")


def _as_regex(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))


def _described_columns(dictionary: Path) -> set[str] | None:
    return set(YamlFile(dictionary).data.get("columns") or {}) if dictionary.exists() else None


def _shown(path: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT) if resolved.is_relative_to(ROOT) else path)

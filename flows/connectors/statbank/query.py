"""StatBank's own words: the description of one table, typed, and what is to be asked of it.

One module, since every difference between a source file and a description is judged on both, in one sentence.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flows.connectors.http import AnsweredError, GivenUpError, Patience, read_body
from transforms.areas import area_code, areas, comparable
from transforms.catalogue import LEFT_OUT
from transforms.errors import DataRefused
from transforms.periods import COPENHAGEN, PERIOD_FORMS, utc_text

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Code, Dimension, Source


Language = Literal["da", "en"]
LANGUAGES: tuple[Language, ...] = ("da", "en")
Label = Annotated[str, Field(min_length=1)]
Text = Annotated[str, BeforeValidator(lambda text: text or "")]
"""What stands beside a code or table: a translation may be lacking."""


class _Answer(BaseModel):
    """Unknown keys are let through: the publisher may add some. The keys named below must be there."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Value(_Answer):
    """One code of a variable, with its text in the language asked for."""

    id: Label
    text: Text = ""


class Variable(_Answer):
    """One variable of a table. `elimination`: it may be left out of a non-streaming answer."""

    id: Label
    text: Text = ""
    elimination: bool
    time: bool
    map: str | None = None
    values: tuple[Value, ...] = Field(min_length=1)

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes in the publisher's order."""
        return tuple(value.id for value in self.values)


class TableInfo(_Answer):
    """The description of one table. `updated` is Danish local time without a zone, as published."""

    id: Label
    text: Text = ""
    unit: str
    suppressed_data_value: str = Field("0", alias="suppressedDataValue")
    updated: datetime
    active: bool = True
    variables: tuple[Variable, ...] = Field(min_length=1)
    renamed: Mapping[str, str] = {}
    """Our id of a dimension -> the publisher's, where `also` of the source file says that it is the same."""

    def variable(self, code: str) -> Variable | None:
        """Return the variable of this id, whatever its case (the data headers write `Tid` as `TID`)."""
        return next((v for v in self.variables if v.id.upper() == code.upper()), None)

    def texts(self, code: str) -> dict[str, str]:
        """Return the texts of a variable's codes; none when the table has no such variable."""
        variable = self.variable(code)
        return {value.id: value.text for value in variable.values} if variable is not None else {}

    @property
    def periods(self) -> tuple[str, ...]:
        """Return the periods of the table, oldest first."""
        return next(variable.codes for variable in self.variables if variable.time)

    @property
    def published_at(self) -> str:
        """Return `updated` as UTC in ISO 8601."""
        return utc_text(self.updated.replace(tzinfo=COPENHAGEN))


MAY_HAVE_ENDED = "check the table id, or write the day it ended as `ended:` in its source file"


def tableinfo_bytes(
    client: httpx.Client, table: str, lang: Language, *, patience: Patience | None = None, cure: str = MAY_HAVE_ENDED
) -> bytes:
    """Return the description of `table` as received, to be kept beside the data.

    Raises DataRefused with StatBank's own words when there is none, and `cure`: what to do then.
    """
    # In a POST body the name is `table`; `id` is not understood (seen in a log of live calls, October 2025).
    body = {"table": table, "lang": lang, "format": "JSON"}
    try:
        return read_body(client, client.build_request("POST", "tableinfo", json=body), patience=patience)
    except AnsweredError as error:
        raise DataRefused(f"StatBank {table}: {own_words(error)}; {cure}") from None


def parse_tableinfo(raw: bytes, source: Source | None = None) -> TableInfo:
    """Return the description of a table from an answer's bytes; DataRefused when it is not one.

    Dimensions that `source` knows by another id as well have its own.
    """
    try:
        info = TableInfo.model_validate_json(_text(raw))
    except ValidationError as error:
        of = f" of {source.table}" if source else ""
        raise DataRefused(f"StatBank tableinfo{of}: {_first(error)}; the API may have changed") from None
    if source is not None and source.table is not None and info.id.upper() != source.table.upper():
        raise DataRefused(f"StatBank {source.table}: the description is that of {info.id}; ask Statistics Denmark")
    theirs = {variable.id for variable in info.variables}
    renamed = {
        dimension.id: name
        for dimension in (source.dimensions if source else ())
        for name in dimension.also
        if name in theirs and dimension.id not in theirs
    }
    ours = {name: own for own, name in renamed.items()}
    named = [v.model_copy(update={"id": ours.get(v.id, v.id)}) for v in info.variables]
    times = sum(variable.time for variable in named)
    if times != 1:
        raise DataRefused(f"StatBank {info.id}: {times} time variables, expected one; not understood")
    return info.model_copy(update={"variables": tuple(map(_ascending, named)), "renamed": renamed})


def _ascending(variable: Variable) -> Variable:
    """Return the variable; the periods of time ascend, whatever order the table lists them in."""
    values = sorted(variable.values, key=lambda value: value.id) if variable.time else variable.values
    return variable.model_copy(update={"values": tuple(values)})


def own_words(error: AnsweredError) -> str:
    """Return `message (errorTypeCode)` as StatBank wrote it, or what came instead."""
    message = error.said.get("message")
    if not isinstance(message, str):
        return f"answered {error.status}: {' '.join(error.body.split())[:200] or 'an empty body'}"
    return f"{' '.join(message.split()).rstrip('.')} ({error.said.get('errorTypeCode') or error.status})"


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GivenUpError(f"StatBank: byte {error.start} of the answer is not UTF-8; try later") from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the answer"
    return f"{place}: {first['msg']}"


# StatBank's language of values: ids, wildcards and time expressions, worked out on a list of codes.


_LATEST = re.compile(r"\(\s*(\d+)\s*\)")
_LAST_N = re.compile(r"\(\s*-n\s*\+\s*(\d+)\s*\)", re.IGNORECASE)
_RANGE = re.compile(r"(?:>=(?P<low>[^<>=]+))?(?:<=(?P<high>[^<>=]+))?")


def matching(codes: Sequence[str], expression: str, *, time: bool) -> list[str]:
    """Return the codes that one expression selects, in the order of `codes`; empty when there are none.

    Ids, `*`, wildcards (`1*`, `*K1`, `202*K1`); for the time variable also `(1)` the latest, `(2)` the one
    before, `(-n+5)` the last five, `>=2015K1`, `<=2024K2`, `>=2023K1<=2024K2`. `codes` of time ascend.
    """
    wanted = expression.strip()
    if wanted in codes:
        return [wanted]
    if time and (found := _by_time(codes, wanted)) is not None:
        return found
    if "*" not in wanted:
        return [code for code in codes if code.casefold() == wanted.casefold()]
    pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("*")), re.IGNORECASE)
    return [code for code in codes if pattern.fullmatch(code)]


def _by_time(codes: Sequence[str], wanted: str) -> list[str] | None:
    """Return what a time expression selects, None when `wanted` is no time expression."""
    if latest := _LATEST.fullmatch(wanted):
        place = int(latest[1])
        return [codes[-place]] if 1 <= place <= len(codes) else []
    if last := _LAST_N.fullmatch(wanted):
        count = int(last[1])
        return list(codes[-count:]) if count else []
    bounds = _RANGE.fullmatch(wanted)
    if bounds is None or not wanted:
        return None
    low, high = bounds["low"], bounds["high"]
    # Periods of one table have one form (2015, 2015K1, 2015M01), so their order is that of the text.
    return [code for code in codes if (not low or code >= low) and (not high or code <= high)]


# From a source file and the table's own description to one exact query: the rectangle is known beforehand.


LANGUAGE = "en"  # English answers write decimals with a point; the codes are the same in both languages
PRESENTATION = "Code"
CELL_LIMIT = 1_000_000
MOST_TOLD = 5
"""New codes of a dimension that are told one by one."""


@dataclass(frozen=True)
class Selected:
    """The codes asked for of one variable, in the publisher's order; `whole` when they are all of them."""

    code: str
    values: tuple[str, ...]
    whole: bool


@dataclass(frozen=True)
class Query:
    """One rectangle of one table: every combination of the selected codes.

    `left_out` variables are not asked for: the publisher sums over them, and the answer has no column for them.
    `renamed`: our id -> the publisher's, in the request and in the answer's header.
    """

    table: str
    variables: tuple[Selected, ...]
    left_out: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_format(self) -> Literal["BULK", "CSV"]:
        """Return BULK, which has no cell limit, or CSV where a variable is left out (BULK wants them all)."""
        return "CSV" if self.left_out else "BULK"

    @property
    def cells(self) -> int:
        """Return how many cells the rectangle has; an answer has at most so many rows."""
        return math.prod(len(variable.values) for variable in self.variables)

    @property
    def over_limit(self) -> bool:
        """Tell whether StatBank would refuse the query; it counts every column of every row as a cell.

        Two logged refusals show it: 85,210,650 = 105·3·127·5·71 rows × 6 columns, 4,800,600 = 105·3·127·5·4 × 6.
        """
        return self.file_format != "BULK" and self.cells * (len(self.variables) + 1) > CELL_LIMIT

    @property
    def header(self) -> tuple[str, ...]:
        """Return the columns an answer must have, in order: ids in upper case, INDHOLD last."""
        return (*(self.renamed.get(variable.code, variable.code).upper() for variable in self.variables), "INDHOLD")

    def halves(self) -> tuple[Query, Query] | None:
        """Return the query cut in two by period; None when it has one period only."""
        periods = self.variables[-1].values
        middle = len(periods) // 2
        return (self.of_periods(periods[:middle]), self.of_periods(periods[middle:])) if middle else None

    def of_periods(self, periods: tuple[str, ...]) -> Query:
        """Return the query cut down to some of its periods."""
        time = replace(self.variables[-1], values=periods, whole=False)
        return replace(self, variables=(*self.variables[:-1], time))

    @property
    def _form(self) -> dict[str, Any]:
        return {"table": self.table, "format": self.file_format, "lang": LANGUAGE, "valuePresentation": PRESENTATION}

    def body(self) -> dict[str, Any]:
        """Return the JSON of the request. No timeOrder: streaming formats refuse it."""
        return {
            **self._form,
            "delimiter": "Semicolon",
            "variables": [
                {"code": self.renamed.get(v.code, v.code), "values": ["*"] if v.whole else list(v.values)}
                for v in self.variables
            ],
        }

    def record(self) -> dict[str, Any]:
        """Return what the manifest keeps: `rectangle` has every code written out, so that zero cells stay known."""
        rectangle = {variable.code.upper(): list(variable.values) for variable in self.variables}
        return {
            **self._form,
            "rectangle": rectangle,
            "left_out": list(self.left_out),
            **({"renamed": dict(self.renamed)} if self.renamed else {}),
        }


@dataclass(frozen=True)
class Plan:
    """What is asked of one table, and what its description shows that the source file or the code lists do not know.

    `spellings`: dimension id -> the publisher's code -> ours, for totals told by their text. `notes`: what is new and
    does no harm, each with its cure.
    """

    query: Query
    spellings: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return what the manifest keeps of the question."""
        spelt = {name: dict(codes) for name, codes in self.spellings.items()}
        return {**self.query.record(), **({"spellings": spelt} if spelt else {})}


def make_plan(
    source: Source,
    tableinfo: TableInfo,
    catalogue: Catalogue | None,
    danish: TableInfo | None = None,
    before: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """Return what to ask for, with the select expressions of `source` worked out against `tableinfo`.

    `before` gives the codes of the last extract (id in upper case -> codes). A dimension that is new and may be left
    out is left out; a new code that changes no figure of the others is asked for and told. Raises DataRefused, naming
    the source file and the line to add, for everything that no build could read or would read wrongly: other
    dimensions, a code that a select, a total or the last extract names and the table has no more, a new part of a
    whole that has no total, a selector that is not one code, and BULK of a table that leaves out other cells than 0.
    """
    place = f"flows/sources/{source.id}.yml"
    notes: list[str] = []
    added = _check_variables(place, source, tableinfo)
    chosen: list[Selected] = []
    left_out = list(added)
    spellings: dict[str, dict[str, str]] = {}
    notes += [f"{place}: dimension {name} is new in {tableinfo.id} and stands at its total; add it" for name in added]
    for dimension in source.dimensions:
        variable = tableinfo.variable(dimension.id)
        assert variable is not None, "checked above"
        if dimension.is_left_out:
            if not variable.elimination:
                raise DataRefused(
                    f"{place}: dimension {dimension.id}: {tableinfo.id} does not let it be left out; select its codes"
                )
            left_out.append(variable.id)
            continue
        texts = tableinfo.texts(variable.id) | (danish.texts(variable.id) if danish is not None else {})
        other = dimension.also.get(tableinfo.renamed.get(dimension.id, ""), {})
        spelt = {code: ours for code, ours in other.items() if code in variable.codes}
        total = None
        if dimension.total not in spelt.values():
            total = _total_told_by_text(place, dimension, variable, texts)
        if total is not None:
            spelt[total] = dimension.total or ""
            notes.append(
                f"{place}: the total of {dimension.id} is {total} «{texts[total]}» in {tableinfo.id}, "
                f"not {dimension.total}; correct `total:` and its code in {dimension.codelist}"
            )
        if spelt:
            spellings[dimension.id] = spelt
        chosen.append(_select(place, dimension, variable, tableinfo, spelt))
        held = (before or {}).get(dimension.id.upper(), ())
        if dimension.role == "time":
            _check_periods(place, source, chosen[-1])
            if withdrawn := [code for code in held if code not in variable.codes]:
                notes.append(f"{place}: {tableinfo.id} has withdrawn {listed(withdrawn)}, which the last extract holds")
        if catalogue is not None and dimension.role != "time":
            known = {code.code for code in catalogue.readable(source, dimension)} | spelt.keys()
            new = {v.id: _both(texts[v.id], v.text) for v in variable.values if v.id not in known}
            there = {*variable.codes, *spelt.values()}
            gone = [code for code in catalogue.selected(source, dimension) if code not in there]
            if dimension.id not in tableinfo.renamed:
                _check_withdrawn(place, dimension, tableinfo, [code for code in gone if code in held])
            notes += _new_codes(place, catalogue, dimension, chosen[-1], new)
            if gone:
                notes.append(f"{place}: {tableinfo.id} has no {listed(gone)} of {dimension.id}")
    query = Query(tableinfo.id, tuple(chosen), tuple(left_out), tableinfo.renamed)
    if query.file_format == "BULK" and not re.fullmatch(r"0+([.,]0*)?", tableinfo.suppressed_data_value.strip()):
        raise DataRefused(
            f"{place}: BULK answers of {tableinfo.id} leave out the cells that are "
            f"{tableinfo.suppressed_data_value!r}, not those that are 0, so what an absent cell means is not known "
            f"here; select `{LEFT_OUT}` in a dimension that may be left out, so that CSV is asked for"
        )
    return Plan(query, spellings, tuple(notes))


def texts_changed_since(source: Source, before: TableInfo, now: TableInfo, query: Query) -> list[str]:
    """Return a line per dimension whose codes asked for have other texts than when the last extract came, and the unit.

    A code under another text may stand for something else than the figures before.
    """
    told = []
    if comparable(before.unit, keep="") != comparable(now.unit, keep=""):
        told.append(
            f"flows/sources/{source.id}.yml: the unit is «{now.unit}», before «{before.unit}»; see that the figures "
            "stand for the same, and correct `unit:`"
        )
    for chosen in query.variables[:-1]:  # the last one is the time
        old, new = before.texts(chosen.code), now.texts(chosen.code)
        other = [
            f'{code} "{new[code]}", before "{old[code]}"'
            for code in chosen.values
            if code in old and code in new and comparable(old[code], keep="") != comparable(new[code], keep="")
        ]
        if other:
            told.append(
                f"flows/sources/{source.id}.yml: codes of {chosen.code} have other texts than in the last extract: "
                f"{listed(other, 3)}; see that they stand for the same"
            )
    return told


def _check_periods(place: str, source: Source, chosen: Selected) -> None:
    """Refuse periods of another kind than the source's: no build could read them."""
    form = PERIOD_FORMS.get(source.frequency or "", r".+")
    strange = [code for code in chosen.values if not re.fullmatch(form, code)]
    if strange:
        raise DataRefused(
            f"{place}: dimension {chosen.code}: {listed(strange)} is no {source.frequency}; "
            f"correct `frequency` or the select"
        )


_TOTAL_TEXT = re.compile(r"(.+[\s,])?i alt|(.+[\s,])?total|total[\s,].+|hele landet|all denmark|whole country")


def _total_told_by_text(place: str, dimension: Dimension, variable: Variable, texts: Mapping[str, str]) -> str | None:
    """Return the publisher's code of a total that our file spells otherwise, None when ours is there or there is none.

    `0`, `00`, `000`, `TOT` and `IALT` are spelt per table; the text («I alt», «Total») says which it is. Raises
    DataRefused when that cannot be told, and when our code stands for something else now.
    """
    if dimension.total is None or dimension.total == LEFT_OUT:
        return None
    alike = {value.id: value.text for value in variable.values if _TOTAL_TEXT.fullmatch(value.text.casefold())}
    alike |= {code: text for code, text in texts.items() if _TOTAL_TEXT.fullmatch(text.casefold())}
    exact = [code for code, text in alike.items() if text.casefold() in ("i alt", "total")]
    found = exact if len(exact) == 1 else list(alike)
    if dimension.total in variable.codes:
        if exact and dimension.total not in alike:
            raise DataRefused(
                f"{place}: dimension {dimension.id}: {dimension.total} is «{texts[dimension.total]}» and the total is "
                f"{exact[0]} «{alike[exact[0]]}»; correct `total:` and {dimension.codelist} in codelists.csv"
            )
        return None
    if len(found) != 1:
        known = listed(f"{code} «{text}»" for code, text in alike.items()) or near(dimension.total, variable)
        raise DataRefused(
            f"{place}: dimension {dimension.id}: the total {dimension.total} is not in the table, and which code is "
            f"the total cannot be told: {known}; correct `total:`"
        )
    return found[0]


def _check_withdrawn(place: str, dimension: Dimension, tableinfo: TableInfo, gone: Sequence[str]) -> None:
    """Refuse a table that has lost a code the last extract held: its figures would go missing without a word.

    A region or a residual area may go: municipalities keep their codes when regions are merged.
    """
    if dimension.role == "area":
        gone = [code for code in gone if areas()[code].level == "municipality"]
    if gone:
        raise DataRefused(
            f"{place}: dimension {dimension.id}: {tableinfo.id} of {tableinfo.updated:%Y-%m-%d} has no code "
            f"{listed(gone)} any more, which the last extract holds; ask Statistics Denmark, or take it out of "
            f"{'areas.csv' if dimension.role == 'area' else f'{dimension.codelist} in codelists.csv'}"
        )


def _both(danish: str, english: str) -> str:
    """Return a code's text in quotes, and the English one where it is another."""
    return f'"{danish}"' + (f' ("{english}")' if english != danish else "")


def _new_codes(
    place: str, catalogue: Catalogue, dimension: Dimension, chosen: Selected, new: Mapping[str, str]
) -> list[str]:
    """Return a line per new code that is read as it is; DataRefused for a new part of a whole without a total."""
    told = [
        f"code {code} {text} of {dimension.id} is new: add it to {catalogue.list_of(dimension)}"
        for code, text in new.items()
    ]
    if told and dimension.complete:
        raise DataRefused(
            f"{place}: {'; '.join(told[:3])}; the codes of {dimension.id} are added up, and without it the sum is short"
        )
    kept = [f"{place}: {line}" for line, code in zip(told, new, strict=True) if code in chosen.values]
    more = [f"{place}: and {len(kept) - MOST_TOLD} more codes of {dimension.id} are new"] if kept[MOST_TOLD:] else []
    return kept[:MOST_TOLD] + more


def changed_texts(source: Source, danish: TableInfo, catalogue: Catalogue) -> list[str]:
    """Return a line per dimension whose codes asked for have other texts than the code list's.

    The texts are those of somebody who knew the code; under another text it may stand for something else.
    """
    told = []
    for dimension in source.dimensions:
        theirs = danish.texts(dimension.id)
        asked = set(catalogue.selected(source, dimension))
        other = [
            f'{code.code} "{theirs[code.code]}" here and "{code.text_da}" in the list'
            for code in catalogue.codes(source, dimension)
            if code.code in asked and code.code in theirs and not _same_text(theirs[code.code], code)
            if dimension.role != "area" or area_code(theirs[code.code]) != code.code
        ]
        if other:
            first = "; ".join(other[:3]) + (f"; and {len(other) - 3} more" if len(other) > 3 else "")
            told.append(
                f"codes of {dimension.id} have other texts than {catalogue.list_of(dimension)}: {first}; see that "
                "they stand for the same, and correct the list"
            )
    return told


def _same_text(text: str, code: Code) -> bool:
    """Tell whether the publisher's text is the code list's: case, signs and the code in front do not matter."""
    names = (code.text_da, code.text_da.removeprefix(f"{code.code} "), f"{code.code} {code.text_da}")
    both_total = all(_TOTAL_TEXT.fullmatch(each.casefold()) for each in (text, code.text_da))
    return both_total or comparable(text, keep="") in (comparable(name, keep="") for name in names)


def near(wanted: str, variable: Variable, count: int = 3) -> str:
    """Return the codes of `variable` most like `wanted`, by code or by text, as `code text, …` for a message."""
    texts = {value.text.casefold(): value for value in variable.values}
    codes = {value.id.casefold(): value for value in variable.values}
    asked = wanted.casefold()
    hits = [codes[c] for c in difflib.get_close_matches(asked, codes, count, 0.5)]
    hits += [texts[t] for t in difflib.get_close_matches(asked, texts, count, 0.5)]
    shown = list(dict.fromkeys(hits))[:count] or list(variable.values[:count])
    return ", ".join(f"{value.id} {value.text}" for value in shown)


def _check_variables(place: str, source: Source, tableinfo: TableInfo) -> list[str]:
    """Return the ids of new variables that may be left out; DataRefused for every other difference."""
    ours = {dimension.id.upper() for dimension in source.dimensions}
    theirs = [variable.id.upper() for variable in tableinfo.variables]
    gone = [dimension.id.upper() for dimension in source.dimensions if dimension.id.upper() not in theirs]
    new = [variable for variable in tableinfo.variables if variable.id.upper() not in ours]
    in_the_way = [variable for variable in new if not variable.elimination]
    if gone or in_the_way:
        told = [
            *(f"{code} is not in the table" for code in gone),
            *(f"{variable.id.upper()} is missing here" for variable in (new if gone else in_the_way)),
        ]
        cure = "correct the source file"
        if len(gone) == len(new) == 1:
            cure += (
                f", or where {new[0].id} is what {gone[0]} was, add `also: {{{new[0].id}: {{}}}}` to that dimension, "
                "with every code that is spelt otherwise in the inner braces (`theirs: ours`)"
            )
        raise DataRefused(
            f"{place}: dimensions: {'; '.join(told)}; {tableinfo.id} of {tableinfo.updated:%Y-%m-%d} has "
            f"{listed(variable.id for variable in tableinfo.variables)}; {cure}"
        )
    return [variable.id for variable in new]


def _select(
    place: str, dimension: Dimension, variable: Variable, tableinfo: TableInfo, spelt: Mapping[str, str]
) -> Selected:
    """Return the codes asked for; under another id of the dimension, parts beside its total may be lacking."""
    theirs = {ours: code for code, ours in spelt.items()}
    found = {
        asked: matching(variable.codes, theirs.get(asked, asked), time=variable.time) for asked in dimension.select
    }
    gone = [theirs.get(asked, asked) for asked, codes in found.items() if not codes]
    has_total = dimension.total is not None and bool(found.get(dimension.total))
    if gone and not (dimension.id in tableinfo.renamed and has_total):
        there = f"finds no code in {tableinfo.id} of {tableinfo.updated:%Y-%m-%d}"
        told = [f"select {asked!r} {there}; near it: {near(asked, variable)}" for asked in gone]
        raise DataRefused(f"{place}: dimension {dimension.id}: {'; '.join(told)}; correct the select")
    wanted = {code for codes in found.values() for code in codes}
    if dimension.role == "selector" and len(wanted) != 1:
        raise DataRefused(
            f"{place}: dimension {dimension.id}: a selector must select exactly one code, not {len(wanted)} "
            f"({listed(sorted(wanted))}); adding its codes up would be wrong; correct the select"
        )
    values = tuple(code for code in variable.codes if code in wanted)
    return Selected(variable.id, values, len(values) == len(variable.codes))


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names in one line, and how many more there are."""
    all_names = list(names)
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more

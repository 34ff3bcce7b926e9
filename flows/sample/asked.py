"""What the stand-in knows about its tables: StatBank's metadata answers, built from the catalogue."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from flows.connectors.statbank.query import Language, matching
from flows.sample.truth import in_file
from transforms.catalogue import LEFT_OUT
from transforms.periods import COPENHAGEN, utc_text

if TYPE_CHECKING:
    import pyarrow as pa

    from transforms.catalogue import Catalogue, Dimension, Source


SYNTHETIC: Mapping[Language, str] = {"da": "SYNTETISKE DATA / SYNTHETIC", "en": "SYNTHETIC DATA"}
STATBANK: dict[str, dict[str, Any]] = in_file("statbank.yml")
SUPPRESSED = "0"  # the cells BULK leaves out: those equal to tableinfo's suppressedDataValue


class CubeAnswers(Protocol):
    """What the stand-in asks of the sample world."""

    @property
    def vintage(self) -> date:
        """Return the day as of which the world is known: its today."""

    def answer(self, table: str, selection: Mapping[str, list[str]]) -> pa.Table:
        """Return one row per cell: a column of codes per dimension, and `value` as printed with a point."""

    def periods(self, table: str) -> list[str]:
        """Return the period codes of a table, ascending; none for a table the world does not have (yet)."""

    def updated(self, table: str) -> datetime:
        """Return when the table was last published, in Danish local time without a zone."""


@dataclass(frozen=True)
class ShownCode:
    """One code of a variable with its text in both languages."""

    id: str
    text: Mapping[Language, str]


@dataclass(frozen=True, eq=False)
class ShownVariable:
    """One variable as the API shows it. `total`: the code an eliminated variable stands at, None to sum."""

    id: str
    text: Mapping[Language, str]
    role: str
    elimination: bool
    total: str | None
    codes: tuple[ShownCode, ...]

    @property
    def time(self) -> bool:
        """Tell whether this is the time variable."""
        return self.role == "time"

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Return the codes alone, in the publisher's order."""
        return tuple(code.id for code in self.codes)


@dataclass(frozen=True)
class ShownTable:
    """One table as the API shows it; `updated` is Danish local time without a zone."""

    id: str
    title: Mapping[Language, str]
    unit: Mapping[Language, str]
    decimals: int
    updated: datetime
    url: str
    variables: tuple[ShownVariable, ...]
    active: bool = True

    def variable(self, code: str) -> ShownVariable | None:
        """Return a variable by id, whatever its case."""
        return next((v for v in self.variables if v.id.casefold() == code.casefold()), None)

    def description(self, lang: Language, names: list[str] | None = None) -> str:
        """Return «title by region, sex and time», as StatBank describes a table or an extract with these names."""
        names = names or [v.text[lang] for v in self.variables]
        by, last = ("efter", " og ") if lang == "da" else ("by", " and ")
        return f"{self.title[lang]} {by} {', '.join(names[:-1])}{last if names[:-1] else ''}{names[-1]}"


@dataclass(frozen=True)
class Changes:
    """What the publisher has done since the sources were written: played when switched on.

    `closed`: tables that get no more periods. `new_codes`: table -> variable -> codes nobody knows yet; their cells are
    zero, so that BULK, which leaves zeros out, has none of them.
    """

    closed: frozenset[str] = frozenset()
    new_codes: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def added(self, table: str, variable: str) -> tuple[str, ...]:
        """Return the new codes of a variable."""
        return self.new_codes.get(table, {}).get(variable, ())


class Tables:
    """All tables of the stand-in, each described when it is first asked for."""

    def __init__(self, catalogue: Catalogue, cubes: CubeAnswers, changes: Changes | None = None):
        self._catalogue = catalogue
        self.cubes = cubes
        self.changes = changes or Changes()
        self._described: dict[str, ShownTable] = {}

    def find(self, table: str) -> ShownTable | None:
        """Return a table by id, whatever its case; None when it has no periods, since a table has figures."""
        source = self._catalogue.by_table(table)
        if source is None or source.table is None or not self.cubes.periods(source.table):
            return None
        if source.table not in self._described:
            self._described[source.table] = self._describe(source)
        return self._described[source.table]

    def all(self) -> list[ShownTable]:
        """Return every table, by id."""
        ids = sorted(s.table for s in self._catalogue.sources.values() if s.table)
        return [table for table in map(self.find, ids) if table is not None]

    @property
    def now(self) -> datetime:
        """Return the end of the day the sample world is known at, in Danish local time."""
        return datetime.combine(self.cubes.vintage, time.max)

    def _describe(self, source: Source) -> ShownTable:
        assert source.table is not None, "the catalogue checks it"
        assert source.unit is not None, "the catalogue checks it"
        return ShownTable(
            id=source.table.upper(),
            title={"da": f"{source.title_da} ({SYNTHETIC['da']})", "en": f"{source.title_en} ({SYNTHETIC['en']})"},
            unit=STATBANK["units"][source.unit],
            decimals=source.decimals,
            updated=self.cubes.updated(source.table),
            url=source.url,
            variables=tuple(self._variable(source, dimension) for dimension in source.dimensions),
            active=source.table not in self.changes.closed,
        )

    def _variable(self, source: Source, dimension: Dimension) -> ShownVariable:
        if dimension.role == "time":
            assert source.table is not None, "checked by the catalogue"
            codes = [ShownCode(p, {"da": p, "en": p.replace("K", "Q")}) for p in self.cubes.periods(source.table)]
        else:
            known = self._catalogue.codes(source, dimension)
            # Our own code for a variable left out of the request is none of the publisher's.
            codes = [ShownCode(c.code, {"da": c.text_da, "en": c.text_en}) for c in known if c.code != LEFT_OUT]
            added = self.changes.added(source.table or "", dimension.id)
            codes += [ShownCode(code, {"da": f"Ny kode {code}", "en": f"New code {code}"}) for code in added]
        total = dimension.total
        if total is None and dimension.role == "area" and "country" in dimension.levels:
            total = "000"
        return ShownVariable(
            id="Tid" if dimension.role == "time" else dimension.id,
            text={"da": dimension.text_da, "en": dimension.text_en},
            role=dimension.role,
            # Two measures cannot be added, so a selector without a total code cannot be left out.
            elimination=dimension.elimination and not (dimension.role == "selector" and total is None),
            total=total,
            codes=tuple(codes),
        )


def summary(table: ShownTable, lang: Language) -> dict[str, Any]:
    """Return one entry of `/tables`."""
    periods = [code.text[lang] for code in table.variables[-1].codes]
    return {
        "id": table.id,
        "text": table.title[lang],
        "unit": table.unit[lang],
        "updated": table.updated.isoformat(timespec="seconds"),
        "firstPeriod": periods[0],
        "latestPeriod": periods[-1],
        "active": table.active,
        "variables": [variable.text[lang] for variable in table.variables],
    }


def description(table: ShownTable, lang: Language) -> dict[str, Any]:
    """Return the answer of `/tableinfo`."""
    return {
        "id": table.id,
        "text": table.title[lang],
        "description": table.description(lang),
        "unit": table.unit[lang],
        "suppressedDataValue": SUPPRESSED,
        "updated": table.updated.isoformat(timespec="seconds"),
        "active": table.active,
        "contacts": [{"name": SYNTHETIC[lang], "phone": "", "mail": ""}],
        "documentation": {"id": table.id.lower(), "url": table.url},
        "footnote": {"text": f"{SYNTHETIC[lang]}.", "mandatory": True},
        "variables": [_variable_entry(variable, lang) for variable in table.variables],
    }


def updated_utc(table: ShownTable) -> str:
    """Return `updated` as JSON-stat has it: UTC with a Z."""
    return utc_text(table.updated.replace(tzinfo=COPENHAGEN))


def _variable_entry(variable: ShownVariable, lang: Language) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": variable.id,
        "text": variable.text[lang],
        "elimination": variable.elimination,
        "time": variable.time,
    }
    if variable.role == "area":
        entry["map"] = "denmark_municipality_07"
    return entry | {"values": [{"id": code.id, "text": code.text[lang]} for code in variable.codes]}


# What a request says, taken from its address and body; what cannot be understood is refused as StatBank does it.


_OF_LISTS = ("subjects", "recursive", "includetables", "pastdays", "includeinactive")
_OMISSIONS = ("omitemptysubjects", "omitsubjectswithouttables", "omitinactivesubjects")
_OF_DATA = ("valuepresentation", "delimiter", "timeorder", "allowvariablesinhead", "allowcodeoverrideincolumnnames")
OPTIONS = frozenset({"table", "format", "lang", "variables", *_OF_LISTS, *_OMISSIONS, *_OF_DATA})


class ApiError(Exception):
    """An answer of 400 or 404: StatBank's errorTypeCode and its message in both languages, see `statbank.yml`."""

    def __init__(self, refusal: str, *, status: int = 400, **said: Any):
        told = STATBANK["refusals"][refusal]
        self.code = told["code"]
        self.status = status
        self.text: Mapping[Language, str] = {"da": told["da"].format(**said), "en": told["en"].format(**said)}
        super().__init__(self.text["da"])


def read_options(body: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of a GET (query string) or POST (JSON body), names in lower case; ApiError for no JSON.

    In a GET every name that is no option is a variable, with its values separated by commas.
    """
    options: dict[str, Any] = {}
    variables = []
    for name, value in query.items():
        if name.casefold() == "subjects":
            options["subjects"] = [subject for subject in value.split(",") if subject]
        elif name.casefold() in OPTIONS:
            options[name.casefold()] = value
        elif name.casefold() == "id":  # understood in an address, not in a body
            options["table"] = value
        else:
            variables.append({"code": name, "values": value.split(",")})
    if variables:
        options["variables"] = variables
    if body.strip():
        try:
            posted = json.loads(body)
        except (ValueError, RecursionError):
            posted = None
        if not isinstance(posted, dict):
            raise ApiError("not_understood")
        options.update({str(name).casefold(): value for name, value in posted.items()})
    return options


def language(options: Mapping[str, Any]) -> Language:
    """Return the language asked for; Danish is the default."""
    return "en" if str(options.get("lang", "da")).casefold() == "en" else "da"


def flag(options: Mapping[str, Any], name: str) -> bool:
    """Tell whether a switch is on; any text but `true` is off (`"yes"` was seen to be)."""
    return str(options.get(name)).casefold() == "true"


def texts(value: Any) -> list[str]:
    """Return a list of ids or codes as texts; one alone counts as a list of one, nothing as none."""
    if value is None or value == "":
        return []
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(entry, str | int | float) for entry in listed):
        raise ApiError("not_understood")
    return [str(entry) for entry in listed]


def whole_number(value: Any) -> int | None:
    """Return a number of days, None when none is given."""
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise ApiError("not_understood") from None


def asked_values(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return variable -> value expressions, in the order asked; head variables come after stub ones."""
    entries = options.get("variables")
    if entries is None:
        return {}
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ApiError("not_understood")
    entries = sorted(entries, key=lambda entry: str(entry.get("placement", "stub")).casefold() == "head")
    return {_name(entry): texts(entry.get("values")) for entry in entries}


def _name(entry: Mapping[str, Any]) -> str:
    name = entry.get("code", "")
    if not isinstance(name, str | int):
        raise ApiError("not_understood")
    return str(name).casefold()


# From a request to one exact extract, or to the error body StatBank would give: same code, same words.


CELL_LIMIT = 1_000_000
STREAMING = frozenset({"BULK"})
FORMATS = frozenset({"CSV", "BULK", "JSONSTAT", "XLSX"})
# Clients send `Semicolon`, which is also what comes without it; the others are by the publisher's page, no answer with
# them was seen. A name that is none is passed over.
DELIMITERS = {"semicolon": ";", "tab": "\t", "comma": ","}
Presentation = Literal["Default", "Code", "Value", "CodeAndValue", "ValueAndCode"]
PRESENTATIONS: dict[str, Presentation] = {name.casefold(): name for name in get_args(Presentation)}


@dataclass(frozen=True)
class Extract:
    """What is to be answered. `eliminated` variables get no column; `values` hold the codes of the others."""

    table: ShownTable
    file_format: str
    lang: Language
    presentation: Presentation
    variables: tuple[ShownVariable, ...]
    values: tuple[tuple[str, ...], ...]
    eliminated: tuple[ShownVariable, ...]
    delimiter: str = ";"


def find_table(tables: Tables, options: Mapping[str, Any]) -> ShownTable:
    """Return the table asked for; ApiError when none is named or there is no such table."""
    wanted = options.get("table")
    if not isinstance(wanted, str) or not wanted:
        raise ApiError("no_table_named")
    table = tables.find(wanted)
    if table is None:
        raise ApiError("no_table", table=wanted)
    return table


def read_extract(tables: Tables, options: Mapping[str, Any]) -> Extract:
    """Return the extract asked for; ApiError in the order in which StatBank was seen to check things."""
    asked = asked_values(options)
    file_format = str(options.get("format", "")).upper()
    if file_format not in FORMATS:
        raise ApiError("no_format")
    table = find_table(tables, options)
    streaming = file_format in STREAMING
    order = str(options.get("timeorder") or "")
    if streaming and order:
        raise ApiError("no_order_of_streams")
    if streaming:
        for variable in table.variables:
            if not asked.get(variable.id.casefold()):
                raise ApiError("values_needed", variable=variable.id)
    chosen = _chosen(table, asked)
    _check_limit(chosen, streaming)
    if file_format == "JSONSTAT":  # in the table's own order, whatever the order asked in
        chosen = {variable: chosen[variable] for variable in table.variables if variable in chosen}
    if order.casefold() == "descending":
        chosen = {v: tuple(reversed(codes)) if v.time else codes for v, codes in chosen.items()}
    return Extract(
        table=table,
        file_format=file_format,
        lang=language(options),
        presentation=PRESENTATIONS.get(str(options.get("valuepresentation")).casefold(), "Default"),
        variables=tuple(chosen),
        values=tuple(chosen.values()),
        eliminated=tuple(v for v in table.variables if v not in chosen),
        delimiter=DELIMITERS.get(str(options.get("delimiter") or "semicolon").casefold(), ";"),
    )


def _chosen(table: ShownTable, asked: Mapping[str, list[str]]) -> dict[ShownVariable, tuple[str, ...]]:
    """Return variable -> codes: those asked for in their order, then the latest period when none is."""
    chosen: dict[ShownVariable, tuple[str, ...]] = {}
    for code, expressions in asked.items():
        variable = table.variable(code)
        if variable is None:
            raise ApiError("no_variable", variable=code.upper())
        if not expressions:
            raise ApiError("values_needed", variable=variable.id)
        wanted: set[str] = set()
        for expression in expressions:
            found = _found(variable, expression)
            if not found:
                raise ApiError("no_value", value=expression, variable=variable.id)
            wanted.update(found)
        chosen[variable] = tuple(c for c in variable.ids if c in wanted)
    for variable in table.variables:
        if variable not in chosen and variable.time:
            chosen[variable] = variable.ids[-1:]
        elif variable not in chosen and not variable.elimination:
            raise ApiError("values_needed", variable=variable.id)
    return chosen


def _found(variable: ShownVariable, expression: str) -> list[str]:
    """Return the codes an expression selects; none for a place with more digits than Python reads as a number."""
    try:
        return matching(variable.ids, expression, time=variable.time)
    except ValueError:
        return []


def _check_limit(chosen: Mapping[ShownVariable, tuple[str, ...]], streaming: bool) -> None:
    """Refuse more than a million cells. StatBank counts every column of every row as a cell.

    Two logged refusals for FOLK1A show it: 85,210,650 = 105·3·127·5·71 rows × 6 columns, and
    4,800,600 = 105·3·127·5·4 × 6.
    """
    cells = math.prod(len(codes) for codes in chosen.values()) * (len(chosen) + 1)
    if not streaming and cells > CELL_LIMIT:
        raise ApiError("too_many_cells", da=f"{cells:,}".replace(",", "."), en=f"{cells:,}")

"""What the stand-in knows about its tables: StatBank's metadata answers, built from the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flows.moments import COPENHAGEN
from transforms.codelists import LEFT_OUT

if TYPE_CHECKING:
    import pyarrow as pa

    from transforms.catalogue import Catalogue, Dimension, Source

Language = Literal["da", "en"]

SYNTHETIC: Mapping[Language, str] = {"da": "SYNTETISKE DATA / SYNTHETIC", "en": "SYNTHETIC DATA"}
UNITS: Mapping[str, Mapping[Language, str]] = {
    "persons": {"da": "Antal", "en": "Number"},
    "jobs": {"da": "Antal", "en": "Number"},
    "dwellings": {"da": "Antal", "en": "Number"},
    "count": {"da": "Antal", "en": "Number"},
    "pct": {"da": "Pct.", "en": "Per cent"},
    "dkk": {"da": "Kr.", "en": "DKK"},
    "dkk_thousand": {"da": "1.000 kr.", "en": "DKK 1,000"},
}
SUPPRESSED = "0"  # the cells BULK leaves out: those equal to tableinfo's suppressedDataValue


class Cubes(Protocol):
    """What the stand-in asks of the sample world."""

    @property
    def vintage(self) -> date:
        """Return the day as of which the world is known: its today."""
        ...

    def answer(self, table: str, selection: Mapping[str, list[str]]) -> pa.Table:
        """Return one row per cell: a column of codes per dimension, and `value` as printed with a point."""
        ...

    def periods(self, table: str) -> list[str]:
        """Return the period codes of a table, ascending; none for a table the world does not have (yet)."""
        ...

    def updated(self, table: str) -> datetime:
        """Return when the table was last published."""
        ...


@dataclass(frozen=True)
class Code:
    """One code of a variable with its text in both languages."""

    id: str
    text: Mapping[Language, str]


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable as the API shows it. `total`: the code an eliminated variable stands at, None to sum."""

    id: str
    text: Mapping[Language, str]
    role: str
    elimination: bool
    total: str | None
    codes: tuple[Code, ...]

    @property
    def time(self) -> bool:
        """Tell whether this is the time variable."""
        return self.role == "time"

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Return the codes alone, in the publisher's order."""
        return tuple(code.id for code in self.codes)


@dataclass(frozen=True)
class Table:
    """One table as the API shows it; `updated` is Danish local time without a zone."""

    id: str
    title: Mapping[Language, str]
    unit: Mapping[Language, str]
    decimals: int
    updated: datetime
    url: str
    variables: tuple[Variable, ...]

    def variable(self, code: str) -> Variable | None:
        """Return a variable by id, whatever its case."""
        return next((v for v in self.variables if v.id.casefold() == code.casefold()), None)

    def description(self, lang: Language, variables: tuple[Variable, ...] | None = None) -> str:
        """Return «title by region, sex and time», as StatBank describes a table or an extract of it."""
        names = [v.text[lang] for v in variables or self.variables]
        by, last = ("efter", " og ") if lang == "da" else ("by", " and ")
        return f"{self.title[lang]} {by} {', '.join(names[:-1])}{last if names[:-1] else ''}{names[-1]}"


class Tables:
    """All tables of the stand-in, each described when it is first asked for."""

    def __init__(self, catalogue: Catalogue, cubes: Callable[[], Cubes]):
        self._catalogue = catalogue
        self._cubes = cubes
        self._described: dict[str, Table] = {}

    def find(self, table: str) -> Table | None:
        """Return a table by id, whatever its case; None when it has no periods, since a table has figures."""
        source = self._catalogue.by_table(table)
        if source is None or source.table is None or not self._cubes().periods(source.table):
            return None
        if source.table not in self._described:
            self._described[source.table] = self._describe(source)
        return self._described[source.table]

    def all(self) -> list[Table]:
        """Return every table, by id."""
        ids = sorted(s.table for s in self._catalogue.sources.values() if s.table)
        return [table for table in map(self.find, ids) if table is not None]

    @property
    def now(self) -> datetime:
        """Return the end of the day the sample world is known at, in Danish local time."""
        return datetime.combine(self._cubes().vintage, time.max)

    def _describe(self, source: Source) -> Table:
        assert source.table is not None, "the catalogue checks it"
        assert source.unit is not None, "the catalogue checks it"
        updated = self._cubes().updated(source.table)
        local = updated.astimezone(COPENHAGEN).replace(tzinfo=None) if updated.tzinfo else updated
        return Table(
            id=source.table.upper(),
            title={
                "da": f"{source.title_da} ({SYNTHETIC['da']})",
                "en": f"{source.title_en} ({SYNTHETIC['en']})",
            },
            unit=UNITS[source.unit],
            decimals=source.decimals,
            updated=local,
            url=source.url,
            variables=tuple(self._variable(source, dimension) for dimension in source.dimensions),
        )

    def _variable(self, source: Source, dimension: Dimension) -> Variable:
        if dimension.role == "time":
            assert source.table is not None, "checked by the catalogue"
            codes = [Code(p, {"da": p, "en": p.replace("K", "Q")}) for p in self._cubes().periods(source.table)]
        else:
            known = self._catalogue.codes(source, dimension)
            # Our own code for a variable left out of the request is none of the publisher's.
            codes = [Code(c.code, {"da": c.text_da, "en": c.text_en}) for c in known if c.code != LEFT_OUT]
        total = dimension.total
        if total is None and dimension.role == "area" and "country" in dimension.levels:
            total = "000"
        return Variable(
            id="Tid" if dimension.role == "time" else dimension.id,
            text={"da": dimension.text_da, "en": dimension.text_en},
            role=dimension.role,
            # Two measures cannot be added, so a selector without a total code cannot be left out.
            elimination=dimension.elimination and not (dimension.role == "selector" and total is None),
            total=total,
            codes=tuple(codes),
        )


def summary(table: Table, lang: Language) -> dict[str, Any]:
    """Return one entry of `/tables`."""
    periods = [code.text[lang] for code in table.variables[-1].codes]
    return {
        "id": table.id,
        "text": table.title[lang],
        "unit": table.unit[lang],
        "updated": _stamp(table.updated),
        "firstPeriod": periods[0],
        "latestPeriod": periods[-1],
        "active": True,
        "variables": [variable.text[lang] for variable in table.variables],
    }


def description(table: Table, lang: Language) -> dict[str, Any]:
    """Return the answer of `/tableinfo`."""
    return {
        "id": table.id,
        "text": table.title[lang],
        "description": table.description(lang),
        "unit": table.unit[lang],
        "suppressedDataValue": SUPPRESSED,
        "updated": _stamp(table.updated),
        "active": True,
        "contacts": [{"name": SYNTHETIC[lang], "phone": "", "mail": ""}],
        "documentation": {"id": table.id.lower(), "url": table.url},
        "footnote": {"text": f"{SYNTHETIC[lang]}.", "mandatory": True},
        "variables": [_variable_entry(variable, lang) for variable in table.variables],
    }


def updated_utc(table: Table) -> str:
    """Return `updated` as JSON-stat has it: UTC with a Z."""
    return table.updated.replace(tzinfo=COPENHAGEN).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _variable_entry(variable: Variable, lang: Language) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": variable.id,
        "text": variable.text[lang],
        "elimination": variable.elimination,
        "time": variable.time,
    }
    if variable.role == "area":
        entry["map"] = "denmark_municipality_07"
    return entry | {"values": [{"id": code.id, "text": code.text[lang]} for code in variable.codes]}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")

"""From a source file and the table's own description to one exact query: the rectangle is known beforehand."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from flows.connectors.statbank_api import TableInfo, Variable
from flows.connectors.statbank_values import matching
from transforms.codelists import LEFT_OUT
from transforms.errors import DataRefused

if TYPE_CHECKING:
    from transforms.catalogue import Dimension, Source

LANGUAGE = "en"  # English answers write decimals with a point; the codes are the same in both languages
PRESENTATION = "Code"
CELL_LIMIT = 1_000_000


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
    """

    table: str
    variables: tuple[Selected, ...]
    left_out: tuple[str, ...] = ()

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
        return (*(variable.code.upper() for variable in self.variables), "INDHOLD")

    def halves(self) -> tuple[Query, Query] | None:
        """Return the query cut in two by period; None when it has one period only."""
        periods = self.variables[-1]
        middle = len(periods.values) // 2
        if not middle:
            return None
        first, second = (
            replace(self, variables=(*self.variables[:-1], replace(periods, values=part, whole=False)))
            for part in (periods.values[:middle], periods.values[middle:])
        )
        return first, second

    def body(self) -> dict[str, Any]:
        """Return the JSON of the request. No timeOrder: streaming formats refuse it."""
        return {
            "table": self.table,
            "format": self.file_format,
            "lang": LANGUAGE,
            "valuePresentation": PRESENTATION,
            "delimiter": "Semicolon",
            "variables": [{"code": v.code, "values": ["*"] if v.whole else list(v.values)} for v in self.variables],
        }

    def record(self) -> dict[str, Any]:
        """Return what the manifest keeps: `rectangle` has every code written out, so that zero cells stay known."""
        rectangle = {variable.code.upper(): list(variable.values) for variable in self.variables}
        return {
            "table": self.table,
            "format": self.file_format,
            "lang": LANGUAGE,
            "valuePresentation": PRESENTATION,
            "rectangle": rectangle,
            "left_out": list(self.left_out),
        }


def plan_query(source: Source, tableinfo: TableInfo) -> Query:
    """Return the query of `source` with its select expressions worked out against `tableinfo`.

    Raises DataRefused, naming the source file, when the table's variables are not those of the file, a select
    expression finds no code, a selector finds more than one, or the cells BULK leaves out are not the zero ones.
    """
    place = f"flows/sources/{source.id}.yml"
    by_code = {dimension.id.upper(): dimension for dimension in source.dimensions}
    _check_variables(place, list(by_code), tableinfo)
    chosen = []
    left_out = []
    for dimension in source.dimensions:
        variable = tableinfo.variable(dimension.id)
        assert variable is not None, "checked above"
        if not dimension.is_left_out:
            chosen.append(_select(place, dimension, variable, tableinfo))
        elif variable.elimination:
            left_out.append(variable.id)
        else:
            raise DataRefused(
                f"{place}: dimension {dimension.id}: {tableinfo.id} does not let it be left out; select its codes"
            )
    query = Query(tableinfo.id, tuple(chosen), tuple(left_out))
    if query.file_format == "BULK" and not _is_zero(tableinfo.suppressed_data_value):
        raise DataRefused(
            f"{place}: BULK answers of {tableinfo.id} leave out the cells that are "
            f"{tableinfo.suppressed_data_value!r}, not those that are 0, so what an absent cell means is not known "
            f"here; select `{LEFT_OUT}` in a dimension that may be left out, so that CSV is asked for"
        )
    return query


def _is_zero(mark: str) -> bool:
    try:
        return float(mark.replace(",", ".")) == 0
    except ValueError:
        return False


def near(wanted: str, variable: Variable, count: int = 3) -> str:
    """Return the codes of `variable` most like `wanted`, by code or by text, as `code text, …` for a message."""
    texts = {value.text.casefold(): value for value in variable.values}
    codes = {value.id.casefold(): value for value in variable.values}
    asked = wanted.casefold()
    hits = [codes[c] for c in difflib.get_close_matches(asked, codes, count, 0.5)]
    hits += [texts[t] for t in difflib.get_close_matches(asked, texts, count, 0.5)]
    shown = list(dict.fromkeys(hits))[:count] or list(variable.values[:count])
    return ", ".join(f"{value.id} {value.text}" for value in shown)


def _check_variables(place: str, ours: list[str], tableinfo: TableInfo) -> None:
    theirs = [variable.id.upper() for variable in tableinfo.variables]
    gone = [code for code in ours if code not in theirs]
    new = [code for code in theirs if code not in ours]
    if gone or new:
        told = [*(f"{code} is not in the table" for code in gone), *(f"{code} is missing here" for code in new)]
        raise DataRefused(
            f"{place}: dimensions: {'; '.join(told)}; {tableinfo.id} of {tableinfo.updated:%Y-%m-%d} has "
            f"{_listed(variable.id for variable in tableinfo.variables)}; correct the source file"
        )


def _select(place: str, dimension: Dimension, variable: Variable, tableinfo: TableInfo) -> Selected:
    found = {str(asked): matching(variable.codes, str(asked), time=variable.time) for asked in dimension.select}
    gone = [asked for asked, codes in found.items() if not codes]
    if gone:
        there = f"finds no code in {tableinfo.id} of {tableinfo.updated:%Y-%m-%d}"
        told = [f"select {asked!r} {there}; near it: {near(asked, variable)}" for asked in gone]
        raise DataRefused(f"{place}: dimension {dimension.id}: {'; '.join(told)}; correct the select")
    wanted = {code for codes in found.values() for code in codes}
    if dimension.role == "selector" and len(wanted) != 1:
        raise DataRefused(
            f"{place}: dimension {dimension.id}: a selector must select exactly one code, not {len(wanted)} "
            f"({_listed(sorted(wanted))}); adding its codes up would be wrong; correct the select"
        )
    values = tuple(code for code in variable.codes if code in wanted)
    return Selected(variable.id, values, len(values) == len(variable.codes))


def _listed(names: Iterable[str], most: int = 12) -> str:
    all_names = list(names)
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more

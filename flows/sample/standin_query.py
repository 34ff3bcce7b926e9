"""From a request to one exact extract, or to the error body StatBank would give: same code, same words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from flows.connectors.statbank_values import matching
from flows.sample.standin_options import ApiError, asked_values, language
from flows.sample.standin_tables import Language, Table, Tables, Variable

CELL_LIMIT = 1_000_000
STREAMING = frozenset({"BULK"})
FORMATS = frozenset({"CSV", "BULK", "JSONSTAT", "XLSX"})
PRESENTATIONS = {name.casefold(): name for name in ("Default", "Code", "Value", "CodeAndValue", "ValueAndCode")}

Presentation = Literal["Default", "Code", "Value", "CodeAndValue", "ValueAndCode"]


@dataclass(frozen=True)
class Extract:
    """What is to be answered. `eliminated` variables get no column; `values` hold the codes of the others."""

    table: Table
    file_format: str
    lang: Language
    presentation: Presentation
    variables: tuple[Variable, ...]
    values: tuple[tuple[str, ...], ...]
    eliminated: tuple[Variable, ...]

    @property
    def streaming(self) -> bool:
        """Tell whether the format streams: no cell limit, zero cells left out, the server's own order."""
        return self.file_format in STREAMING


def find_table(tables: Tables, options: Mapping[str, Any]) -> Table:
    """Return the table asked for; ApiError when none is named or there is no such table."""
    wanted = options.get("table")
    if not isinstance(wanted, str) or not wanted:
        raise ApiError("REQUEST-MISSING", "Der er ikke angivet nogen tabel-id.", "No table id has been specified.")
    table = tables.find(wanted)
    if table is None:
        raise ApiError("EXTRACT-NOTFOUND", f"Tabel findes ikke: {wanted}", f"Table does not exist: {wanted}")
    return table


def read_extract(tables: Tables, options: Mapping[str, Any]) -> Extract:
    """Return the extract asked for; ApiError in the order in which StatBank was seen to check things."""
    asked = asked_values(options)
    file_format = str(options.get("format", "")).upper()
    if file_format not in FORMATS:
        raise ApiError(
            "REQUEST-MISSING", "Format ikke angivet, eller ikke gyldigt.", "Format not specified, or not valid."
        )
    table = find_table(tables, options)
    streaming = file_format in STREAMING
    order = str(options.get("timeorder") or "")
    if streaming and order:
        raise ApiError(
            "EXTRACT-STREAMINGTIMESORT",
            "Der kan ikke vælges sortering af tid for streamede formater.",
            "Sorting of time cannot be chosen for streaming formats.",
        )
    if streaming:
        for variable in table.variables:
            if not asked.get(variable.id.casefold()):
                raise _values_needed(variable)
    chosen = _chosen(table, asked)
    _check_limit(chosen, streaming)
    if order.casefold() == "descending":
        chosen = {v: tuple(reversed(codes)) if v.time else codes for v, codes in chosen.items()}
    return Extract(
        table=table,
        file_format=file_format,
        lang=language(options),
        presentation=cast(Presentation, PRESENTATIONS.get(str(options.get("valuepresentation")).casefold(), "Default")),
        variables=tuple(chosen),
        values=tuple(chosen.values()),
        eliminated=tuple(v for v in table.variables if v not in chosen),
    )


def _chosen(table: Table, asked: Mapping[str, list[str]]) -> dict[Variable, tuple[str, ...]]:
    """Return variable -> codes: those asked for in their order, then the latest period when none is."""
    chosen: dict[Variable, tuple[str, ...]] = {}
    for code, expressions in asked.items():
        variable = table.variable(code)
        if variable is None:
            name = code.upper()
            raise ApiError("EXTRACT-NOTFOUND", f"Kan ikke finde variablen: {name}", f"Cannot find variable: {name}")
        if not expressions:
            raise _values_needed(variable)
        wanted: set[str] = set()
        for expression in expressions:
            found = _found(variable, expression)
            if not found:
                named = f"{expression} ({variable.id})"
                raise ApiError("EXTRACT-NOTFOUND", f"Kan ikke finde værdien: {named}", f"Cannot find value: {named}")
            wanted.update(found)
        chosen[variable] = tuple(c for c in variable.ids if c in wanted)
    for variable in table.variables:
        if variable not in chosen and variable.time:
            chosen[variable] = variable.ids[-1:]
        elif variable not in chosen and not variable.elimination:
            raise _values_needed(variable)
    return chosen


def _found(variable: Variable, expression: str) -> list[str]:
    """Return the codes an expression selects; none for a place with more digits than Python reads as a number."""
    try:
        return matching(variable.ids, expression, time=variable.time)
    except ValueError:
        return []


def _check_limit(chosen: Mapping[Variable, tuple[str, ...]], streaming: bool) -> None:
    """Refuse more than a million cells. StatBank counts every column of every row as a cell.

    Two logged refusals for FOLK1A show it: 85,210,650 = 105·3·127·5·71 rows × 6 columns, and
    4,800,600 = 105·3·127·5·4 × 6.
    """
    cells = math.prod(len(codes) for codes in chosen.values()) * (len(chosen) + 1)
    if not streaming and cells > CELL_LIMIT:
        da, en = f"{cells:,}".replace(",", "."), f"{cells:,}"
        raise ApiError(
            "REQUEST-LIMIT",
            f"Forespørgslen på op mod {da} celler er over begrænsningen på 1.000.000 celler for denne filtype. "
            "Anvend BULK eller andet streaming format i stedet.",
            f"The request for up to {en} cells exceeds the limit of 1,000,000 cells for this file type. "
            "Use BULK or another streaming format instead.",
        )


def _values_needed(variable: Variable) -> ApiError:
    return ApiError(
        "EXTRACT-NOTALLOWED",
        f"Der skal vælges værdier for variabel: {variable.id}",
        f"Values must be selected for variable: {variable.id}",
    )

"""Rules that a total equals the sum of its parts: totals of a code list, regions of their municipalities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from expectations.terms import Rule
from transforms.areas import areas
from transforms.catalogue import Catalogue, Dimension, Source
from transforms.sqlfile import SqlFile
from transforms.warehouse import quote_identifier, quote_literal

# Rates, averages and prices do not add up.
ADDITIVE = ("persons", "jobs", "dwellings", "count")


@dataclass(frozen=True)
class Whole:
    """A code and the codes it must be the sum of."""

    code: str
    parts: tuple[str, ...]


def part_rules(source: Source, file: SqlFile, catalogue: Catalogue) -> Iterator[Rule]:
    """Yield two rules per dimension that holds totals beside their parts: beyond rounding (stop), within it (warn).

    A total with a suppressed or absent part is not judged. Each part may be off by half a unit of the last decimal.
    """
    if source.unit not in ADDITIVE:
        return
    for dimension in source.dimensions:
        wholes, certain = _wholes(source, dimension, catalogue)
        if wholes:
            sums = _sums(file, dimension, wholes)
            half = f"0.5 * parts / {10**source.decimals}"
            exact = _proof(file, dimension, wholes)
            name = dimension.column
            yield Rule(
                f"total_is_sum_{name}", file.table, "set",
                "critical" if certain else "warning", "stop" if certain else "report",
                f"a total of {name} must equal the sum of its parts",
                f"{sums} WHERE abs(difference) > {half}", source.owner, exact,
            )  # fmt: skip
            yield Rule(
                f"total_rounded_{name}", file.table, "set", "warning", "report",
                f"a total of {name} differs from the sum of its parts by no more than rounding explains",
                f"{sums} WHERE difference <> 0 AND abs(difference) <= {half}", source.owner, exact,
            )  # fmt: skip


def _wholes(source: Source, dimension: Dimension, catalogue: Catalogue) -> tuple[list[Whole], bool]:
    """Return the totals the source asks for together with all their parts, and whether the parts are certain."""
    asked = set(catalogue.selected(source, dimension))
    if dimension.role == "area":
        return _areas(asked, dimension)
    if dimension.role != "category":
        return [], True
    codes = catalogue.codes(source, dimension)
    found = [Whole(code.code, code.leaves) for code in codes if code.code in asked and code.leaves]
    return [whole for whole in found if asked.issuperset(whole.parts)], True


def _areas(asked: set[str], dimension: Dimension) -> tuple[list[Whole], bool]:
    """Return country, regions and provinces with their municipalities; Christiansø (411) counts where it is listed.

    A table without Christiansø, or with areas outside the municipalities, may count it in the total or not.
    """
    places = [a for a in areas().values() if a.code in asked and a.level in ("municipality", "christiansoe")]
    if sum(area.level == "municipality" for area in places) < 98:
        return [], True
    wholes = []
    for area in (areas()[code] for code in sorted(asked)):
        parts = {
            "country": places,
            "region": [place for place in places if place.region_code == area.code],
            "province": [place for place in places if place.province_code == area.code],
        }.get(area.level, [])
        if parts:
            wholes.append(Whole(area.code, tuple(place.code for place in parts)))
    return wholes, len(places) == 99 and not dimension.extra_codes


def _sums(file: SqlFile, dimension: Dimension, wholes: list[Whole]) -> str:
    """Return a SELECT of every total whose parts are all known, with its difference from their sum.

    Every row meets the totals it belongs to, its own included, so that one grouping finds both sides.
    """
    column = quote_identifier(dimension.column)
    others = _others(file, dimension)
    keys = ", ".join(others) + ", " if others else ""
    part = f"FILTER (WHERE {column} <> whole)"
    return (
        f"SELECT *, value - part_sum AS difference FROM (SELECT {keys}whole AS {column}, "
        f"max(value) FILTER (WHERE {column} = whole) AS value, sum(value) {part} AS part_sum, "
        f"count(value) {part} AS parts FROM {file.table} "
        f"JOIN {_pairs(wholes)} ON code = {column} "
        "GROUP BY ALL HAVING parts = any_value(wanted))"
    )


def _proof(file: SqlFile, dimension: Dimension, wholes: list[Whole]) -> str:
    """Return a SELECT of true when every complete total equals its sum, in two thirds of the time `_sums` takes.

    Groups are told apart by one hash. Two that share it hold more figures than one total has, and prove nothing.
    """
    column = quote_identifier(dimension.column)
    keys = ", ".join([*_others(file, dimension), "whole"])
    return (
        "SELECT coalesce(bool_and(figures <= wanted OR (figures = wanted + 1 AND difference = 0)), true) FROM ("
        f"SELECT min(wanted) AS wanted, count(value) AS figures, "
        f"sum(CASE WHEN {column} = whole THEN value ELSE -value END) AS difference "
        f"FROM {file.table} JOIN {_pairs(wholes)} ON code = {column} GROUP BY hash({keys}))"
    )


def _others(file: SqlFile, dimension: Dimension) -> list[str]:
    return [quote_identifier(name) for name in file.grain if name != dimension.column]


def _pairs(wholes: list[Whole]) -> str:
    """Return a table of every total and the codes that take part in it, its own included."""
    members = [(whole, code) for whole in wholes for code in (whole.code, *whole.parts)]
    pairs = ", ".join(f"({quote_literal(w.code)}, {quote_literal(code)}, {len(w.parts)})" for w, code in members)
    return f"(VALUES {pairs}) AS pair(whole, code, wanted)"

"""What publishers, transports and attackers do to a file, as SQL on its text rows.

Each kind gives, for the bench of a source, the statements that change `given`, or None where it cannot happen there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.expectations.disturbances.bench import Bench
from transforms.areas import areas
from transforms.catalogue import Code, Dimension
from transforms.warehouse import quote_identifier, quote_literal

Statements = list[str] | None
FIGURE = 'TRY_CAST("INDHOLD" AS DOUBLE)'
SWAPPED = (("101", "751"), ("813", "846"))
"""The two largest municipalities, and two of like size."""


@dataclass(frozen=True)
class Kind:
    """One disturbance: its name, and the statements for a bench."""

    name: str
    statements: Callable[[Bench], Statements]


def scopes(made: Bench) -> dict[str, str]:
    """Return scope -> the predicate of the periods it covers."""
    return {"all": "true", "newest": made.newest, "old": made.old}


def scaled(scope: str, factor: float) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        return [
            f'UPDATE given SET "INDHOLD" = {made.shown(f"{FIGURE} * {factor}")} '
            f"WHERE {FIGURE} IS NOT NULL AND {scopes(made)[scope]}"
        ]

    return statements


def part(where: Callable[[Bench], str | None], factor: float) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        if (rows := where(made)) is None:
            return None
        return [
            f'UPDATE given SET "INDHOLD" = {made.shown(f"{FIGURE} * {factor}")} WHERE {FIGURE} IS NOT NULL AND {rows}'
        ]

    return statements


def becomes(
    scope: str, text: str, where: Callable[[Bench], str | None] = lambda made: "true"
) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        if (rows := where(made)) is None:
            return None
        return [f'UPDATE given SET "INDHOLD" = {text} WHERE {scopes(made)[scope]} AND {rows}']

    return statements


def one_cell(made: Bench) -> str | None:
    """Return a predicate for one figure of middling size of a municipality in the newest period."""
    place = made.warehouse.scalar(
        f"SELECT place FROM base WHERE {made.newest} AND {made.municipal if made.area else 'true'} AND {FIGURE} > 0 "
        f"ORDER BY {FIGURE} DESC, place LIMIT 1 OFFSET (SELECT count(*) // 4 FROM base WHERE {made.newest} "
        f"AND {made.municipal if made.area else 'true'} AND {FIGURE} > 0)"
    )
    return f"place = {place}"


def one_area(made: Bench) -> str | None:
    return f"{made.area} = '461' AND {made.newest}" if made.area else None


def leaves(made: Bench, dimension: Dimension) -> list[Code]:
    """Return the codes of a category that are in the extract and no totals, the largest first."""
    column = quote_identifier(dimension.id.upper())
    known = {code.code: code for code in made.catalogue.codes(made.source, dimension) if not code.leaves}
    rows = made.warehouse.rows(
        f"SELECT {column}, sum({FIGURE}) FROM base WHERE {made.newest} GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1"
    )
    return [known[code] for code, _ in rows if code in known]


def categories(made: Bench) -> list[Dimension]:
    return [
        d for d in made.source.dimensions if d.role == "category" and not d.is_left_out and len(leaves(made, d)) > 1
    ]


def swapped_codes(column: str, one: str, other: str, rows: str) -> list[str]:
    return [
        f"UPDATE given SET {column} = CASE {column} WHEN {quote_literal(one)} THEN {quote_literal(other)} "
        f"ELSE {quote_literal(one)} END WHERE {column} IN ({quote_literal(one)}, {quote_literal(other)}) AND {rows}"
    ]


def areas_swapped(scope: str, pair: tuple[str, str]) -> Callable[[Bench], Statements]:
    return lambda made: swapped_codes(made.area, *pair, scopes(made)[scope]) if made.area else None


def categories_swapped(scope: str, place: int) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        found = categories(made)
        if place >= len(found):
            return None
        one, other = leaves(made, found[place])[:2]
        return swapped_codes(quote_identifier(found[place].id.upper()), one.code, other.code, scopes(made)[scope])

    return statements


def areas_shifted(scope: str) -> Callable[[Bench], Statements]:
    """Every municipality's figures stand at the next one."""
    codes = [area.code for area in areas().values() if area.level == "municipality"]
    pairs = ", ".join(
        f"({quote_literal(a)}, {quote_literal(b)})" for a, b in zip(codes, [*codes[1:], codes[0]], strict=True)
    )

    def statements(made: Bench) -> Statements:
        if not made.area:
            return None
        return [
            f"UPDATE given SET {made.area} = next FROM (VALUES {pairs}) AS moved(code, next) "
            f"WHERE {made.area} = code AND {scopes(made)[scope]}"
        ]

    return statements


def percent(scope: str, digits: int) -> Callable[[Bench], Statements]:
    """The share of the newest column's total stands where the count should."""

    def statements(made: Bench) -> Statements:
        if made.source.unit == "pct":
            return None
        share = f"printf('%.{digits}f', round(100 * {FIGURE} / nullif(whole, 0), {digits}))"
        return [
            f"UPDATE given SET \"INDHOLD\" = coalesce({share}, '0') FROM (SELECT {made.time} AS t, "
            f"max({FIGURE}) AS whole FROM base GROUP BY 1) "
            f"WHERE t = {made.time} AND {FIGURE} IS NOT NULL AND {scopes(made)[scope]}"
        ]

    return statements


def copied(back: int) -> Callable[[Bench], Statements]:
    """The newest period is a copy of an earlier one."""

    def statements(made: Bench) -> Statements:
        if len(made.periods) <= back:
            return None
        earlier = quote_literal(made.periods[-1 - back])
        return [
            f"DELETE FROM given WHERE {made.newest}",
            f"INSERT INTO given SELECT * REPLACE ({quote_literal(made.periods[-1])} AS {made.time}) FROM base "
            f"WHERE {made.time} = {earlier}",
        ]

    return statements


def a_year_back(made: Bench) -> int:
    return (
        {"quarter": 4, "month": 12}.get(made.source.frequency or "", 1) if len({p[4:] for p in made.periods}) > 1 else 1
    )


def stale(made: Bench) -> Statements:
    """Last year's file again: the periods of the last year are not in it."""
    gone = ", ".join(quote_literal(period) for period in made.periods[-a_year_back(made) :])
    return [f"DELETE FROM given WHERE {made.time} IN ({gone})"]


def relabelled(made: Bench) -> Statements:
    """Last year's figures under this year's labels."""
    back = a_year_back(made)
    pairs = ", ".join(
        f"({quote_literal(a)}, {quote_literal(b)})" for a, b in zip(made.periods, made.periods[back:], strict=False)
    )
    gone = ", ".join(quote_literal(period) for period in made.periods[-back:])
    return [
        f"DELETE FROM given WHERE {made.time} IN ({gone})",
        f"UPDATE given SET {made.time} = later FROM (VALUES {pairs}) AS moved(p, later) WHERE {made.time} = p",
    ]


def without_areas(scope: str, every: int) -> Callable[[Bench], Statements]:
    codes = [area.code for area in areas().values() if area.level == "municipality"]
    gone = ", ".join(quote_literal(code) for code in (codes[::2] if every == 2 else ["461"]))
    return lambda made: (
        [f"DELETE FROM given WHERE {made.area} IN ({gone}) AND {scopes(made)[scope]}"] if made.area else None
    )


def twice(where: Callable[[Bench], str | None], figure: str) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        rows = where(made)
        if rows is None:
            return None
        return [
            f'INSERT INTO given SELECT * REPLACE ({made.shown(figure)} AS "INDHOLD") FROM base '
            f"WHERE {FIGURE} > 0 AND {rows}"
        ]

    return statements


def cut(share: float) -> Callable[[Bench], Statements]:
    return lambda made: [f"DELETE FROM given WHERE place > (SELECT floor({share} * count(*)) FROM base)"]


def future(year: int, keep: bool) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        later = f"REPLACE ({quote_literal(str(year) + made.periods[-1][4:])} AS {made.time})"
        add = f"INSERT INTO given SELECT * {later} FROM base WHERE {made.newest}"
        return [add] if keep else [f"DELETE FROM given WHERE {made.newest}", add]

    return statements


def without_category(scope: str) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        found = categories(made)
        if not found:
            return None
        gone = leaves(made, found[0])[0].code
        return [
            f"DELETE FROM given WHERE {quote_identifier(found[0].id.upper())} = {quote_literal(gone)} "
            f"AND {scopes(made)[scope]}"
        ]

    return statements


def category_times(factor: float) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        found = categories(made)
        if not found:
            return None
        column = quote_identifier(found[0].id.upper())
        code = quote_literal(leaves(made, found[0])[0].code)
        return [
            f'UPDATE given SET "INDHOLD" = {made.shown(f"{FIGURE} * {factor}")} '
            f"WHERE {column} = {code} AND {made.newest}"
        ]

    return statements


def total_off(made: Bench) -> Statements:
    """The country is not the sum of its parts."""
    if not made.area or not made.warehouse.scalar(f"SELECT count(*) FROM base WHERE {made.area} = '000'"):
        return None
    return [
        f"UPDATE given SET \"INDHOLD\" = {made.shown(f'{FIGURE} * 1.03 + 1')} WHERE {made.area} = '000' "
        f"AND {made.newest} AND {FIGURE} > 0"
    ]


def mark_lost(scope: str) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        if not made.source.decimals:
            return None
        return [f"UPDATE given SET \"INDHOLD\" = replace(\"INDHOLD\", '.', '') WHERE {scopes(made)[scope]}"]

    return statements


def marks_as_zero(made: Bench) -> Statements:
    if not made.warehouse.scalar("SELECT count(*) FROM base WHERE \"INDHOLD\" IN ('..', '.')"):
        return None
    return ["UPDATE given SET \"INDHOLD\" = '0' WHERE \"INDHOLD\" IN ('..', '.')"]


def kinds() -> Iterator[Kind]:
    """Yield every disturbance, in the order of the table."""
    for scope in ("all", "newest", "old"):
        for factor in (1000, 100, 10, 1.3, 0.1):
            yield Kind(f"{scope} × {factor:g}", scaled(scope, factor))
    for scope in ("all", "newest"):
        yield Kind(f"{scope} per cent for count", percent(scope, 1))
        yield Kind(f"{scope} per cent for count, whole numbers", percent(scope, 0))
        yield Kind(f"{scope} two large areas swapped", areas_swapped(scope, SWAPPED[0]))
        yield Kind(f"{scope} two like areas swapped", areas_swapped(scope, SWAPPED[1]))
        yield Kind(f"{scope} areas shifted by one", areas_shifted(scope))
        for place in range(3):
            yield Kind(f"{scope} codes of category {place + 1} swapped", categories_swapped(scope, place))
        yield Kind(f"{scope} half of the municipalities gone", without_areas(scope, 2))
        yield Kind(f"{scope} one municipality gone", without_areas(scope, 1))
        yield Kind(f"{scope} a category missing", without_category(scope))
        yield Kind(f"{scope} negative", becomes(scope, "'-' || \"INDHOLD\"", lambda made: f"{FIGURE} > 0"))
        yield Kind(f"{scope} NaN", becomes(scope, "'NaN'"))
        yield Kind(f"{scope} infinity", becomes(scope, "'Infinity'"))
        yield Kind(f"{scope} 1e308", becomes(scope, "'1e308'"))
        yield Kind(f"{scope} zero", becomes(scope, "'0'"))
        yield Kind(f"{scope} equal", becomes(scope, "'7'"))
        yield Kind(f"{scope} withheld", becomes(scope, "'..'"))
        yield Kind(f"{scope} decimal mark lost", mark_lost(scope))
    yield Kind("newest a copy of the last", copied(1))
    yield Kind(
        "newest a copy of a year before",
        lambda made: copied(a_year_back(made))(made) if a_year_back(made) > 1 else None,
    )
    yield Kind("last year's file again", stale)
    yield Kind("last year's figures, this year's labels", relabelled)
    yield Kind("one municipality twice, equal", twice(one_area, FIGURE))
    yield Kind("one municipality twice, unequal", twice(one_area, f"{FIGURE} * 1.1 + 1"))
    yield Kind("every row twice", twice(lambda made: "true", FIGURE))
    yield Kind("one row twice, unequal", twice(one_cell, f"{FIGURE} + 1"))
    yield Kind("one cell negative", becomes("newest", "'-' || \"INDHOLD\"", one_cell))
    yield Kind("one cell NaN", becomes("newest", "'NaN'", one_cell))
    yield Kind("one cell infinity", becomes("newest", "'inf'", one_cell))
    yield Kind("one cell 1e308", becomes("newest", "'1e308'", one_cell))
    yield Kind("one cell × 1000", part(one_cell, 1000))
    yield Kind("one cell × 10", part(one_cell, 10))
    yield Kind("one municipality × 10", part(one_area, 10))
    yield Kind("one category × 10", category_times(10))
    yield Kind("one category × 1.3", category_times(1.3))
    yield Kind("withheld as zero", marks_as_zero)
    yield Kind("the country not the sum", total_off)
    for share in (0.5, 0.9, 0.999):
        yield Kind(f"cut at a line end at {share:.1%}", cut(share))
    yield Kind("a period of 2099 beside", future(2099, True))
    yield Kind("newest labelled 2099", future(2099, False))
    yield Kind("newest labelled two years on", lambda made: future(int(made.periods[-1][:4]) + 2, False)(made))

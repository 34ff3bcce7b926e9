"""What publishers, transports and attackers do to a file, as SQL on its text rows.

Each kind gives, for the bench of a source, the statements that change `given`, or None where it cannot happen there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from expectations.derived import ADDITIVE, _wholes
from tests.expectations.disturbances.bench import Bench
from transforms.areas import areas
from transforms.catalogue import Code, Dimension
from transforms.warehouse import quote_identifier, quote_literal

Statements = list[str] | None
FIGURE = 'TRY_CAST("INDHOLD" AS DOUBLE)'
SWAPPED = (("101", "751"), ("813", "846"))
"""The two largest municipalities, and two of like size."""


HUNDREDTH = "hash(place) % 100 = 3"


@dataclass(frozen=True)
class Kind:
    """One disturbance: its name, the statements for a bench, and those for what had been published before."""

    name: str
    statements: Callable[[Bench], Statements]
    past: Callable[[Bench], list[str]] | None = None


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
    if len(made.periods) <= a_year_back(made):
        return None
    gone = ", ".join(quote_literal(period) for period in made.periods[-a_year_back(made) :])
    return [f"DELETE FROM given WHERE {made.time} IN ({gone})"]


def relabelled(made: Bench) -> Statements:
    """Last year's figures under this year's labels."""
    back = a_year_back(made)
    if len(made.periods) <= back:
        return None
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
    """The answer ends early, at a line's end; one in JSON is cut as it came."""

    def statements(made: Bench) -> Statements:
        if made.source.jobindsats is not None:
            made.read_cut_answer(share)
        return [f"DELETE FROM given WHERE place > (SELECT floor({share} * count(*)) FROM base)"]

    return statements


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


def from_beside(made: Bench, column: str, here: str, there: str, figure: str) -> str:
    """Return the statement that gives the newest rows where `column` is in `here` a figure made of themselves and of
    the row that differs in that column alone, where it is `there`: SQL over the figure and `other`."""
    shared = ", ".join(name for d in made.source.dimensions if (name := quote_identifier(d.id.upper())) != column)
    return (
        f'UPDATE given SET "INDHOLD" = moved.figure FROM (SELECT place, {made.shown(figure)} AS figure FROM '
        f"(FROM base WHERE {column} IN ({here}) AND {FIGURE} IS NOT NULL) JOIN (SELECT {shared}, {FIGURE} AS other "
        f"FROM base WHERE {column} = {there} AND {FIGURE} IS NOT NULL) USING ({shared})) AS moved "
        "WHERE given.place = moved.place"
    )


def mixed_with_last(made: Bench) -> Statements:
    """The newest period is the mean of itself and the one before."""
    if len(made.periods) < 2:
        return None
    newest, before = (quote_literal(period) for period in made.periods[:-3:-1])
    return [from_beside(made, made.time, newest, before, f"({FIGURE} + other) / 2")]


def set_to(figure: str) -> Callable[[Bench], Statements]:
    """Every figure of the newest period becomes `figure`, SQL over the row."""
    return lambda made: [
        f'UPDATE given SET "INDHOLD" = {made.shown(figure)} WHERE {FIGURE} IS NOT NULL AND {made.newest}'
    ]


def rearranged(order: str) -> Callable[[Bench], Statements]:
    """The newest figures of municipalities stand in another order within each category; totals stay right."""

    def statements(made: Bench) -> Statements:
        if not made.area:
            return None
        within = ", ".join(q for d in made.source.dimensions if (q := quote_identifier(d.id.upper())) != made.area)
        rows = f"(FROM base WHERE {made.municipal} AND {made.newest})"
        number = f"row_number() OVER (PARTITION BY {within} ORDER BY"
        return [
            f'UPDATE given SET "INDHOLD" = moved.figure FROM (SELECT a.place, b.figure '
            f"FROM (SELECT *, {number} {made.area}, place) AS n FROM {rows}) AS a "
            f'JOIN (SELECT {within}, "INDHOLD" AS figure, {number} {order}, place) AS n FROM {rows}) AS b '
            f"USING ({within}, n)) AS moved WHERE given.place = moved.place"
        ]

    return statements


def one_row_down(made: Bench) -> Statements:
    """The figures of the newest period have slipped by one line against their labels."""
    return [
        'UPDATE given SET "INDHOLD" = moved.figure FROM (SELECT place, lag("INDHOLD") OVER (ORDER BY place) AS figure '
        f"FROM base WHERE {made.newest}) AS moved WHERE given.place = moved.place AND moved.figure IS NOT NULL"
    ]


def periods_swapped(one: int, other: int) -> Callable[[Bench], Statements]:
    def statements(made: Bench) -> Statements:
        if len(made.periods) < -min(one, other):
            return None
        return swapped_codes(made.time, made.periods[one], made.periods[other], "true")

    return statements


def frozen(made: Bench) -> Statements:
    """One municipality's figures stand still for the three newest periods."""
    if not made.area or len(made.periods) < 4:
        return None
    still, wanted = quote_literal(made.periods[-4]), ", ".join(map(quote_literal, made.periods[-3:]))
    moved = from_beside(made, made.time, wanted, still, "other")
    return [f"{moved} AND given.{made.area} = '461'"]


def category_copied(made: Bench) -> Statements:
    """In the newest period one category has the figures of another."""
    found = categories(made)
    if not found:
        return None
    column = quote_identifier(found[0].id.upper())
    one, other = (quote_literal(code.code) for code in leaves(made, found[0])[:2])
    return [f"{from_beside(made, column, other, one, 'other')} AND given.{made.newest}"]


def merged(made: Bench) -> Statements:
    """Two municipalities have become one: the figures of one are added to the other's, and it is gone."""
    if not made.area:
        return None
    return [
        f"""{from_beside(made, made.area, "'751'", "'727'", f"{FIGURE} + other")} AND given.{made.newest}""",
        f"DELETE FROM given WHERE {made.area} = '727' AND {made.newest}",
    ]


def in_region(made: Bench) -> str | None:
    """Return a predicate for the newest figures of one region and its municipalities."""
    codes = [a.code for a in areas().values() if a.code == "081" or a.region_code == "081"]
    return f"{made.area} IN ({', '.join(map(quote_literal, codes))}) AND {made.newest}" if made.area else None


def every_other(made: Bench) -> str | None:
    """Return a predicate for the newest figures of every other municipality."""
    codes = [area.code for area in areas().values() if area.level == "municipality"][::2]
    return f"{made.area} IN ({', '.join(map(quote_literal, codes))}) AND {made.newest}" if made.area else None


def relabelled_codes(role: str, text: str) -> Callable[[Bench], Statements]:
    """One figure in a hundred has `text` for its code of one kind of column."""

    def statements(made: Bench) -> Statements:
        found = next((d for d in made.source.dimensions if d.role == role and not d.is_left_out), None)
        if found is None or (role == "category" and found.is_text):
            return None
        return [f"UPDATE given SET {quote_identifier(found.id.upper())} = '{text}' WHERE place % 100 = 7"]

    return statements


def corrected(share: float, factor: float) -> Callable[[Bench], list[str]]:
    """What had been published: the extract as it had been corrected, in a share of the figures of two periods."""

    def statements(made: Bench) -> list[str]:
        rows = f"({made.newest} OR {made.old}) AND hash(place) % 1000 < {int(1000 * share)}"
        return [
            f'UPDATE given SET "INDHOLD" = {made.shown(f"{FIGURE} * {factor}")} WHERE {FIGURE} IS NOT NULL AND {rows}'
        ]

    return statements


def totals_made_right(made: Bench) -> list[str]:
    """Return the statements that make every total of `given` the sum of its parts, one dimension after another."""
    statements = []
    for dimension in made.source.dimensions if made.source.unit in ADDITIVE else ():
        wholes, _ = _wholes(made.source, dimension, made.catalogue)
        if not wholes:
            continue
        column = quote_identifier(dimension.id.upper())
        others = ", ".join(quote_identifier(d.id.upper()) for d in made.source.dimensions if d is not dimension)
        pairs = ", ".join(
            f"({quote_literal(whole.code)}, {quote_literal(part)})" for whole in wholes for part in whole.parts
        )
        text = f"printf('%.{made.source.decimals}f', sum({FIGURE}))"
        sums = (
            f"SELECT {others}, whole AS {column}, {text} AS text FROM given "
            f"JOIN (VALUES {pairs}) AS pair(whole, code) ON code = {column} GROUP BY ALL HAVING text IS NOT NULL"
        )
        same = " AND ".join(f"given.{q} = s.{q}" for q in [column, *others.split(", ")])
        statements.append(f'UPDATE given SET "INDHOLD" = text FROM ({sums}) AS s WHERE {same}')
    return statements


def with_right_totals(change: Callable[[Bench], Statements]) -> Callable[[Bench], Statements]:
    """The totals were added up after the change, so that every sum holds."""

    def statements(made: Bench) -> Statements:
        changed, sums = change(made), totals_made_right(made)
        return [*changed, *sums] if changed and sums else None

    return statements


def newest_becomes(text: str, rows: str = "true") -> Callable[[Bench], Statements]:
    """The texts of the newest figures (of some rows) are printed otherwise."""
    return lambda made: [f'UPDATE given SET "INDHOLD" = {text} WHERE {FIGURE} IS NOT NULL AND {made.newest} AND {rows}']


def years_off(by: int) -> Callable[[Bench], Statements]:
    return lambda made: [
        f"UPDATE given SET {made.time} = ({made.time}[1:4]::INTEGER + {by})::VARCHAR || {made.time}[5:]"
    ]


def from_other_rows(made: Bench) -> Statements:
    """Half of the newest figures come from elsewhere in the file."""
    return [
        'UPDATE given SET "INDHOLD" = other."INDHOLD" FROM (SELECT a.place, b."INDHOLD" FROM '
        f"(SELECT place, row_number() OVER (ORDER BY place) AS n FROM base WHERE {made.newest}) AS a "
        f'JOIN (SELECT "INDHOLD", row_number() OVER (ORDER BY hash(place)) AS n FROM base WHERE {made.newest}) AS b '
        "USING (n) WHERE n % 2 = 0) AS other WHERE given.place = other.place"
    ]


def categories_shifted(made: Bench) -> Statements:
    """The newest figures of each category stand at the next one."""
    if not (found := categories(made)):
        return None
    codes = [code.code for code in leaves(made, found[0])]
    column = quote_identifier(found[0].id.upper())
    pairs = ", ".join(
        f"({quote_literal(a)}, {quote_literal(b)})" for a, b in zip(codes, [*codes[1:], codes[0]], strict=True)
    )
    return [
        f"UPDATE given SET {column} = next FROM (VALUES {pairs}) AS moved(code, next) "
        f"WHERE {column} = code AND {made.newest}"
    ]


def one_category(made: Bench) -> str | None:
    """Return a predicate for the newest figures of the largest category."""
    if not (found := categories(made)):
        return None
    code = quote_literal(leaves(made, found[0])[0].code)
    return f"{quote_identifier(found[0].id.upper())} = {code} AND {made.newest}"


def added_to_last(made: Bench) -> Statements:
    """The newest period is counted together with the one before."""
    if len(made.periods) < 2:
        return None
    newest, before = (quote_literal(period) for period in made.periods[:-3:-1])
    return [from_beside(made, made.time, newest, before, f"{FIGURE} + other")]


def almost_last(made: Bench) -> Statements:
    """The newest period is the one before, each figure moved by up to a hundredth."""
    if len(made.periods) < 2:
        return None
    newest, before = (quote_literal(period) for period in made.periods[:-3:-1])
    return [from_beside(made, made.time, newest, before, "other * (0.99 + (hash(place) % 21) / 1000.0)")]


def traded(made: Bench) -> Statements:
    """A fifth of one municipality's newest figures is counted in another, so that sums hold."""
    if not made.area:
        return None
    return [
        f"""{from_beside(made, made.area, "'751'", "'461'", f"{FIGURE} + 0.2 * other")} AND given.{made.newest}""",
        f'UPDATE given SET "INDHOLD" = {made.shown(f"0.8 * {FIGURE}")} WHERE {one_area(made)} AND {FIGURE} IS NOT NULL',
    ]


def whole_area(made: Bench) -> str | None:
    return f"{made.area} = '461'" if made.area else None


def deleted(where: Callable[[Bench], str]) -> Callable[[Bench], Statements]:
    return lambda made: [f"DELETE FROM given WHERE {where(made)}"]


def recoded(text: str, where: Callable[[Bench], str | None]) -> Callable[[Bench], Statements]:
    """Areas have another code: SQL over `{area}`."""

    def statements(made: Bench) -> Statements:
        if not made.area:
            return None
        return [f"UPDATE given SET {made.area} = {text.format(area=made.area)} WHERE {where(made)}"]

    return statements


def large(made: Bench) -> str | None:
    return f"{made.newest} AND {FIGURE} >= 1000"


def columns_exchanged(made: Bench) -> Statements:
    """The codes of two columns stand in each other's."""
    found = categories(made)
    if not found or not made.area:
        return None
    column = quote_identifier(found[0].id.upper())
    return [f"UPDATE given SET {made.area} = {column}, {column} = {made.area}"]


def drifting(made: Bench) -> Statements:
    """Each of the five newest periods is raised by three per cent more than the one before."""
    if len(made.periods) < 8:
        return None
    return [
        f'UPDATE given SET "INDHOLD" = {made.shown(f"{FIGURE} * {1 + 0.03 * (n + 1)}")} '
        f"WHERE {FIGURE} IS NOT NULL AND {made.time} = {quote_literal(period)}"
        for n, period in enumerate(made.periods[-5:])
    ]


def one_more(change: Callable[[Bench], str | None]) -> Callable[[Bench], Statements]:
    """One row more: a copy of one figure with another code (SQL after REPLACE)."""

    def statements(made: Bench) -> Statements:
        code = change(made)
        return [f"INSERT INTO given SELECT * REPLACE ({code}) FROM base WHERE {one_cell(made)}"] if code else None

    return statements


def other_code(role: str, text: str) -> Callable[[Bench], str | None]:
    """Return the replacement of the first code of one kind by a text."""

    def change(made: Bench) -> str | None:
        found = [d for d in made.source.dimensions if d.role == role and not d.is_left_out and not d.is_text]
        return f"{quote_literal(text)} AS {quote_identifier(found[0].id.upper())}" if found else None

    return change


def small_cell(made: Bench) -> str:
    """Return a predicate for one newest figure of a few persons, or of a small share."""
    return (
        f"place = (SELECT min(place) FROM base WHERE {made.newest} AND {FIGURE} BETWEEN 0.1 AND 15 "
        f"AND {made.municipal if made.area else 'true'})"
    )


def old_cell(made: Bench) -> str:
    """Return a predicate for one large figure of an earlier period."""
    rows = f"{made.old} AND {made.municipal if made.area else 'true'}"
    return f"place = (SELECT arg_max(place, {FIGURE}) FROM base WHERE {rows})"


def further_kinds() -> Iterator[Kind]:
    """Yield disturbances that were thought of after the rules had been written, to try the rules on."""
    doubled = part(one_area, 2)
    yield Kind("all ÷ 100", scaled("all", 0.01))
    yield Kind("newest ÷ 100", scaled("newest", 0.01))
    yield Kind("newest of a quarter for a year (÷ 4)", scaled("newest", 0.25))
    yield Kind("newest × 12", scaled("newest", 12))
    yield Kind("newest × 1.15", scaled("newest", 1.15))
    yield Kind("newest × 1.15, old periods too from the middle", drifting)
    yield Kind("newest thousands dropped in figures over 1,000", part(large, 0.001))
    yield Kind(
        "newest with a thousands dot", newest_becomes("regexp_replace(\"INDHOLD\", '([0-9])([0-9]{3})$', '\\1.\\2')")
    )
    yield Kind("newest in tens", set_to(f"10 * round({FIGURE} / 10)"))
    yield Kind("newest first digit lost", newest_becomes('substr("INDHOLD", 2)', 'length("INDHOLD") > 1'))
    yield Kind("newest three digits wide", newest_becomes('right("INDHOLD", 3)'))
    yield Kind("newest at most 9999", set_to(f"least({FIGURE}, 9999)"))
    yield Kind("newest in scientific notation", newest_becomes(f"printf('%.1e', {FIGURE})"))
    yield Kind("newest quoted", newest_becomes("'\"' || \"INDHOLD\" || '\"'"))
    yield Kind("newest small figures withheld", newest_becomes("'..'", f"{FIGURE} < 100"))
    yield Kind(
        "newest zeros as ones",
        lambda made: [f"UPDATE given SET \"INDHOLD\" = '1' WHERE {FIGURE} = 0 AND {made.newest}"],
    )
    yield Kind("newest counted together with the last", added_to_last)
    yield Kind("newest the last, moved by up to a hundredth", almost_last)
    yield Kind("newest half from other rows", from_other_rows)
    yield Kind("newest categories shifted by one", categories_shifted)
    yield Kind("newest sign flipped in one category", part(one_category, -1))
    yield Kind("newest one category doubled", part(one_category, 2))
    yield Kind("newest one category doubled, totals right", with_right_totals(part(one_category, 2)))
    yield Kind("newest one municipality doubled", doubled)
    yield Kind("newest one municipality doubled, totals right", with_right_totals(doubled))
    yield Kind("newest one municipality halved, totals right", with_right_totals(part(one_area, 0.5)))
    yield Kind("newest × 1000 in every other municipality, totals right", with_right_totals(part(every_other, 1000)))
    yield Kind(
        "newest noise of a fifth, totals right",
        with_right_totals(set_to(f"{FIGURE} * (0.8 + (hash(place) % 401) / 1000.0)")),
    )
    yield Kind("newest two large areas swapped, totals right", with_right_totals(areas_swapped("newest", SWAPPED[0])))
    yield Kind("one municipality doubled in all periods", part(whole_area, 2))
    yield Kind("one municipality doubled in all periods, totals right", with_right_totals(part(whole_area, 2)))
    yield Kind("a fifth of one municipality traded to another", traded)
    yield Kind("newest figures in the order of size, from above", rearranged(f"{FIGURE} DESC"))
    yield Kind("old area codes", recoded("'421'", whole_area))
    yield Kind("newest old area codes", recoded("'421'", one_area))
    yield Kind("area codes without their first zero", recoded("ltrim({area}, '0')", lambda made: "true"))
    yield Kind("all periods a year later", years_off(1))
    yield Kind("all periods a year earlier", years_off(-1))
    yield Kind("the oldest period gone", deleted(lambda made: f"{made.time} = {quote_literal(made.periods[0])}"))
    yield Kind("an old period gone", deleted(lambda made: made.old if len(made.periods) > 3 else "false"))
    yield Kind("newest every tenth row gone", deleted(lambda made: f"{made.newest} AND hash(place) % 10 = 3"))
    yield Kind("one row in a hundred gone", deleted(lambda made: HUNDREDTH))
    yield Kind(
        "one figure in a hundred without its last digit",
        becomes("all", 'left("INDHOLD", length("INDHOLD") - 1)', lambda made: f"{FIGURE} >= 10 AND {HUNDREDTH}"),
    )
    digit = '((left("INDHOLD", 1)::INTEGER + 4) % 9 + 1)::VARCHAR || substr("INDHOLD", 2)'
    yield Kind(
        "one figure in a hundred with another first digit",
        becomes("all", digit, lambda made: f"\"INDHOLD\" SIMILAR TO '[1-9].*' AND {HUNDREDTH}"),
    )
    yield Kind("two columns of codes exchanged", columns_exchanged)
    yield Kind("one row more of an unknown area", one_more(other_code("area", "888")))
    yield Kind("one row more of an unknown category", one_more(other_code("category", "Q9")))
    yield Kind("one row more without a code", one_more(other_code("area", "")))
    yield Kind("one row more of a period in another form", one_more(other_code("time", "2016-Q1")))
    yield Kind("one small cell with more decimals", becomes("newest", "\"INDHOLD\" || '.25'", small_cell))
    yield Kind("one small cell infinite", becomes("newest", "'inf'", small_cell))
    yield Kind("one small cell negative", becomes("newest", "'-' || \"INDHOLD\"", small_cell))
    yield Kind("one small cell twice, unequal", twice(small_cell, f"{FIGURE} + 1"))
    yield Kind("one cell as large as can be", becomes("newest", "'99999999999999'", one_cell))
    yield Kind("all as large as can be", becomes("all", "'99999999999999'"))
    yield Kind("all as low as can be", becomes("all", "'-99999999999999'"))
    yield Kind("one old cell × 8", part(old_cell, 8))
    yield Kind("one old cell × 1.5", part(old_cell, 1.5))
    yield Kind("all a region gone", deleted(lambda made: f"{made.area} = '081'" if made.area else "false"))
    yield Kind("newest all equal to its middle figure", set_to(f"(SELECT quantile_disc({FIGURE}, 0.5) FROM base)"))
    yield Kind("all Christiansø and Odense swapped", areas_swapped("all", ("411", "461")))
    yield Kind("all but the newest period gone", deleted(lambda made: f"NOT ({made.newest})"))


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
    for share, factor in ((0.02, 1.05), (0.3, 1.1), (0.02, 1.5)):
        yield Kind(
            f"yesterday's correction reverted ({share:.0%} of the figures by {factor - 1:.0%})",
            lambda made: [],
            corrected(share, factor),
        )
    yield Kind("newest halved in one region", part(in_region, 0.5))
    yield Kind("newest × 1000 in every other municipality", part(every_other, 1000))
    yield Kind("newest × 1.2 in every other municipality", part(every_other, 1.2))
    yield Kind("newest twice as large", scaled("newest", 2))
    yield Kind("newest in another currency (÷ 7.46)", scaled("newest", 1 / 7.46))
    yield Kind("newest in hundreds", set_to(f"100 * round({FIGURE} / 100)"))
    yield Kind("newest without its last digit", set_to(f"trunc({FIGURE} / 10)"))
    yield Kind("newest with random noise of a fifth", set_to(f"{FIGURE} * (0.8 + (hash(place) % 401) / 1000.0)"))
    yield Kind("newest half mixed with the last", mixed_with_last)
    yield Kind("newest figures in the order of size", rearranged(FIGURE))
    yield Kind("newest figures shuffled, total right", rearranged("hash(place)"))
    yield Kind("newest figures one row down", one_row_down)
    yield Kind("newest one category copied to another", category_copied)
    yield Kind("newest sign flipped in one area", becomes("newest", "'-' || \"INDHOLD\"", one_area))
    yield Kind("newest two municipalities merged", merged)
    yield Kind("newest zero in one municipality", becomes("newest", "'0'", one_area))
    yield Kind("the two newest periods swapped", periods_swapped(-1, -2))
    yield Kind("two old periods swapped", periods_swapped(-5, -3))
    yield Kind("one municipality stands still for three periods", frozen)
    yield Kind("provisional figures twice", lambda made: [f"INSERT INTO given SELECT * FROM base WHERE {made.newest}"])
    yield Kind("unknown areas", relabelled_codes("area", "998"))
    yield Kind("unknown categories", relabelled_codes("category", "Q9"))
    yield Kind("empty codes", relabelled_codes("category", ""))
    yield Kind("periods in another form", relabelled_codes("time", "2016-Q1"))
    yield Kind("another selector", relabelled_codes("selector", "X9"))
    yield Kind("one cell a word", becomes("newest", "'ukendt'", one_cell))
    yield Kind("no line at all", lambda made: ["DELETE FROM given"])

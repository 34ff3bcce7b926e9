"""Rules that hold the figures of one source against their own past and against each other.

Every figure is compared with the one before it in its series (`step` 1), with the same season a year before, and with
what the last published build has at the same place (`step` 0). The comparison is a difference of logarithms, so one
scale fits counts, kroner and per cent, and a small figure, which chance moves much, moves little (see `_log`). What is
usual is learned from the series' other changes: a bound is a multiple of the largest of them, never below a floor.

Once published a period is the past: it is judged again only where its figures differ from those published.

One module, since every rule reads the same few tables of changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import log
from pathlib import Path

from expectations.derived import literals, ordinal
from expectations.rules import Rule, Severity, set_rule
from transforms.areas import areas, reference_rows
from transforms.catalogue import Source
from transforms.tables import SqlFile
from transforms.warehouse import Warehouse, quote_identifier, quote_literal

PAST = "last_published"
Published = Callable[[str, str, bool], str | None]
"""From source id, origin and whether it is invented to its staging table in the last published build, or None."""

# Below this size a figure says nothing of levels: single persons, or rounding, move it.
LEAST = 20.0
LEAST_OF = {"pct": 0.2, "pct_points": 1.0, "hours": 1.0, "rank": 100.0}
# So many times that size is some size (its loss is counted), a large figure (its loss is a fault by itself), and one
# that chance hardly moves.
SOME, LARGE, VERY_LARGE = 5, 10, 50
# How far the middle figure of a period may move whatever the table's past.
FLOOR = log(1.1)
# How many times the largest of the other changes is still usual, and how many are needed to tell.
USUAL, ENOUGH = 1.5, 3
# The largest of few changes says less: what is usual is widened by so much.
FEW = f"({ENOUGH} / greatest(other_changes, {ENOUGH}))"
# How many other changes must be known before seasons, or codes of few figures, are judged by them.
LONG = 8
# Figures needed to speak of a period as a whole.
FEWEST = 20
# Revisions move single figures a little: a tenth of them by more than a twentieth is something else.
REVISED, REVISED_SHARE = log(1.05), 0.10
# Larger tables are held against their past in their newest periods only: as many as have about so many rows.
JUDGED_ROWS = 700_000
# Areas that no table may lose: the others come and go with the map.
STAYING = ("country", "municipality")
SEASONS = {"quarter": 4, "month": 12}
# So many periods are looked at for figures that stand still, and so improbable it must be that chance did it.
STILL, BY_CHANCE = 3, 1.5e-12
BEFORE = "RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
AFTER = "RANGE BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING"


@dataclass(frozen=True)
class Series:
    """A staging table, the columns that name a series of it, and its table in the last published build, if any."""

    source: Source
    table: str
    keys: tuple[str, ...]
    past: str | None = None

    @property
    def columns(self) -> str:
        """Return the keys for SQL."""
        return ", ".join(quote_identifier(name) for name in self.keys)

    @property
    def least(self) -> str:
        """Return SQL for the size from which a figure says something of levels: by measure where there are several."""
        if self.source.jobindsats is None:
            return str(LEAST_OF.get(self.source.unit or "", LEAST))
        by_size: dict[float, list[str]] = {}
        for measure in self.source.jobindsats.measures:
            by_size.setdefault(LEAST_OF.get(measure.unit, LEAST), []).append(measure.id)
        cases = " ".join(f"WHEN measure_name IN ({literals(ids)}) THEN {size}" for size, ids in by_size.items())
        return f"(CASE {cases} END)"

    @property
    def measure(self) -> str:
        """Return SQL for the measure of a figure, where a table has several."""
        return "''" if self.source.jobindsats is None else "measure_name"

    @property
    def amounts(self) -> str:
        """Return a predicate for figures that are counts or amounts: a share of few may well be zero or withheld."""
        if self.source.jobindsats is None:  # and the net costs of a small municipality
            return str(self.source.unit not in (*LEAST_OF, "dkk_thousand")).lower()
        ids = [measure.id for measure in self.source.jobindsats.measures if measure.unit not in LEAST_OF]
        return f"measure_name IN ({literals(ids)})" if ids else "false"

    @property
    def is_still_there(self) -> str:
        """Return a predicate for figures whose code the table still has, where codes may go.

        Regions merge, and municipalities stay; a dimension that is known under another id too has other parts there.
        """
        passing = literals([area.code for area in areas().values() if area.level not in STAYING])
        gone = [
            f"({f'{name} IN ({passing}) AND ' if d.role == 'area' else ''}"
            f"{name} NOT IN (SELECT DISTINCT {name} FROM {self.table}))"
            for d in self.source.dimensions
            if (d.role == "area" or d.also) and (name := quote_identifier(d.column))
        ]
        return f"NOT ({' OR '.join(gone)})" if gone else "true"

    @property
    def whole_area(self) -> str:
        """Return a predicate for figures of an area that lost all it had: one share may go, hardly five at once."""
        area = next((quote_identifier(d.column) for d in self.source.dimensions if d.role == "area"), None)
        if area is None:
            return "false"
        return (
            f"(step, number, {area}) IN (SELECT (step, number, {area}) FROM history_step "
            f"WHERE abs(before) >= {LARGE} * {self.least} GROUP BY step, number, {area} "
            "HAVING count(*) >= 5 AND bool_and(coalesce(now, 0) = 0))"
        )

    @property
    def is_asked_for(self) -> str:
        """Return a predicate for published periods that the source's query asks for.

        One for the latest periods lets as many old ones go as new ones come.
        """
        asked = self.source.time.select[0] if self.source.jobindsats is None else "(-n+"
        if asked.startswith("(-n+"):
            return (
                "(period > (SELECT min(period) FROM history_period)"
                " OR (SELECT count(*) FROM past) > (SELECT count(*) FROM history_period))"
            )
        if asked.startswith(">="):
            return f"period >= {quote_literal(asked[2:])}"
        return f"period LIKE {quote_literal(asked.replace('*', '%'))}"

    @property
    def accepted(self) -> str:
        """Return SQL for the periods that the source file accepts as they are."""
        return literals([change.period for change in self.source.expectations.accepted]) or "''"

    @property
    def complete(self) -> str:
        """Return a predicate for figures that every period has; Jobindsats leaves out the shares of few."""
        return "true" if self.source.jobindsats is None else self.amounts


def series_of(source: Source, file: SqlFile, past: str | None = None) -> Series:
    """Return the series of a source: its areas and categories, selectors and what is left out of the request apart."""
    keys = tuple(d.column for d in source.dimensions if d.role in ("area", "category") and not d.is_left_out)
    return Series(source, file.table, keys, past)


def nothing_published(source_id: str, origin: str, synthetic: bool) -> None:
    """Return None: there is no published build to hold a source against."""


@contextmanager
def published(warehouse: Warehouse, database: Path | None, as_of: datetime | None) -> Iterator[Published]:
    """Attach the database published before, for as long as staging tables are held against it.

    Yields a function that tells where the staging table of a source is in it: None when there is none, when it was
    made of data of another kind or with other columns, or when the build before knew another point in time.
    """
    if database is None:
        yield nothing_published
        return
    warehouse.attach(database, PAST)
    try:
        yield lambda source_id, origin, synthetic: _past_of(warehouse, source_id, origin, synthetic, as_of)
    finally:
        warehouse.detach(PAST)


def _past_of(warehouse: Warehouse, source_id: str, origin: str, synthetic: bool, as_of: datetime | None) -> str | None:
    columns = (
        "SELECT column_name FROM duckdb_columns() WHERE (database_name = ?) = ? AND schema_name = 'staging' "
        "AND table_name = ?"
    )
    here, there = (set(warehouse.rows(columns, [PAST, is_past, source_id])) for is_past in (False, True))
    if not there or not here <= there:
        return None
    known = warehouse.scalar(
        f"SELECT count(*) FROM {PAST}.meta.snapshot AS snapshot, {PAST}.meta.run AS run WHERE snapshot.source_id = ? "
        "AND snapshot.origin = ? AND snapshot.is_synthetic = ? AND run.as_of IS NOT DISTINCT FROM ?::TIMESTAMP",
        [source_id, origin, synthetic, as_of.replace(tzinfo=None) if as_of else None],
    )
    return f"{PAST}.staging.{source_id}" if known else None


# The tables the rules read.


def prepare(warehouse: Warehouse, series: Series) -> None:
    """Make the temporary tables the rules of this module read: cells, changes, and their middles by period and code."""
    made = "CREATE OR REPLACE TEMP TABLE history_{} AS {}".format
    warehouse.execute(made("period", _periods(series)))
    newest = f"figures_since <= {JUDGED_ROWS} OR number >= (SELECT max(number) - 1 FROM history_period)"
    first = warehouse.scalar(f"SELECT min(period) FROM history_period WHERE {newest}")
    warehouse.execute(made("cell", _cells(series, first or "")))
    for name, select in {"step": _steps, "judged": _judged, "gone": _gone, "middle": _middles, "pair": _pairs}.items():
        warehouse.execute(made(name, select(series)))


def forget(warehouse: Warehouse) -> None:
    """Drop what `prepare` made."""
    for name in ("period", "cell", "step", "judged", "gone", "middle", "pair"):
        warehouse.execute(f"DROP TABLE history_{name}")


def _periods(series: Series) -> str:
    """Return a SELECT of the periods the source brought, numbered in order.

    `is_known`: published before. `years`: how long after the period before, at least 1 (files by hand leave some out).
    """
    known = f"period IN (SELECT period FROM {series.past})" if series.past else "false"
    return f"""
        SELECT period, row_number() OVER (ORDER BY period) AS number, {known} AS is_known, figures,
               sum(figures) OVER (ORDER BY period DESC) AS figures_since,
               greatest(period[1:4]::DOUBLE - lag(period[1:4]::DOUBLE) OVER (ORDER BY period), 1) AS years
        FROM (SELECT period, count(*) AS figures FROM {series.table} WHERE NOT _is_filled GROUP BY period)"""


def _cells(series: Series, first: str) -> str:
    """Return a SELECT of the figures since a period: named, since a literal spares reading the rows before it."""
    return f"""
        SELECT {series.columns}, number, period, value::DOUBLE AS value, value_status, _is_filled
        FROM {series.table} JOIN history_period USING (period) WHERE period >= {quote_literal(first)}"""


def _steps(series: Series) -> str:
    """Return a SELECT of every pair of figures compared; a side is NULL where there is no row or no figure.

    `change` is NULL where a figure begins or ends: a new code starts from zero, and what ends is counted as gone.
    """
    now = f"SELECT {series.columns}, number, value AS now, value_status AS status_now FROM history_cell"
    using = f"USING ({series.columns}, number)"
    pairs = []
    for step in (1, *([season] if (season := SEASONS.get(series.source.period_kind or "")) else [])):
        pairs.append(f"""
            SELECT {step} AS step, *
            FROM (SELECT {series.columns}, number + {step} AS number, value AS before, value_status AS status_before
                  FROM history_cell WHERE number + {step} <= (SELECT max(number) FROM history_cell))
            FULL JOIN ({now} WHERE number >= (SELECT min(number) + {step} FROM history_cell)) {using}""")
    if series.past:
        pairs.append(f"""
            SELECT 0 AS step, *
            FROM (SELECT {series.columns}, number, value::DOUBLE AS before, value_status AS status_before
                  FROM {series.past} JOIN (SELECT DISTINCT number, period FROM history_cell) USING (period))
            FULL JOIN ({now} SEMI JOIN (SELECT number FROM history_period WHERE is_known) USING (number)) {using}""")
    return f"""
        SELECT *, if(now <> 0 AND before <> 0, {_log("now", series)} - {_log("before", series)}, NULL) AS change,
               coalesce(greatest(abs(now), abs(before)) >= {series.least}, false) AS is_told
        FROM ({" UNION ALL ".join(pairs)})"""


def _log(value: str, series: Series) -> str:
    """Return SQL for the logarithm of a figure, zero at 0 and its sign kept; half of what is told counts as one unit.

    The started logarithm: for large figures differences are relative changes, for small ones nearly plain differences.
    """
    return f"sign({value}) * ln(1 + abs({value}) / ({series.least} / 2))"


def _judged(series: Series) -> str:
    """Return a SELECT of the periods to judge: new ones, and those that differ in 1.5 per cent from what was published.

    The periods that the source file accepts are left out.
    """
    return f"""
        SELECT number, period, coalesce(years, 1) AS years,
               number = (SELECT max(number) FROM history_period) AS is_newest
        FROM history_period
        WHERE (NOT is_known OR number IN (
                SELECT number FROM history_step WHERE step = 0 GROUP BY number
                HAVING avg((now IS DISTINCT FROM before)::INTEGER) > 0.015))
          AND period NOT IN ({series.accepted})"""


def _gone(series: Series) -> str:
    """Return a SELECT of the figures of some size that are absent, zero, missing or withheld now.

    Against the period before, the newest period counts, and an earlier one where the figure comes back after it: a code
    that ends is no loss. Against what was published every period counts.
    """
    same = " AND ".join(f"later.{name} = step.{name}" for name in map(quote_identifier, series.keys))
    return f"""
        SELECT step.*, history_period.period
        FROM (SELECT *, {series.least} AS least FROM history_step
              WHERE step <= 1 AND coalesce(now, 0) = 0 AND status_now IS DISTINCT FROM 'not_applicable'
                AND {series.is_still_there} AND {series.complete} AND abs(before) >= {SOME} * {series.least}) AS step
        JOIN history_period USING (number)
        LEFT JOIN history_cell AS later ON later.number = step.number + 1 AND {same or "true"}
        WHERE step = 0
           OR (step.number IN (SELECT number FROM history_judged)
               AND (step.number = (SELECT max(number) FROM history_period) OR abs(later.value) >= 0.2 * abs(before)))"""


def _pairs(series: Series) -> str:
    """Return a SELECT of the figures of the newest change and of those published, as logarithms beside each other."""
    return f"""
        SELECT step, number, is_told, {series.columns},
               {_log("now", series)} AS log_now, {_log("before", series)} + middle AS log_before
        FROM history_step
        JOIN (SELECT step, number, middle FROM history_middle WHERE column_name = '' AND NOT is_first)
            USING (step, number)
        JOIN history_judged USING (number)
        WHERE (step = 0 OR (step = 1 AND is_newest)) AND now IS NOT NULL AND before IS NOT NULL"""


def _middles(series: Series) -> str:
    """Return a SELECT of the middle change by period, and by period and code: `column_name` '' is the period itself.

    `beyond` is a code's middle beside the period's. `out_of_line` is how far it stands out: in the newest period by the
    change alone, in an earlier one only as far as the next change takes it back. `others` is the largest of the other
    changes, this one and the next apart. The first period has only the change that leads away from it.
    """
    facts = """median(change) FILTER (WHERE is_told) AS middle, count(change) FILTER (WHERE is_told) AS figures,
               avg((now = before)::INTEGER) FILTER (WHERE is_told AND change IS NOT NULL) AS equal_share"""
    quarter = "quantile_cont(change, {}) FILTER (WHERE is_told)"
    spread = f"{quarter.format(0.75)} - {quarter.format(0.25)}"
    parts = [("''", "''", spread), *((quote_literal(name), quote_identifier(name), "NULL") for name in series.keys)]
    middles = " UNION ALL ".join(
        f"SELECT step, number, {name} AS column_name, {code} AS code, {facts}, {spread} AS spread "
        "FROM history_step GROUP BY ALL"
        for name, code, spread in parts
    )
    window = "PARTITION BY step, column_name, code ORDER BY number"
    same = "o.step = f.step AND o.column_name = f.column_name AND o.code = f.code AND o.number > f.number"
    return f"""
        WITH middle AS ({middles}),
        excess AS (
            SELECT part.*, part.middle - if(part.column_name = '', 0, whole.middle) AS beyond
            FROM middle AS part
            LEFT JOIN (SELECT step, number, middle FROM middle WHERE column_name = '') AS whole USING (step, number)
        ),
        around AS ({_around("excess", window)})
        SELECT *, false AS is_first,
               CASE WHEN next_beyond IS NULL OR step = 0 THEN beyond
                    WHEN beyond * next_beyond < 0 THEN sign(beyond) * least(abs(beyond), abs(next_beyond))
                    ELSE 0 END AS out_of_line
        FROM around
        UNION ALL
        SELECT * REPLACE (number - 1 AS number, -beyond AS beyond,
                          (SELECT coalesce(max(abs(o.beyond)), 0) FROM around AS o WHERE {same}) AS others,
                          (SELECT count(*) FROM around AS o WHERE {same}) AS other_changes),
               true, -beyond
        FROM around AS f
        WHERE step = 1 AND number = (SELECT min(number) + 1 FROM history_cell) AND next_beyond IS NOT NULL"""


def _around(table: str, window: str) -> str:
    """Return a SELECT that adds to each change the next, and the largest and the number of the others in its window."""
    return f"""
        SELECT *, lead(beyond) OVER ({window}) AS next_beyond,
               greatest(coalesce(max(abs(beyond)) OVER ({window} {BEFORE}), 0),
                        coalesce(max(abs(beyond)) OVER ({window} {AFTER}), 0)) AS others,
               count(beyond) OVER ({window} {BEFORE}) + count(beyond) OVER ({window} {AFTER}) AS other_changes
        FROM {table}"""


# The rules.


def history_rules(series: Series) -> Iterator[Rule]:
    """Yield the rules of one source against its past; they read the tables that `prepare` makes."""
    yield from _levels(series)
    yield from _vanished(series)
    yield from _sameness(series)
    yield from _swapped(series)
    if series.past:
        yield from _against_published(series)


def _rule(series: Series, rule_id: str, severity: Severity, description: str, sql: str) -> Rule:
    return set_rule(series.table, rule_id, severity, description, sql, series.source.owner)


def _levels(series: Series) -> Iterator[Rule]:
    """Yield the rules that levels stay in line: of periods, of areas and categories, of single figures."""
    unknown = log(series.source.expectations.yearly_change)
    bound = f"""CASE WHEN is_first THEN greatest({2 * unknown}, {2 * USUAL} * others)
                     WHEN other_changes >= {ENOUGH} THEN
                         greatest({FLOOR} + {max(unknown - FLOOR, 0)} * {FEW}, {USUAL} * (1 + {FEW}) * others)
                     ELSE greatest({unknown} * years, {USUAL} * others) END"""
    shown = "round(exp(abs(out_of_line)), 2) AS times, figures FROM history_middle JOIN history_judged USING (number)"
    yield _rule(
        series, "period_level", "critical",
        "the middle figure of a period must not lie out of line with the periods around it",
        f"""SELECT period, step AS periods_back, {shown}
            WHERE column_name = '' AND figures >= {FEWEST}
              AND (step = 1 OR (is_newest AND step > 1 AND other_changes >= {LONG}))
              AND abs(out_of_line) > {bound}""",
    )  # fmt: skip
    yield _rule(
        series, "period_level_unusual", "warning",
        "the newest period must not lie far outside all levels that the periods before have had",
        f"""WITH level AS (SELECT number, sum(middle) OVER (ORDER BY number) AS level FROM history_middle
                           WHERE column_name = '' AND step = 1 AND NOT is_first AND figures >= {FEWEST}),
            known AS (SELECT greatest(max(level), 0) AS high, least(min(level), 0) AS low, count(*) AS levels,
                             greatest({log(1.05)}, (high - low) / 2) AS room
                      FROM level WHERE number < (SELECT max(number) FROM history_period))
            SELECT period, round(exp(level), 3) AS level, round(exp(low), 3) AS low, round(exp(high), 3) AS high
            FROM level JOIN history_judged USING (number), known
            WHERE is_newest AND levels >= {LONG} AND level NOT BETWEEN low - room AND high + room""",
    )  # fmt: skip
    # A single figure is allowed more than the middle of several, and the first period more than the others.
    usual = f"if(figures >= 5, 2, 3) * if(is_first, 2, 1 + {FEW}) * others"
    yield _rule(
        series, "code_level", "critical",
        "the middle figure of an area or category must not jump to a third or to three times, beside the others",
        f"""SELECT period, column_name, code, {shown}
            WHERE column_name <> '' AND step = 1 AND (figures >= 5 OR (figures > 0 AND other_changes >= {ENOUGH}))
              AND abs(out_of_line) > greatest(
                  if(figures >= 5, {log(3)}, {log(6)}) * if(other_changes >= {ENOUGH}, 1, years),
                  if(figures >= 5, 1, 1.5) * {usual})""",
    )  # fmt: skip
    yield _rule(
        series, "code_level_unusual", "warning",
        "an area or category moved more than it usually does, beside the others",
        f"""SELECT period, column_name, code, {shown}
            WHERE column_name <> '' AND step = 1 AND figures > 0
              AND (figures >= 5 OR other_changes >= {LONG})
              AND (number, column_name, code) NOT IN (  -- judged when it was published
                  SELECT (number, column_name, code) FROM history_middle WHERE step = 0 AND abs(middle) < {log(1.01)})
              AND abs(out_of_line) > greatest(
                  if(other_changes >= 5, {log(1.1)}, {log(1.15)} * years), 1.25 * {usual})""",
    )  # fmt: skip
    yield _rule(
        series, "figure_level", "critical",
        "a large figure must not jump to six times or to a sixth, and to four times its largest other change",
        _figures(series, log(6), LARGE, 4),
    )  # fmt: skip
    yield _rule(
        series, "figure_level_unusual", "warning",
        "a figure jumped to eight times or to an eighth while its like stay, or a very large count by a third",
        f"({_figures(series, log(8), SOME, USUAL)}) "
        f"UNION ({_figures(series, log(4 / 3), VERY_LARGE, 3, series.amounts)})",
    )  # fmt: skip


def _figures(series: Series, limit: float, size: float, factor: float, which: str = "true") -> str:
    """Return a SELECT of single figures that are out of line with their series by more than `limit`.

    Where little is known of a series' other changes, thirty times is the least. `which`: a predicate for figures.
    """
    window = f"PARTITION BY {series.columns} ORDER BY number"
    large = f"greatest(abs(now), abs(before)) >= {size} * {series.least} AND {which}"
    return f"""
        WITH suspect AS (
            SELECT DISTINCT {series.columns} FROM history_step WHERE step = 1 AND abs(change) > {limit} AND {large}
        ),
        beside AS (
            SELECT step.*, change - coalesce(middle, 0) AS beyond
            FROM history_step AS step SEMI JOIN suspect USING ({series.columns})
            LEFT JOIN (SELECT number, middle FROM history_middle WHERE step = 1 AND column_name = '' AND NOT is_first)
                USING (number)
            WHERE step = 1
        ),
        around AS ({_around("beside", window)})
        SELECT {series.columns}, period, before, now
        FROM around JOIN history_judged USING (number)
        WHERE {large}
          AND abs(beyond) > greatest(if(other_changes >= {ENOUGH}, {limit}, {log(30)}), {factor} * others)
          AND (next_beyond IS NULL OR (beyond * next_beyond < 0 AND abs(next_beyond) > {limit}))"""


def _vanished(series: Series) -> Iterator[Rule]:
    """Yield the rules that figures do not vanish: absent, zero, missing or withheld where one of some size was."""
    yield _rule(
        series, "figures_vanished", "critical",
        "figures of some size must not vanish from one period to the next, or from what was published",
        f"""WITH gone AS (SELECT step, number, period, count(*) AS gone FROM history_gone GROUP BY ALL),
            held AS (SELECT step, number, count(*) AS figures FROM history_step
                     WHERE abs(before) >= {SOME} * {series.least}
                       AND {series.complete} GROUP BY ALL),
            share AS (SELECT *, gone / figures AS share FROM gone JOIN held USING (step, number))
            SELECT period, step = 0 AS was_published, gone, figures FROM share
            WHERE gone >= 3 AND share > greatest(0.01, 2 * (
                SELECT coalesce(max(o.share), 0) FROM share AS o
                WHERE o.step = share.step AND o.number <> share.number))""",
    )  # fmt: skip
    yield _rule(
        series, "period_thin", "warning",
        "figures must not be absent or withheld, however small, where the last period, or what was published, has them",
        f"""WITH lost AS (SELECT step, number, {series.measure} AS measure, count(*) AS figures,
                            count_if(now IS NULL AND status_now IS DISTINCT FROM 'not_applicable') AS lost
                          FROM history_step WHERE step <= 1 AND before IS NOT NULL AND {series.is_still_there}
                          GROUP BY ALL),
            share AS (SELECT *, lost / figures AS share FROM lost)
            SELECT period, step = 0 AS was_published, lost, figures FROM share JOIN history_judged USING (number)
            WHERE lost >= 3 AND figures >= {FEWEST} AND share > greatest(0.02, 2 * (
                SELECT coalesce(max(o.share), 0) FROM share AS o
                WHERE o.step = 1 AND o.measure = share.measure AND o.number <> share.number))""",
    )  # fmt: skip
    yield _rule(
        series, "withheld_anew", "warning",
        "a table that withholds nothing in its other periods must not begin to",
        """WITH held AS (SELECT number, period, count_if(value_status = 'suppressed') AS withheld
                         FROM history_cell GROUP BY ALL)
           SELECT period, withheld FROM held JOIN history_judged USING (number, period)
           WHERE withheld > 0 AND (SELECT max(o.withheld) FROM held AS o WHERE o.number <> held.number) = 0""",
    )  # fmt: skip
    is_count = series.source.unit in ("persons", "jobs", "dwellings") and series.source.jobindsats is None
    yield _rule(
        series, "figure_absent", "critical" if is_count else "warning",
        "a large figure must not be absent, missing or zero where the period before has one",
        f"""SELECT {series.columns}, period, before, status_now FROM history_gone
            WHERE abs(before) >= {LARGE} * least AND status_now IS DISTINCT FROM 'suppressed'
              AND ({series.amounts} OR ({series.whole_area}))""",
    )  # fmt: skip
    # What is published withholds cells, noughts among them, that were hidden here: to cover others, of which the
    # publisher still withholds one, and shares, which are therefore held against their own table alone.
    is_hidden_here = any(row["source_id"] == series.source.id for row in reference_rows("complementary_shares.csv"))
    yield _rule(
        series, "suppressed_as_zero", "critical",
        "figures that were withheld must not all be zero now",
        f"""SELECT period, count_if(now = 0) AS zeros, count(*) AS withheld
           FROM history_step JOIN history_period USING (number)
           WHERE status_before = 'suppressed'
             AND (step = 0 AND {not is_hidden_here} OR step = 1 AND number IN (SELECT number FROM history_judged))
           GROUP BY step, period HAVING withheld >= 5 AND zeros > 0.5 * withheld
             AND (step = 1 OR count_if(status_now = 'suppressed') = 0)""",
    )  # fmt: skip


def _sameness(series: Series) -> Iterator[Rule]:
    """Yield the rules that figures vary as figures do, and that they lie in the past."""
    yield _rule(
        series, "period_repeated", "critical",
        "a period must not be a copy of an earlier one",
        f"""SELECT period, step AS periods_back, round(100 * equal_share, 1) AS equal_pct
            FROM history_middle JOIN history_judged USING (number)
            WHERE column_name = '' AND step > 0 AND NOT is_first AND figures >= {FEWEST} AND equal_share > 0.9""",
    )  # fmt: skip
    # That figures stand still by chance: as often as its own did before, or as figures of the table do.
    told = "sum(equal_share * figures) {} / sum(figures) {}"
    window = "OVER (PARTITION BY column_name, code ORDER BY number ROWS BETWEEN {} PRECEDING AND {})"
    last, before = window.format(STILL - 1, "CURRENT ROW"), window.format("UNBOUNDED", f"{STILL} PRECEDING")
    yield _rule(
        series, "code_repeated", "warning",
        "the figures of an area or category must not stand still where they usually move",
        f"""WITH usual AS (SELECT {told.format("", "")} AS share FROM history_middle
                           WHERE column_name = '' AND step = 1 AND NOT is_first),
            still AS (SELECT *, sum(figures) {last} AS told, min(equal_share) {last} AS least,
                             {told.format(before, before)} AS own
                      FROM history_middle WHERE column_name <> '' AND step = 1 AND NOT is_first AND figures > 0)
            SELECT period, column_name, code, told AS figures FROM still JOIN usual ON true
            JOIN history_judged USING (number)
            WHERE least > 0.95 AND own IS NOT NULL AND told * ln(greatest(own, share, 0.0001)) < ln({BY_CHANCE})""",
    )  # fmt: skip
    yield _rule(
        series, "code_copied", "critical",
        "the figures of one area or category must not be those of another while they usually differ",
        _copies(series),
    )  # fmt: skip
    last_digit = f"round(abs(value) * {10**series.source.decimals}) % 10"
    yield _rule(
        series, "figures_in_tens", "critical",
        "figures do not all end in 0: all in tens or thousands is another unit, or decimals that were lost",
        f"""SELECT period, round(100 * avg(({last_digit} = 0)::INTEGER), 1) AS ending_in_0_pct
            FROM history_cell SEMI JOIN history_judged USING (period)
            WHERE abs(value) >= greatest({series.least}, {100 / 10**series.source.decimals}) AND {series.complete}
            GROUP BY period HAVING count(*) >= {FEWEST} AND ending_in_0_pct > 80""",
    )  # fmt: skip
    yield _rule(
        series, "figures_vary", "critical",
        "the figures of a period must not all be the same",
        f"""SELECT period, count(*) AS figures, any_value(value) AS value
            FROM history_cell SEMI JOIN history_judged USING (period) WHERE NOT _is_filled
            GROUP BY period HAVING figures >= {FEWEST} AND count(DISTINCT value) <= 1""",
    )  # fmt: skip
    yield _rule(
        series, "period_in_future", "critical",
        "a period must not lie in a year after the one in which its figures were received",
        f"""SELECT period, figures FROM history_period
            WHERE period[1:4] > (SELECT split_part(_snapshot_id, '/', 2)[1:4] FROM {series.table} LIMIT 1)""",
    )  # fmt: skip


def _copies(series: Series) -> str:
    """Return a SELECT of pairs of codes whose figures are the same in one period and in no other.

    They usually differ where their sums do, or where now the one, now the other has the larger figure: a total is never
    below its parts, and may come to equal the only one that is left.
    """
    prints, crossings = [], []
    for name in series.keys:
        column, others = quote_identifier(name), [quote_identifier(key) for key in series.keys if key != name]
        prints.append(
            f"SELECT {quote_literal(name)} AS column_name, {column} AS code, number, count(*) AS figures, "
            f"sum(value) AS whole, sum(hash({', '.join(['value', *others])})) AS print "
            f"FROM history_cell WHERE abs(value) >= {series.least} GROUP BY ALL HAVING figures >= {FEWEST}"
        )
        same = " AND ".join(f"a.{key} = b.{key}" for key in ("number", *others))
        crossings.append(
            "SELECT column_name, one, other, "
            "least(count_if(a.value > b.value), count_if(a.value < b.value)) / count(*) AS crossed "
            f"FROM once JOIN history_cell AS a ON column_name = {quote_literal(name)} AND a.{column} = one "
            f"JOIN history_cell AS b ON b.{column} = other AND {same} GROUP BY ALL"
        )
    return f"""
        WITH print AS ({" UNION ALL ".join(prints)}),
        pair AS (SELECT column_name, a.code AS one, b.code AS other, number, a.figures, a.print = b.print AS is_same,
                        abs(a.whole - b.whole) > 0.02 * abs(a.whole) AS is_apart
                 FROM print AS a JOIN print AS b USING (column_name, number) WHERE a.code < b.code),
        once AS (SELECT column_name, one, other, count_if(is_apart) AS apart FROM pair
                 GROUP BY ALL HAVING count_if(is_same) = 1 AND count_if(NOT is_same) >= {ENOUGH}),
        crossing AS ({" UNION ALL ".join(crossings)})
        SELECT period, column_name, one, other, figures FROM pair JOIN history_judged USING (number)
        JOIN once USING (column_name, one, other) LEFT JOIN crossing USING (column_name, one, other)
        WHERE is_same AND (apart >= {ENOUGH} OR crossed > 0.2)"""


def _swapped(series: Series) -> Iterator[Rule]:
    """Yield the rules that no two codes have changed places, and that the codes of a column do not jump about."""
    for column in series.keys:
        yield _rule(
            series, f"codes_swapped_{column}", "critical",
            f"the figures of two codes of {column} must not change places",
            _swaps(series, column),
        )  # fmt: skip
    others, least = "PARTITION BY step ORDER BY number", log(series.source.expectations.yearly_change)
    around = f"""
        WITH around AS (
            SELECT *, greatest(coalesce(max(spread) OVER ({others} {BEFORE}), 0),
                               coalesce(max(spread) OVER ({others} {AFTER}), 0)) AS widest,
                   least(min(spread) OVER ({others} {BEFORE}), min(spread) OVER ({others} {AFTER})) AS narrowest
            FROM history_middle WHERE column_name = '' AND NOT is_first)
        SELECT period, round(exp(spread), 3) AS spread, round(exp(narrowest), 3) AS narrowest,
               round(exp(widest), 3) AS widest
        FROM around JOIN history_judged USING (number)
        WHERE step = 1 AND figures >= {4 * FEWEST} AND other_changes >= {ENOUGH} AND"""
    yield _rule(
        series, "period_scattered", "critical",
        "the figures of a period must not move apart twice as much as they ever did",
        f"{around} spread > greatest({least} * years, 2 * (1 + {FEW}) * widest)",
    )  # fmt: skip
    yield _rule(
        series, "period_still", "warning",
        "the figures of a period must not stay within a fraction of what they moved at least until now",
        f"{around} spread < 0.3 * narrowest",
    )  # fmt: skip
    yield _rule(
        series, "codes_scattered", "critical",
        "the figures of many areas or categories must not jump in different directions at once",
        f"""SELECT period, step = 0 AS was_published, column_name, count(*) AS codes,
                   count_if(abs(out_of_line) > CASE WHEN step = 0 THEN {REVISED}
                       WHEN other_changes >= {ENOUGH} THEN greatest({log(1.05)}, 2 * others)
                       ELSE {log(1.3)} * years END) AS out_of_line
            FROM history_middle JOIN history_judged USING (number)
            WHERE column_name <> '' AND step <= 1 AND NOT is_first AND figures > 0
            GROUP BY ALL HAVING codes >= 20 AND out_of_line > 0.2 * codes""",
    )  # fmt: skip


def _swaps(series: Series, column: str) -> str:
    """Return a SELECT of pairs of codes that fit better crosswise than straight.

    Of the codes the twelve that moved most are tried. Two are swapped when each fits the other's past several times
    better than its own. Codes of few figures must also have moved beyond chance: four times as far as most codes, and
    twice as far as ever before.
    """
    code = quote_identifier(column)
    others = [quote_identifier(name) for name in series.keys if name != column]
    same = " AND ".join(f"n.{name} = b.{name}" for name in others)
    return f"""
        WITH straight AS (
            SELECT step, {code} AS code, avg(abs(log_now - log_before)) AS distance, count(*) AS figures
            FROM history_pair WHERE is_told GROUP BY ALL
        ),
        tried AS (
            SELECT *, coalesce((SELECT max(m.others) FROM history_middle AS m WHERE m.step = 1 AND straight.step = 1
                                AND m.column_name = {quote_literal(column)} AND m.code = straight.code), 0) AS ever
            FROM straight WHERE distance > 0
            QUALIFY row_number() OVER (PARTITION BY step ORDER BY distance DESC, code) <= 12
        ),
        usual AS (SELECT step, if(count(*) >= 10, median(distance), 0) AS most FROM straight GROUP BY ALL),
        crosswise AS (
            SELECT n.step, n.{code} AS one, b.{code} AS other, avg(abs(n.log_now - b.log_before)) AS distance
            FROM history_pair AS n SEMI JOIN tried AS t ON t.step = n.step AND t.code = n.{code}
            JOIN (FROM history_pair AS x SEMI JOIN tried AS t ON t.step = x.step AND t.code = x.{code}) AS b
                ON n.step = b.step AND n.number = b.number AND n.{code} <> b.{code} AND {same or "true"}
            WHERE n.is_told OR b.is_told
            GROUP BY ALL
        )
        SELECT {quote_literal(column)} AS column_name, x.one, x.other, x.step = 0 AS was_published, a.figures
        FROM crosswise AS x
        JOIN crosswise AS y ON y.step = x.step AND y.one = x.other AND y.other = x.one
        JOIN tried AS a ON a.step = x.step AND a.code = x.one
        JOIN tried AS b ON b.step = x.step AND b.code = x.other
        JOIN usual ON usual.step = x.step
        WHERE x.one < x.other AND x.distance < 0.4 * a.distance AND y.distance < 0.4 * b.distance
          AND (least(a.figures, b.figures) >= 10
               OR (least(a.distance, b.distance) > 4 * most AND a.distance > 2 * a.ever AND b.distance > 2 * b.ever))"""


def _against_published(series: Series) -> Iterator[Rule]:
    """Yield the rules against the last published build."""
    number = ordinal(series.source, "period")
    yield _rule(
        series, "period_lost", "critical",
        "a published period must not disappear, unless a query for the latest periods moved on",
        f"""WITH past AS (SELECT DISTINCT period FROM {series.past} WHERE period NOT IN ({series.accepted}))
            SELECT period FROM past ANTI JOIN history_period USING (period)
            WHERE {series.is_asked_for}""",
    )  # fmt: skip
    yield _rule(
        series, "period_skipped", "critical",
        "a new period must follow those published without a hole",
        f"""WITH step AS (SELECT *, {number} - lag({number}) OVER (ORDER BY period) AS length
                          FROM history_period)
            SELECT period, length FROM step WHERE NOT is_known AND length > (SELECT min(length) FROM step)""",
    )  # fmt: skip
    yield _rule(
        series, "period_revised", "critical",
        "not a tenth of the published figures of a period may change by more than a twentieth",
        f"""SELECT period, count(*) AS figures, count_if(coalesce(abs(change) > {REVISED}, true)) AS moved
            FROM history_step JOIN history_judged USING (number)
            WHERE step = 0 AND is_told AND now IS NOT NULL AND before IS NOT NULL
            GROUP BY period HAVING moved > {REVISED_SHARE} * figures AND moved >= 3""",
    )  # fmt: skip
    yield _rule(
        series, "period_relabelled", "critical",
        "the published figures of one period must not come back under another",
        f"""SELECT cell.period, past.period AS published_as, count(*) AS figures
            FROM history_cell AS cell SEMI JOIN history_judged USING (period)
            JOIN {series.past} AS past ON past.period <> cell.period
                 AND {" AND ".join(f"past.{name} = cell.{name}" for name in map(quote_identifier, series.keys))}
            WHERE abs(past.value) >= {series.least.replace("measure_name", "past.measure_name")}
            GROUP BY ALL HAVING count_if(cell.value = past.value) > 0.9 * figures AND figures >= {FEWEST}""",
    )  # fmt: skip
    known = "FROM history_step JOIN history_period USING (number) WHERE step = 0 AND"
    yield _rule(
        series, "figures_gone", "warning",
        "published figures, however small, must not be zero or absent now in more than one of two thousand",
        """SELECT count_if(is_gone) AS gone, count(*) AS figures, min(period) FILTER (WHERE is_gone) AS first_period
           FROM (SELECT *, coalesce(now, 0) = 0 AND status_now IS DISTINCT FROM 'suppressed' AS is_gone
                 FROM history_step JOIN history_period USING (number) WHERE step = 0 AND before <> 0)
           HAVING gone >= 3 AND gone > 0.0005 * figures""",
    )  # fmt: skip
    yield _rule(
        series, "figure_revised", "critical",
        "a large published figure must not be corrected to five times or to a fifth",
        f"""SELECT {series.columns}, period, before, now {known} (abs(change) > {log(5)} OR before = 0)
              AND greatest(abs(now), abs(before)) >= {LARGE} * {series.least}""",
    )  # fmt: skip
    yield _rule(
        series, "figure_revised_unusual", "warning",
        "a published figure was corrected by more than a fifth",
        f"SELECT {series.columns}, period, before, now {known} is_told AND abs(change) > {log(1.2)}",
    )  # fmt: skip

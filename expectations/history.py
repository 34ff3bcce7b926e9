"""Rules that hold the figures of one source against their own past and against each other.

Every figure is compared with the one before it in its series (`step` 1), with the same season a year before, and with
what the last published build has at the same place (`step` 0). The comparison is a difference of logarithms, so one
scale fits counts, kroner and per cent, and a small figure, which chance moves much, moves little (`started_log`). What
is usual is learned from the series' other changes: a bound is a multiple of the largest of them, never below a floor.

Once published a period is the past: it is judged again only where its figures differ from those published.

The rules are SQL files in `rules/history`, filled in for one source; the tables of changes that they read are made by
those in `rules/history/tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import log
from pathlib import Path

from expectations.derived import ordinal
from expectations.rules import FOLDER, Rule, SqlTemplates, literals
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
# A large figure is so many times that size: its loss is a fault by itself.
LARGE = 10
# Larger tables are held against their past in their newest periods only: as many as have about so many rows.
JUDGED_ROWS = 700_000
# Areas that no table may lose: the others come and go with the map.
STAYING = ("country", "municipality")
SEASONS = {"quarter": 4, "month": 12}


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
    def steps(self) -> list[int]:
        """Return how many periods back a figure is compared: one, and where the table has seasons a year."""
        return [1, *(season for kind, season in SEASONS.items() if kind == self.source.period_kind)]

    @property
    def ordinal(self) -> str:
        """Return SQL for a period as a running number."""
        return ordinal(self.source, "period")

    @property
    def is_hidden_here(self) -> bool:
        """Tell whether cells of the source are hidden here to cover shares that its publisher withholds."""
        return any(row["source_id"] == self.source.id for row in reference_rows("complementary_shares.csv"))

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


# The tables the rules read, and the rules: SQL files filled in for one source.


TABLES = ("period", "cell", "step", "judged", "gone", "middle", "pair")
RULES = (
    "period_level", "period_level_unusual", "code_level", "code_level_unusual", "figure_level", "figure_level_unusual",
    "figures_vanished", "period_thin", "withheld_anew", "figure_absent", "suppressed_as_zero",
    "period_repeated", "code_repeated", "code_copied", "figures_in_tens", "figures_vary", "period_in_future",
    "codes_swapped", "period_scattered", "period_still", "codes_scattered",
)  # fmt: skip
AGAINST_PUBLISHED = (
    "period_lost", "period_skipped", "period_revised", "period_relabelled", "figures_gone", "figure_revised",
    "figure_revised_unusual",
)  # fmt: skip
"""The rules in the order in which they are run and told; of the second kind where there is a published build."""


def same(one: str, other: str, names: Iterable[str]) -> str:
    """Return a predicate that two tables have the same in these columns."""
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in map(quote_identifier, names)) or "true"


SQL = SqlTemplates(
    FOLDER / "history",
    {
        "log": log,
        "same": same,
        "LARGE": LARGE,
        # So many times the least size is some size: its loss is counted.
        "SOME": 5,
        # How many times the largest of the other changes is still usual, and how many are needed to tell.
        "USUAL": 1.5,
        "ENOUGH": 3,
        # How many other changes must be known before seasons, or codes of few figures, are judged by them.
        "LONG": 8,
        # Figures needed to speak of a period as a whole.
        "FEWEST": 20,
        # Revisions move single figures a little: by more than a twentieth is something else.
        "REVISED": log(1.05),
    },
)


def prepare(warehouse: Warehouse, series: Series) -> None:
    """Make the temporary tables the rules read: cells, changes, and their middles by period and code."""
    first = ""
    for name in TABLES:
        select = SQL.sql(f"tables/{name}.sql", series=series, first=first)
        warehouse.execute(f"CREATE OR REPLACE TEMP TABLE history_{name} AS {select}")
        if name == "period":
            newest = f"figures_since <= {JUDGED_ROWS} OR number >= (SELECT max(number) - 1 FROM history_period)"
            first = warehouse.scalar(f"SELECT min(period) FROM history_period WHERE {newest}") or ""


def forget(warehouse: Warehouse) -> None:
    """Drop what `prepare` made."""
    for name in TABLES:
        warehouse.execute(f"DROP TABLE history_{name}")


def history_rules(series: Series) -> Iterator[Rule]:
    """Yield the rules of one source against its past; they read the tables that `prepare` makes."""
    for name in (*RULES, *AGAINST_PUBLISHED) if series.past else RULES:
        for column in series.keys if name == "codes_swapped" else ("",):
            yield SQL.rule(name, series.table, series.source.owner, column, series=series)

"""The sample world as StatBank tables: any codes of any of the tables, with totals, marks and periods.

SYNTHETIC / SYNTETISKE DATA. Every table is summed from the same people and counts, so margins agree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import ThreadpoolController

from flows.sample import recipes
from flows.sample.axes import Ask
from flows.sample.places import Floats
from flows.sample.truth import INVENTED
from flows.sample.world import World
from transforms.catalogue import Catalogue, Source, load_catalogue
from transforms.errors import UsageError
from transforms.periods import span

# Figures as the publisher prints them: text with a point, `..` where nothing is shown.


MARK = ".."


def as_table(ask: Ask, shown: list[str], values: list[Floats], suppress_below: int) -> pa.Table:
    """Return the cells as a table of text columns; `values` holds one array per period."""
    cells = np.stack(values, axis=-1) if values else np.zeros([len(codes) for codes in ask.selection.values()])
    shape = tuple(len(codes) for codes in ask.selection.values())
    cells = np.where((cells > 0) & (cells < suppress_below), np.nan, cells.reshape(shape)).ravel()
    columns = {}
    for axis, (name, codes) in enumerate(ask.selection.items()):
        if name in shown:
            inner = int(np.prod(shape[axis + 1 :]))
            position = np.tile(np.repeat(np.arange(shape[axis]), inner), int(np.prod(shape[:axis])))
            columns[name] = pa.array(codes, pa.string()).take(pa.array(position))
    return pa.table({**columns, "value": _printed(cells, ask.source.decimals)})


def _printed(cells: Floats, decimals: int) -> pa.Array:
    missing = np.isnan(cells)
    units = np.round(np.where(missing, 0, cells) * 10**decimals).astype(np.int64)
    text = pc.cast(pa.array(np.abs(units) // 10**decimals), pa.string())
    if decimals:
        after = pc.utf8_lpad(pc.cast(pa.array(np.abs(units) % 10**decimals), pa.string()), decimals, "0")
        text = pc.binary_join_element_wise(text, after, ".")
    if (units < 0).any():
        text = pc.if_else(pa.array(units < 0), pc.binary_join_element_wise("-", text, ""), text)
    return pc.if_else(pa.array(missing), MARK, text)


# Periods as the publisher writes them (2016, 2016K1, 2016M01) and the days they speak of.


_FIXED_DAYS = {"october": (10, 1), "november": (11, 30)}


def all_periods(first: str, last_year: int) -> list[str]:
    """Return every period of the kind of `first`, from it to the end of `last_year`."""
    kind = first[4:5]
    years = range(int(first[:4]), last_year + 1)
    if not kind:
        return [str(year) for year in years]
    width, count = (1, 4) if kind == "K" else (2, 12)
    periods = [f"{year}{kind}{part:0{width}d}" for year in years for part in range(1, count + 1)]
    return [period for period in periods if period >= first]


def reference_day(period: str, reference: str) -> date:
    """Return the day a period speaks of: its start, 1 October, the end of November, or its end."""
    if reference in _FIXED_DAYS:
        return date(int(period[:4]), *_FIXED_DAYS[reference])
    return span(period)[0 if reference == "start" else 1]


Reference = Literal["start", "october", "november", "end"]
PUBLISHED_AT = time(8, 0)


@dataclass(frozen=True)
class Recipe:
    """How a table is made: its first period, the day a period speaks of, and the counts of one period."""

    first: str
    reference: Reference
    suppress_below: int = 0
    """Counts from 1 up to, not including, this are shown as `..`."""


RECIPES = {table: Recipe(**row) for table, row in INVENTED["tables"].items()}
FIRST = {"year": "2008", "quarter": "2008K1", "month": "2021M01"}
"""The first period of a table without a row above: it has figures from the day its source file is written."""


class Cubes:
    """The tables of one world. Cheap to make: nothing is simulated before a figure is asked for."""

    def __init__(self, world: World, catalogue: Catalogue | None = None) -> None:
        self.world = world
        self.vintage = world.vintage
        self.catalogue = catalogue or load_catalogue()
        self._lock = threading.Lock()

    def periods(self, table: str) -> list[str]:
        """Return the periods published by the vintage, ascending; none for a table that is no source."""
        if self.catalogue.by_table(table) is None:
            return []
        source, recipe = self._find(table)
        lag = timedelta(days=source.publication_lag_days)
        return [
            period
            for period in all_periods(recipe.first, self.vintage.year)
            if reference_day(period, recipe.reference) + lag <= self.vintage
        ]

    def updated(self, table: str) -> datetime:
        """Return when the newest period was published: its reference day plus the publisher's lag, 8 o'clock.

        Raises UsageError for a table that is no source.
        """
        source, recipe = self._find(table)
        periods = self.periods(table)
        day = reference_day(periods[-1] if periods else recipe.first, recipe.reference)
        return datetime.combine(day + timedelta(days=source.publication_lag_days), PUBLISHED_AT)

    def answer(self, table: str, selection: Mapping[str, Sequence[str]]) -> pa.Table:
        """Return one row per combination of the codes: a column per dimension and `value` as printed.

        Dimensions stand in the table's order; one that the selection leaves out is summed (`_ALL`) and has
        no column. `value` is text with a decimal point, `..` where the publisher would show no figure.
        Raises UsageError for a table, dimension, period or code that is not there.
        """
        source, recipe = self._find(table)
        ask, shown = self._ask(source, selection)
        periods = ask.selection[source.time.id]
        known = set(self.periods(table))
        for period in periods:
            if period not in known:
                raise UsageError(f"{source.table} has no period {period}")

        count = _count_function(source)
        # On matrices this small a second thread of the matrix library only spins, at a core's cost.
        with self._lock, _controller().limit(limits=1, user_api="blas"):
            values = [count(ask, period) for period in periods]
        return as_table(ask, shown, values, recipe.suppress_below)

    def _find(self, table: str) -> tuple[Source, Recipe]:
        source = self.catalogue.by_table(table)
        if source is None:
            raise UsageError(f"the sample world has no table {table}; it has {', '.join(sorted(RECIPES))}")
        return source, RECIPES.get(source.table or "", Recipe(FIRST[source.frequency or "year"], "end"))

    def _ask(self, source: Source, selection: Mapping[str, Sequence[str]]) -> tuple[Ask, list[str]]:
        """Return the question with every dimension filled in, and the dimensions to show."""

        given = {source.dimension(name).id: list(codes) for name, codes in selection.items()}
        filled = {}
        for dimension in source.dimensions:
            if dimension.id not in given and (dimension.role == "time" or dimension.total is None):
                raise UsageError(f"{source.table} needs codes for {dimension.id}")
            filled[dimension.id] = given.get(dimension.id, [dimension.total or ""])
        return Ask(self.world, self.catalogue, source, filled), [d.id for d in source.dimensions if d.id in given]


_controller = cache(ThreadpoolController)


def _count_function(source: Source) -> Callable[[Ask, str], Floats]:
    """Return the function that counts one period: the one of `recipes.py` with the table's name, else `divided`."""
    count: Callable[[Ask, str], Floats] = getattr(recipes, (source.table or "").lower(), recipes.divided)
    return count

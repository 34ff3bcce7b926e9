"""The sample world as StatBank tables: any codes of any of the tables, with totals, marks and periods.

SYNTHETIC / SYNTETISKE DATA. Every table is summed from the same people and counts, so margins agree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal

from flows.sample.cubes_periods import all_periods, reference_day
from flows.sample.world import World
from transforms.catalogue import Catalogue, load_catalogue
from transforms.errors import UsageError
from transforms.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa
    from threadpoolctl import ThreadpoolController

    from flows.sample.cubes_ask import Ask
    from flows.sample.world_areas import Floats

Reference = Literal["start", "october", "november", "end"]
PUBLISHED_AT = time(8, 0)


@dataclass(frozen=True)
class Recipe:
    """How a table is made: its first period, the day a period speaks of, and the counts of one period."""

    first: str
    reference: Reference
    module: str
    suppress_below: int = 0
    """Counts from 1 up to, not including, this are shown as `..`."""


RECIPES: dict[str, Recipe] = {
    "FOLK1A": Recipe("2008K1", "start", "people"),
    "FOLK1AM": Recipe("2021M10", "start", "people"),
    "FOLK1E": Recipe("2008K1", "start", "people"),
    "INDOPH1": Recipe("2008", "start", "people"),
    "HFUDD11": Recipe("2008", "october", "people"),
    "VAN1AAR": Recipe("2008", "end", "people"),
    "RAS200": Recipe("2008", "november", "work"),
    "RAS201": Recipe("2008", "november", "work"),
    "RAS302": Recipe("2008", "november", "work"),
    "RAS308": Recipe("2008", "november", "work"),
    "PEND100": Recipe("2008", "november", "work"),
    "PEND101": Recipe("2008", "november", "work"),
    "ERHV2": Recipe("2008", "november", "work"),
    "AULKP01": Recipe("2008K1", "end", "support"),
    "AUK01": Recipe("2008K1", "end", "support"),
    "KY038": Recipe("2008", "end", "support", suppress_below=5),
    "INDKP101": Recipe("2008", "end", "means"),
    "BOL101": Recipe("2010", "start", "means"),
    "REGK31": Recipe("2008", "end", "means"),
}


class Cubes:
    """The tables of one world. Cheap to make: nothing is simulated before a figure is asked for."""

    def __init__(self, world: World, catalogue: Catalogue | None = None) -> None:
        self.world = world
        self.catalogue = catalogue or load_catalogue()
        self._lock = threading.Lock()

    def periods(self, table: str) -> list[str]:
        """Return the periods published by the vintage, ascending; none for a table without a recipe.

        A source may be written before the sample world has figures for it.
        """
        if not self._has(table):
            return []
        source, recipe = self._find(table)
        lag = timedelta(days=source.publication_lag_days)
        return [
            period
            for period in all_periods(recipe.first, self.world.vintage.year)
            if reference_day(period, recipe.reference) + lag <= self.world.vintage
        ]

    @property
    def vintage(self) -> date:
        """Return the day as of which the world is known."""
        return self.world.vintage

    def updated(self, table: str) -> datetime:
        """Return when the newest period was published: its reference day plus the publisher's lag, 8 o'clock.

        Raises UsageError for a table without a recipe.
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
        from flows.sample.cubes_print import as_table

        count = _count_function(recipe, source)
        with self._lock, one_thread():
            values = [count(ask, period) for period in periods]
        return as_table(ask, shown, values, recipe.suppress_below)

    def _has(self, table: str) -> bool:
        source = self.catalogue.by_table(table)
        return source is not None and source.table in RECIPES

    def _find(self, table: str) -> tuple[Source, Recipe]:
        source = self.catalogue.by_table(table)
        if source is None or source.table not in RECIPES:
            raise UsageError(f"the sample world has no table {table}; it has {', '.join(sorted(RECIPES))}")
        return source, RECIPES[source.table]

    def _ask(self, source: Source, selection: Mapping[str, Sequence[str]]) -> tuple[Ask, list[str]]:
        """Return the question with every dimension filled in, and the dimensions to show."""
        from flows.sample.cubes_ask import Ask

        given = {source.dimension(name).id: list(codes) for name, codes in selection.items()}
        filled = {}
        for dimension in source.dimensions:
            if dimension.id not in given and (dimension.role == "time" or dimension.total is None):
                raise UsageError(f"{source.table} needs codes for {dimension.id}")
            filled[dimension.id] = given.get(dimension.id, [dimension.total or ""])
        return Ask(self.world, self.catalogue, source, filled), [d.id for d in source.dimensions if d.id in given]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the matrix library to one thread: on matrices this small a second one only spins, at a core's cost."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController as Controller

    return Controller()


def _count_function(recipe: Recipe, source: Source) -> Callable[[Ask, str], Floats]:
    """Return the function that counts one period; modules are loaded when first needed."""
    from importlib import import_module

    module = import_module(f"flows.sample.cubes_{recipe.module}")
    count: Callable[[Ask, str], Floats] = getattr(module, (source.table or "").lower())
    return count

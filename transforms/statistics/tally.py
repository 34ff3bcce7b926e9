"""Whole counts per cell of coded columns: they add exactly, in any order, and take a few bytes a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd


Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.unsignedinteger[Any]]
ROOM = int(np.iinfo(np.int64).max)
FEW = 4096
"""Whole numbers below it are their own places."""


@dataclass(frozen=True)
class Tally:
    """Cells, each with its count: `codes` gives per column the place of each cell's value in `levels`.

    After `added` no two cells are alike, they lie in the order of their values, column by column, and no level stands
    unused: one state for one content, however it was added up. None is the last level; numbers may have NaN there.
    """

    levels: Mapping[str, tuple[Any, ...]] = field(repr=False)
    codes: Mapping[str, Codes] = field(repr=False)
    count: Integers = field(repr=False)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.count)

    def values(self, name: str) -> npt.NDArray[Any]:
        """Return the value of a column per cell."""
        levels = self.levels[name]
        kind = None if levels and all(isinstance(level, (bool, int, float)) for level in levels) else "object"
        return np.array(levels, dtype=kind if levels else "object")[self.codes[name]]

    def frame(self, name: str = "count") -> pd.DataFrame:
        """Return the cells as rows, the count under `name`."""
        import pandas as pd

        return pd.DataFrame({each: self.values(each) for each in self.levels} | {name: self.count})

    def where(self, wanted: npt.NDArray[np.bool_] | Integers | slice) -> Tally:
        """Return the wanted cells, where that is all of them these very ones; levels stay as they are."""
        if not isinstance(wanted, slice) and wanted.dtype == np.bool_ and wanted.all():
            return self
        return Tally(self.levels, {name: codes[wanted] for name, codes in self.codes.items()}, self.count[wanted])

    def only(self, names: Sequence[str]) -> Tally:
        """Return the cells with these columns alone, as they lie: cells may be alike now."""
        return Tally({n: self.levels[n] for n in names}, {n: self.codes[n] for n in names}, self.count)

    def with_columns(self, columns: Mapping[str, npt.NDArray[Any] | pd.Series[Any]]) -> Tally:
        """Return the cells with more columns, given as a value per cell."""
        levels, codes = dict(self.levels), dict(self.codes)
        for name, values in columns.items():
            levels[name], codes[name] = _coded(values)
        return Tally(levels, codes, self.count)

    def renamed(self, name: str, new: str, value_of: Callable[[Any], Any]) -> Tally:
        """Return the cells with a column replaced in its place by another value of each level."""
        levels, to = _merged([value_of(level) for level in self.levels[name]])
        return Tally(
            {new if n == name else n: levels if n == name else old for n, old in self.levels.items()},
            {new if n == name else n: to[codes] if n == name else codes for n, codes in self.codes.items()},
            self.count,
        )

    def parts(self, name: str) -> Iterator[Tally]:
        """Yield the cells of one value of the first column after another."""
        edges = np.searchsorted(self.codes[name], np.arange(len(self.levels[name]) + 1))
        for low, high in pairwise(edges.tolist()):
            if high > low:
                yield self.where(slice(low, high))

    def by(self, name: str) -> Integers:
        """Return the sum of the counts per level of a column."""
        return np.bincount(self.codes[name], self.count, len(self.levels[name])).astype(np.int64)


def tally(frame: pd.DataFrame, names: Sequence[str], count: npt.NDArray[Any] | None = None) -> Tally:
    """Return the cells of rows: how many are alike in the columns `names`, or the sum of their `count`."""
    ones = np.ones(len(frame), dtype=np.int64) if count is None else np.asarray(count, dtype=np.int64)
    return added([Tally({}, {}, ones).with_columns({name: frame[name] for name in names})])


def added(parts: Sequence[Tally]) -> Tally:
    """Return the sum of tallies. A column that one of them lacks is empty (None) there.

    The first column stays the first, the others follow by name.
    """
    first = next(iter(parts[0].levels))
    names = [first, *sorted({name for part in parts for name in part.levels} - {first})]
    levels: dict[str, tuple[Any, ...]] = {}
    codes: dict[str, Codes] = {}
    for name in names:
        given = [part.levels.get(name, (None,)) for part in parts]
        places = [part.codes.get(name, np.zeros(len(part), dtype=np.uint8)) for part in parts]
        seen = [np.flatnonzero(np.bincount(place)).tolist() for place in places]
        found = [old[i] for old, used in zip(given, seen, strict=True) for i in used]
        levels[name], to = _merged(found) if len(parts) > 1 else (tuple(found), np.arange(len(found)))
        columns, begin = [], 0
        for place, old, used in zip(places, given, seen, strict=True):
            own = np.zeros(max(len(old), 1), dtype=_small(len(levels[name])))
            own[used] = to[begin : begin + len(used)]
            begin += len(used)
            columns.append(own[place])
        codes[name] = np.concatenate(columns)
    count = np.concatenate([part.count for part in parts])
    order, new = grouped([(codes[name], len(levels[name])) for name in names], len(count))
    if not len(new):
        return Tally(levels, codes, count)
    return Tally(levels, {n: c[order[new]] for n, c in codes.items()}, np.add.reduceat(count[order], new))


def grouped(columns: Iterable[tuple[Codes, int]], size: int) -> tuple[Integers, Integers]:
    """Return the order that sorts rows by coded columns (codes, number of levels), and where each new value begins."""
    words: list[Integers] = []
    room = ROOM
    for codes, count in columns:
        if not words or room * count > ROOM:
            words.append(np.zeros(size, dtype=np.int64))
            room = 1
        words[-1] *= count
        words[-1] += codes
        room *= max(count, 1)
    order = np.lexsort(words[::-1]) if words else np.arange(size)
    new = np.zeros(size, dtype=np.bool_)
    new[:1] = True
    for word in words:
        ranked = word[order]
        new[1:] |= ranked[1:] != ranked[:-1]
    return order, np.flatnonzero(new)


def _coded(values: npt.NDArray[Any] | pd.Series[Any]) -> tuple[tuple[Any, ...], Codes]:
    """Return the levels of a column, ascending, and each row's place among them."""
    import pandas as pd

    column = pd.Series(values)
    if column.dtype == bool:
        return (False, True), column.to_numpy().astype(np.uint8)
    if (
        isinstance(column.dtype, np.dtype)
        and column.dtype.kind in "iu"
        and len(column)
        and column.min() >= 0
        and column.max() < FEW
    ):
        count = int(column.max()) + 1
        return tuple(range(count)), column.to_numpy().astype(_small(count))
    if isinstance(column.dtype, pd.CategoricalDtype):
        told, to = _merged([*column.cat.categories.tolist(), None])
        return told, to[column.cat.codes]
    numeric = pd.api.types.is_float_dtype(column.dtype)
    codes, uniques = pd.factorize(column, sort=True, use_na_sentinel=True)
    levels = list(np.asarray(uniques).tolist())
    if (codes < 0).any():
        codes = np.where(codes < 0, len(levels), codes)
        levels.append(float("nan") if numeric else None)
    return tuple(levels), codes.astype(_small(len(levels)))


def _key(level: Any) -> Any:
    return "NaN" if isinstance(level, float) and level != level else (type(level) is bool, level)


def _merged(found: Sequence[Any]) -> tuple[tuple[Any, ...], Codes]:
    """Return the distinct levels, ascending with None and NaN last, and the place of each given one among them."""
    distinct = {_key(level): level for level in found}
    ordered = sorted(
        distinct.values(), key=lambda level: (level is None or level != level, 0 if level is None else level)
    )
    place = {_key(level): i for i, level in enumerate(ordered)}
    return tuple(ordered), np.array([place[_key(level)] for level in found], dtype=_small(len(ordered)))


def _small(count: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if count <= 2**8 else np.uint16 if count <= 2**16 else np.uint32

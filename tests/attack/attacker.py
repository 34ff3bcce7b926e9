"""An attacker who knows the method, the settings and everything published, and wants exact small counts of persons.

The truth is only used to judge what the attacker claims. Every numeric column of every published table that the
lineage says is made of person rows is tried; there is no list of columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from expectations.derived import NUMBERS, fed_by_persons
from transforms.models.persons import PersonData, newcomer_counts, placements
from transforms.warehouse import Warehouse

Key = tuple[str, ...]
Series = Mapping[Key, float]
GRAIN = ("municipality_code", "industry_code")
LARGEST = 1500
CERTAIN = 0.5
"""An attacker who is right in half of all cells by one way of reading a column knows that the column is open."""
MANY = 3
"""… and right for more than so many different counts: a column that is always 1 fits every rare event."""
FEWEST = 20


@dataclass(frozen=True)
class Column:
    """One series of published numbers: a column, of the rows with one label where rows are told apart by labels."""

    table: str
    column: str
    label: str
    values: Series = field(repr=False)
    denominators: Series = field(repr=False)


@dataclass
class Found:
    """What an attack came to."""

    columns: int = 0
    small: int = 0
    exact: list[tuple[str, str, str, str, Key]] = field(default_factory=list)
    bounded: list[tuple[str, Key, float, float]] = field(default_factory=list)


def truth_of(data: PersonData, crosswalk: pd.DataFrame) -> dict[str, dict[Key, int]]:
    """Return every exact count the attacker is after, by name: the parts, the others beside them, and the wholes."""
    found: dict[str, dict[Key, int]] = {}
    for code, indicator, k, n in newcomer_counts(data).itertuples(index=False):
        found.setdefault(indicator, {})[code,] = int(k)
        found.setdefault(f"not {indicator}", {})[code,] = int(n - k)
    placed = placements(data, crosswalk)
    for code, industry in placed[["municipality_code", "industry_code"]].itertuples(index=False):
        cell = found.setdefault("placements", {})
        cell[code, industry] = cell.get((code, industry), 0) + 1
    for code, n in placed.groupby("municipality_code").size().items():
        found.setdefault("all placements", {})[str(code),] = int(n)
    for code, n in data.cases.groupby("municipality_code").size().items():
        found.setdefault("cases", {})[str(code),] = int(n)
    return found


def published_columns(database: Path) -> list[Column]:
    """Return the series of every numeric column of tables made of person rows, by the lineage that is published."""
    with Warehouse.open(database, read_only=True) as warehouse:
        fed = fed_by_persons(warehouse.rows("SELECT table_name, reads_table FROM meta.lineage"))
        found = []
        for table in sorted(name for name in fed if warehouse.exists(name)):
            columns = warehouse.columns(f"SELECT * FROM {table}")
            frame = warehouse.frame(f"SELECT * FROM {table}")
            found += list(_series(table, frame, [name for name, kind in columns if kind.upper().startswith(NUMBERS)]))
    return found


def _series(table: str, frame: pd.DataFrame, numeric: list[str]) -> Iterable[Column]:
    keys = [name for name in GRAIN if name in frame]
    labels = [
        name
        for name in ("indicator_id", "outcome_id", "finding_id", "method_code", "context_code", "period", "figure_id",
                     "group_kind")
        if name in frame
    ]  # fmt: skip
    for label, part in frame.groupby(labels, dropna=False) if labels else [((), frame)]:
        index: list[Key] = [tuple(map(str, row)) for row in part[keys].to_numpy()] if keys else [()] * len(part)
        numbers = {name: _numbers(index, part[name]) for name in numeric}
        denominators = numbers.get("denominator") or numbers.get("n_count") or {}
        for name in numeric:
            if len(numbers[name]) >= FEWEST:
                yield Column(table, name, " ".join(map(str, label)), numbers[name], denominators)


def _numbers(index: list[Key], column: pd.Series[float]) -> dict[Key, float]:
    values = column.astype("float64").to_numpy()
    return {key: float(value) for key, value in zip(index, values, strict=True) if np.isfinite(value)}


def attack(columns: list[Column], truth: Mapping[str, Mapping[Key, int]], threshold: int, base: int) -> Found:
    """Return which small counts can be read off: by the number itself, by quotients and by the digits of shares.

    A way of reading a column counts when it is right in half of the cells whose true count is no multiple of the base:
    less is chance, for small numbers equal one another now and then.
    """
    found = Found(len(columns), sum(0 < n < threshold for cells in truth.values() for n in cells.values()))
    wholes = _guessed_wholes(columns)
    for column in columns:
        for way, claims in _readings(column, wholes).items():
            for name, cells in truth.items():
                shared = [key for key in claims if key in cells and cells[key] % base]
                if len(shared) < FEWEST:
                    continue
                right = [key for key in shared if abs(claims[key] - cells[key]) < 0.02]
                if len(right) > CERTAIN * len(shared) and len({cells[key] for key in right}) > MANY:
                    found.exact += [
                        (column.table, f"{column.column} {column.label}", way, name, key)
                        for key in shared
                        if key in right and cells[key] < threshold
                    ] or [(column.table, f"{column.column} {column.label}", way, name, right[0])]
    return found


def _readings(column: Column, wholes: Mapping[tuple[str, str, float], int]) -> dict[str, dict[Key, float]]:
    """Return the ways a number may be read as a count of persons."""
    values = column.values
    ways = {"as it stands": dict(values)}
    ways["share of its denominator"] = {
        key: value * column.denominators[key] / 100 for key, value in values.items() if key in column.denominators
    }
    ways["denominator less share"] = {
        key: column.denominators[key] * (1 - value / 100) for key, value in values.items() if key in column.denominators
    }
    guessed = {key: wholes.get(_company(column, key)) for key in values if key}
    ways["share of the whole its digits tell"] = {
        key: values[key] * whole / 100 for key, whole in guessed.items() if whole is not None
    }
    return ways


def _company(column: Column, key: Key) -> tuple[str, str, float]:
    """Return what shares of one whole have in common: column, municipality, and the denominator where one is told."""
    return f"{column.table}.{column.column}", key[0], column.denominators.get(key, -1.0)


def _guessed_wholes(columns: list[Column]) -> dict[tuple[str, str, float], int]:
    """Return the least number of which all shares of one company are whole parts, to the digits they are told with."""
    shares: dict[tuple[str, str, float], set[float]] = {}
    for column in columns:
        for key, value in column.values.items():
            if key and 0 < value < 100 and value != int(value):
                shares.setdefault(_company(column, key), set()).add(value)
    sizes = np.arange(2, LARGEST)
    found: dict[tuple[str, str, float], int] = {}
    for company, values in shares.items():
        parts = np.array(sorted(values))[:60, None] * sizes[None, :] / 100
        fits = np.abs(parts - np.round(parts)).max(axis=0) < 1e-6 * sizes + 1e-9
        if fits.any():
            found[company] = int(sizes[np.argmax(fits)])
    return found


def bounds(told: Fraction | int, base: int) -> tuple[int, int]:
    """Return what a rounded count says of the exact one."""
    return max(0, int(told) - base + 1), int(told) + base - 1


def narrowed(
    releases: list[Mapping[str, Mapping[Key, tuple[float, float | None]]]], base: int
) -> dict[str, dict[Key, tuple[int, int]]]:
    """Return the bounds of every part and of the others beside it, over one or two releases taken to hold the same.

    `releases`: indicator -> municipality -> (published part, published whole). The whole limits the part, the part
    limits the whole, and the whole less the part bounds the others; two releases are intersected.
    """
    found: dict[str, dict[Key, tuple[int, int]]] = {}
    for release in releases:
        for indicator, cells in release.items():
            for key, (part, whole) in cells.items():
                low, high = bounds(int(part), base)
                limits = {indicator: (low, high)}
                if whole is not None:
                    least, most = bounds(int(whole), base)
                    limits = {
                        indicator: (low, min(high, most)),
                        f"not {indicator}": (max(0, least - high), most - low),
                        "newcomers_count": (max(least, low), most),
                    }
                for name, (a, b) in limits.items():
                    before = found.setdefault(name, {}).get(key, (0, 10**9))
                    found[name][key] = (max(before[0], a), min(before[1], b))
    return found


def exposed(
    narrowed_to: Mapping[str, Mapping[Key, tuple[int, int]]], truth: Mapping[str, Mapping[Key, int]], threshold: int
) -> list[tuple[str, Key, int, int]]:
    """Return the small counts that are known to within one, and every bound that is wrong (which would be a fault)."""
    found = []
    for name, cells in narrowed_to.items():
        for key, (low, high) in cells.items():
            count = truth[name][key]
            assert low <= count <= high, (
                f"{name} {key}: {count} is outside {low}-{high}; the method is not as described"
            )
            if 0 < count < threshold and high - low <= 2:
                found.append((name, key, low, high))
    return found

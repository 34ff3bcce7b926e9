"""An attacker who knows the method, the settings and everything published, and wants exact small counts of persons.

The truth is only used to judge what the attacker claims. Every numeric column of every published table that the
lineage says is made of person rows is tried; there is no list of columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from expectations.derived import NUMBERS, fed_by_persons
from transforms.models.industries import to_level
from transforms.models.persons import (
    PersonRows,
    followed_persons,
    newcomer_counts,
    one_case_per_person,
    own_rows,
    placements,
)
from transforms.warehouse import Warehouse

Key = tuple[str, ...]
Series = Mapping[Key, float]
GRAIN = ("municipality_code", "industry_code", "breakdown_id", "breakdown_code")
LABELS = (
    "indicator_id", "outcome_id", "finding_id", "method_code", "context_code", "period", "figure_id", "group_kind",
    "within_years",
)  # fmt: skip
INTERVALS_A_YEAR = 4
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


def truth_of(data: PersonRows, crosswalk: pd.DataFrame) -> dict[str, dict[Key, int]]:
    """Return every exact count the attacker is after, by name: the parts, the others beside them, and the wholes."""
    found: dict[str, dict[Key, int]] = {}
    own = own_rows(data)
    counts = newcomer_counts(own, one_case_per_person(own))
    newcomers = counts[counts["indicator_id"] == "newcomers_count"].set_index("municipality_code")["k"]
    for code, indicator, k in counts.itertuples(index=False):
        found.setdefault(indicator, {})[code,] = int(k)
        found.setdefault(f"not {indicator}", {})[code,] = int(newcomers[code] - k)
    placed = placements(data)
    placed["industry_code"] = to_level(placed["industry_code"], "db07_6", "db07_37_code", crosswalk)
    for keys in (["municipality_code", "industry_code"], ["industry_code"], ["municipality_code"]):
        name = f"placements by {' and '.join(keys)}"
        found[name] = {_key(key): int(n) for key, n in placed.groupby(keys).size().items()}
    after = placed[placed["followed_by_job"].astype(bool)].groupby("industry_code").size()
    found["placements followed by a job"] = {_key(key): int(n) for key, n in after.items()}
    found["cases"] = {_key(key): int(n) for key, n in data.cases.groupby("municipality_code").size().items()}
    return found | _durations(data)


def _key(key: object) -> Key:
    return tuple(map(str, key)) if isinstance(key, tuple) else (str(key),)


def _durations(data: PersonRows) -> dict[str, dict[Key, int]]:
    """Return persons followed, with and without a job, by the end of and within each year, by place and trait."""
    found: dict[str, dict[Key, int]] = {}
    for rows, by_place in ((own_rows(data), True), (data, False)):
        _count_followed(rows, by_place, found)
    return found


def _count_followed(data: PersonRows, by_place: bool, found: dict[str, dict[Key, int]]) -> None:
    persons = followed_persons(data, one_case_per_person(data))
    persons = persons[persons["interval_count"] > persons["first_interval"]].assign(country="000")
    persons["org_model_code"] = persons["municipality_code"].map(data.models)
    job, interval = persons["job_interval"].astype(bool), persons["interval_count"]
    years = {year: job & (interval <= INTERVALS_A_YEAR * year) for year in (0, 1, 2, 3)}
    flags = {"followed": job | ~job, "no job": ~job}
    flags |= {f"first_job_within_{year}_year{'s' * (year > 1)}_pct": years[year] for year in (1, 2, 3)}
    flags |= {f"job in year {year}": years[year] & ~years[year - 1] for year in (2, 3)}
    traits = ("country", "org_model_code", "sex_code", "education_code", "basis_group", "danish_track_code")
    for by in ("municipality_code",) if by_place else traits:
        for name, flag in flags.items():
            for key, n in flag.groupby(persons[by]).sum().items():
                if by == "municipality_code":
                    found.setdefault(name, {})[str(key),] = int(n)
                else:
                    found.setdefault(f"{name} by trait", {})[by, str(key)] = int(n)


def published_columns(database: Path) -> list[Column]:
    """Return the series of every numeric column of tables made of person rows, by the lineage that is published."""
    return [column for table, frame, numeric in person_tables(database) for column in series(table, frame, numeric)]


def person_tables(database: Path) -> Iterable[tuple[str, pd.DataFrame, list[str]]]:
    """Yield every table made of person rows: its name, its rows of persons and its numeric columns."""
    with Warehouse.open(database, read_only=True) as warehouse:
        fed = fed_by_persons(warehouse.rows("SELECT table_name, reads_table FROM meta.lineage"))
        for table in sorted(name for name in fed if warehouse.exists(name)):
            columns = warehouse.columns(f"SELECT * FROM {table}")
            names = {name for name, _ in columns}
            # Rows of an extract of a register are none of persons; a table may hold both.
            where = "_snapshot_id IS NULL" if "_snapshot_id" in names else "true"
            where = "source_id LIKE 'delivery%'" if {"source_id", "value"} <= names else where
            frame = warehouse.frame(f"SELECT * FROM {table} WHERE {where}")
            frame = frame.rename(columns={"area_code": "municipality_code"})
            yield table, frame, [name for name, kind in columns if kind.upper().startswith(NUMBERS)]


def series(table: str, frame: pd.DataFrame, numeric: list[str]) -> Iterable[Column]:
    """Yield the series of the numeric columns of a table, those long enough to read anything off."""
    keys = [name for name in GRAIN if name in frame]
    labels = [name for name in LABELS if name in frame]
    if {"municipality_code", "industry_code"} <= set(keys):  # what is the same everywhere is the country's
        nation = frame.drop_duplicates("industry_code").drop(columns="municipality_code")
        same = [name for name in numeric if (frame.groupby("industry_code")[name].nunique() <= 1).all()]
        yield from series(f"{table} (country)", nation, same)
    for label, part in frame.groupby(labels, dropna=False) if labels else [((), frame)]:
        index: list[Key] = [tuple(map(str, row)) for row in part[keys].to_numpy()] if keys else [()] * len(part)
        numbers = {name: _numbers(index, part[name]) for name in numeric}
        denominators = numbers.get("denominator") or numbers.get("n_count") or {}
        for name in numeric:
            if len(numbers[name]) >= FEWEST:
                yield Column(table, name, " ".join(map(str, label)), numbers[name], denominators)


def differences(columns: Iterable[Column], figures: Collection[str]) -> list[Column]:
    """Return what an attacker makes of two figures over the same persons: their numbers of persons subtracted.

    `figures`: those made of persons; tables hold those of the registers too.
    """
    counts = [
        Column(each.table, each.column, each.label, {
            key: value * each.denominators[key] / 100 for key, value in each.values.items() if key in each.denominators
        }, {})
        for each in columns
        if each.column in ("observed", "value", "first_job_share_pct") and len(each.denominators) >= FEWEST
        and (each.table == "mart.first_job" or set(each.label.split()) & set(figures))
    ]  # fmt: skip
    return [
        Column(one.table, f"{one.column} - {two.column}", f"{one.label} - {two.label}", both, {})
        for number, one in enumerate(counts)
        for two in counts[:number]
        if one.table == two.table
        and len(both := {key: one.values[key] - two.values[key] for key in one.values.keys() & two.values.keys()})
        >= FEWEST
    ]


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
                        whole_of(indicator): (max(least, low), most),
                    }
                for name, (a, b) in limits.items():
                    before = found.setdefault(name, {}).get(key, (0, 10**9))
                    found[name][key] = (max(before[0], a), min(before[1], b))
    return found


def whole_of(indicator: str) -> str:
    """Return the name of the number of persons an indicator is a share of."""
    if indicator in YEARS:
        return "followed"
    return "followed by trait" if indicator.endswith(" by trait") else "newcomers_count"


def exposed(
    narrowed_to: Mapping[str, Mapping[Key, tuple[int, int]]],
    truth: Mapping[str, Mapping[Key, int]],
    threshold: int,
    estimated: Iterable[str] = (),
) -> list[tuple[str, Key, int, int]]:
    """Return the small counts that are known to within one, and every bound that is wrong (which would be a fault).

    `estimated`: figures a life table gives, whose shares are not those of the persons counted; a bound that is wrong
    there tells nothing.
    """
    found, loose = [], set(estimated)
    for name, cells in narrowed_to.items():
        for key, (low, high) in cells.items():
            count = truth.get(name, {}).get(key)
            if count is None or (name in loose and not low <= count <= high):
                continue
            assert low <= count <= high, (
                f"{name} {key}: {count} is outside {low}-{high}; the method is not as described"
            )
            if 0 < count < threshold and high - low <= 2:
                found.append((name, key, low, high))
    return found


Release = dict[str, dict[Key, tuple[float, float | None]]]
"""Figure -> municipality (or trait) -> (published part, published whole)."""
DELIVERED = """
    SELECT indicator_id, municipality_code, numerator, denominator FROM mart.indicator_value
    JOIN mart.indicator USING (indicator_id)
    WHERE operation = 'delivery' AND is_newest AND numerator IS NOT NULL AND source_id IN
        ('delivery_cases', 'delivery_measures')
"""
YEARS = ("first_job_within_1_year_pct", "first_job_within_2_years_pct", "first_job_within_3_years_pct")
LIFE_TABLE = (*YEARS, *(f"{name} by trait" for name in YEARS), "job in year 2", "job in year 3",
              *(f"not {name}" for name in YEARS))  # fmt: skip


def release_of(database: Path) -> Release:
    """Return every share of persons in a published database as its two rounded counts."""
    with Warehouse.open(database, read_only=True) as warehouse:
        shares: list[tuple[str, Key, float, float]] = [
            (name, (code,), k, n) for name, code, k, n in warehouse.rows(DELIVERED)
        ]
        shares += [
            (outcome, (code,), observed * n / 100, n)
            for outcome, code, observed, n in warehouse.rows(
                "SELECT outcome_id, municipality_code, observed::DOUBLE, n_count FROM mart.expected "
                "WHERE list_contains(?, outcome_id) AND observed IS NOT NULL", [list(YEARS)],
            )
        ]  # fmt: skip
        shares += [
            (f"{YEARS[years - 1]} by trait", (kind, code), share * n / 100, n)
            for kind, code, years, share, n in warehouse.rows(
                "SELECT breakdown_id, breakdown_code, within_years, first_job_share_pct::DOUBLE, n_count "
                "FROM mart.first_job WHERE first_job_share_pct IS NOT NULL"
            )
        ]
    found: Release = {}
    for name, key, part, whole in shares:
        found.setdefault(name, {})[key] = (round(float(part)), float(whole))
    return found


def years_apart(bounded: Mapping[str, Mapping[Key, tuple[int, int]]]) -> dict[str, dict[Key, tuple[int, int]]]:
    """Return the bounds of jobs found in the second and third year, from those of jobs found by its end."""
    found: dict[str, dict[Key, tuple[int, int]]] = {}
    for year, (before, after) in enumerate(pairwise(YEARS), 2):
        for key in bounded.get(before, {}).keys() & bounded.get(after, {}).keys():
            (low, high), (lower, higher) = bounded[before][key], bounded[after][key]
            found.setdefault(f"job in year {year}", {})[key] = (max(0, lower - high), higher - low)
    return found

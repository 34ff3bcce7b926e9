"""Disclosure control: the one gate that figures resting on person rows pass, and hidden cells of tables with margins.

Threshold: no count of 1 to k-1 persons is published, k = 5 by default, as in extracts under Danmarks Statistik's
discretion rules (cells below 5, https://fpu917.wixsite.com/fpu-dk/noter). Answers to Folketinget on refugees also hide
5 (https://ft.dk/samling/20171/almdel/uui/spm/801/svar/1510671/1938997/index.htm): use k = 6 to follow them.

Figures from the municipalities' person rows are rounded by `Gate`. Tables of the registers come with cells withheld by
their publisher; there `cover_registers` hides enough beside them that nobody can work them out from the margins, and
`exposed_registers` proves it. Whether a cell is hidden for itself or for another's sake is never published, for that
would tell that the former lies below k.

One module, since what is withheld, what stands in for it and what an attacker could tell are one question.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf
from typing import TYPE_CHECKING, Literal

from transforms.warehouse import Warehouse, quote_identifier

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_K = 5
UNIT = 5
"""What every count of persons is rounded to first, whatever the settings."""
Status = Literal["observed", "zero", "suppressed", "missing", "estimated"]


@dataclass(frozen=True)
class ProtectedCell:
    """A count, or a share with its two counts, as it may be published; None where it is withheld."""

    value: float | None
    numerator: int | None
    denominator: int | None
    status: Status


@dataclass
class Cost:
    """What protection does to one figure: cells, cells withheld, and the sum of the errors added to the others."""

    cells: int = 0
    withheld: int = 0
    error: float = 0.0


@dataclass(frozen=True)
class Gate:
    """The one way out for figures that rest on person rows: thresholds, rounding, and a record of what they cost.

    A count is rounded to one of the two multiples of `UNIT` around it, at random and without bias, and a count below
    it therefore to 0 or 5 (random rounding with small cell adjustment: ESSnet Handbook on Statistical Disclosure
    Control, chapter 5.5, https://sdctools.github.io/HandbookSDC/05-frequency-tables.html; base 5 as in Statistics
    Canada's census). Who sees it knows the count to 2 x base - 1 values, or to `rounding_base` values where 0 is shown.
    Conventional rounding to the nearest would tell a count of 0, 1 or 2 to within one.
    Where the threshold is above the base, what may stand for fewer is withheld instead, and its complement with it.

    Everything else is decided by that rounded number and never by the count: a larger `rounding_base` rounds it once
    more, threshold and minimum denominator withhold it. So whoever sees releases of several settings side by side sees
    no more than the rounded number; a threshold that held the count against itself would tell, moved by one, who
    stands on it, and two bases that are no multiples of one another narrow a count to what fits both.

    Every margin is rounded for itself, so nothing can be had by subtraction. A share is made of the two rounded counts,
    whatever its digits, and withheld where the rounded denominator is below `minimum_denominator`.

    A figure's name is an identifier, with what it is broken down by after a colon. The draw is a keyed hash of it and
    of the `state` of the deliveries it is made of: the same state gives the same figure in every table and every build,
    so repetition does not average the rounding away; the next state draws all figures of a municipality anew, so that
    which of them moved tells nothing of who came. States take turns between few draws, so that a count which stays
    the same through many releases is not averaged out of its rounding either. That, and that at least `threshold`
    persons lie between two states that are both published, is seen to before, in `flows.deliveries.store`.
    """

    threshold: int = DEFAULT_K
    minimum_denominator: int = 3 * DEFAULT_K
    rounding_base: int = DEFAULT_K
    secret: bytes = field(default=b"", repr=False)
    costs: dict[str, Cost] = field(default_factory=dict, repr=False, compare=False)

    def count(self, figure: str, state: str, count: int) -> ProtectedCell:
        """Return a count of persons; withheld where it rounds to less than the threshold."""
        told = self.rounded(figure, state, count)
        if not told:
            self.note(figure, None)
            return ProtectedCell(None, None, None, "suppressed")
        self.note(figure, abs(told - count))
        return ProtectedCell(float(told), None, None, "observed")

    def part(self, figure: str, state: str, count: int) -> int | None:
        """Return a count that others are shares of or parts of, 0 included; None where it is withheld."""
        told = self.rounded(figure, state, count)
        self.note(figure, None if told is None else abs(told - count))
        return told

    def share(self, figure: str, state: str, count: int, of: int, of_figure: str) -> ProtectedCell:
        """Return `count` in per cent of `of`, both rounded; `of_figure` is the figure that publishes the denominator.

        A numerator that rounds to nothing gives 0 with status `estimated`: it may stand for none or for a few.
        """
        base = self.rounded(of_figure, state, of) or None
        part = self.rounded(figure, state, count)
        rest = self.rounded(f"{figure}: others", state, of - count)
        if base is None or part is None or rest is None or base < self.least:
            self.note(figure, None)
            return ProtectedCell(None, None, base, "suppressed")
        part = min(part, base)
        self.note(figure, abs(100 * part / base - 100 * count / of))
        return ProtectedCell(100 * part / base, part, base, "observed" if part else "estimated")

    def estimates(
        self, frame: pd.DataFrame, figure: str, states: Mapping[str, str], digits: Mapping[str, int],
        noted_as: str | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return a model's rows with the columns of `digits` rounded and `n_count` as `rounded` gives it.

        One row per municipality_code, whose state `states` holds. Rows over fewer than `least` persons keep no figure:
        value_status `suppressed`, assessment `too_small`; a row without persons stays as it is. The first column of
        `digits` is the one whose error is recorded, under `noted_as` where several figures share one number of persons.
        """
        import pandas as pd

        out = frame.copy()
        told, few = self._persons(frame, f"{figure}: persons", states)
        main = next(iter(digits))
        exact = out[main].astype("Float64")
        for column, decimals in digits.items():
            out[column] = out[column].astype("Float64").round(decimals).mask(few)
        for column in ("rank_low", "rank_high"):
            if column in out:
                out[column] = out[column].mask(few)
        if "assessment" in out:
            out["assessment"] = out["assessment"].astype("string").mask(few, "too_small")
        out["n_count"], out["value_status"] = told, out["value_status"].mask(few, "suppressed")
        for is_few, error in zip(few, (out[main] - exact).abs(), strict=True):
            if is_few or pd.notna(error):  # what has no value to begin with costs nothing
                self.note(noted_as or figure, None if is_few else float(error))
        return out

    def _persons(
        self, frame: pd.DataFrame, figure: str, states: Mapping[str, str]
    ) -> tuple[pd.Series[int], pd.Series[bool]]:
        """Return `n_count` as it may be published, empty where withheld, and which rows stand on too few persons."""
        import pandas as pd

        counts = [
            None if pd.isna(n) else self.rounded(figure, states.get(str(place), ""), int(n))
            for place, n in zip(frame["municipality_code"], frame["n_count"], strict=True)
        ]
        few = pd.Series([n is None or n < self.least for n in counts], index=frame.index)
        few = (few & (frame["n_count"].fillna(0) > 0)) | (frame["value_status"] == "suppressed").fillna(False)
        return pd.Series([n or None for n in counts], index=frame.index, dtype="Int64").mask(few), few.astype(bool)

    def estimated_shares(
        self, frame: pd.DataFrame, figure: str, states: Mapping[str, str], of_figure: str
    ) -> pd.DataFrame:
        """Return a model's rows with `observed`, a share in per cent of `n_count` persons, made of rounded counts.

        A share that a life table gives stands for a number of persons like any other. `difference` and its interval
        move with it, and the interval widens by what rounding adds; `expected` is of the model, in whole per cent. Rows
        over fewer than `least` persons keep no figure. `estimates` says what the frame holds.
        """
        import pandas as pd

        out, z = frame.copy(), 1.96
        told, few = self._persons(frame, of_figure, states)
        out["n_count"], out["value_status"] = told, out["value_status"].mask(few, "suppressed")
        for row in out.index:
            n, observed = frame.loc[row, "n_count"], out.loc[row, "observed"]
            if pd.isna(observed) or pd.isna(n) or out.loc[row, "value_status"] == "suppressed":
                continue
            state = states.get(str(out.loc[row, "municipality_code"]), "")
            cell = self.share(figure, state, round(float(observed) * int(n) / 100), int(n), of_figure)
            if cell.value is None:
                out.loc[row, "value_status"] = "suppressed"
                continue
            out.loc[row, "observed"], expected = cell.value, round(float(out.loc[row, "expected"]))
            added = 100 * ((self.rounding_base**2 - 1) / 6) ** 0.5 / int(n)
            error = (float(out.loc[row, "standard_error"]) ** 2 + added**2) ** 0.5
            difference = cell.value - expected
            out.loc[row, ["expected", "difference", "standard_error"]] = [expected, difference, round(error)]
            out.loc[row, ["single_low", "single_high"]] = [difference - z * round(error), difference + z * round(error)]
        withheld = (out["value_status"] == "suppressed").fillna(False).astype(bool)
        for _ in range(int(few.sum())):
            self.note(figure, None)
        shown = ["observed", "expected", "difference", "standard_error", "single_low", "single_high", "n_count"]
        for column in shown:
            out[column] = out[column].mask(withheld)
        return out

    @property
    def least(self) -> int:
        """Return the fewest persons a share or a model's figure may rest on."""
        return max(self.minimum_denominator, self.threshold)

    def rounded(self, figure: str, state: str, count: int) -> int | None:
        """Return a count of persons as it may be published, None where it is withheld. Same figure and state: same."""
        told = self._to(UNIT, figure, state, count)
        if self.rounding_base > UNIT:
            told = self._to(self.rounding_base, f"{figure}: base", state, told)
        return None if self.threshold > self.rounding_base and self._may_be_few(told) else told

    def is_few(self, figure: str, state: str, count: int) -> bool:
        """Tell whether a count may be one below the threshold, as far as its rounded value says."""
        told = self.rounded(figure, state, count)
        return told is None or self._may_be_few(told)

    def _may_be_few(self, told: int) -> bool:
        return told - self.rounding_base + 1 < self.threshold

    def _to(self, base: int, figure: str, state: str, count: int) -> int:
        below = count // base * base
        return below + base if self._draw(figure, state) * base < count - below else below

    def _draw(self, figure: str, state: str) -> float:
        """Return a number from 0 up to 1 that nobody without the secret can foretell."""
        digest = hmac.digest(self.secret, f"{figure}\0{state}".encode(), "sha256")
        return int.from_bytes(digest[:6], "big") / 2**48

    def note(self, figure: str, error: float | None) -> None:
        """Record one cell of a figure: the error rounding added, None where it is withheld."""
        cost = self.costs.setdefault(figure.partition(":")[0], Cost())
        cost.cells += 1
        cost.withheld += error is None
        cost.error += error or 0.0


# Register tables: cells their publisher has withheld, and the few more that keep them hidden.
#
# A table is a mapping from cell keys to counts (None where hidden) and additive relations `total = sum of parts`.
# What the hidden cells hold is not known here; everything below knows what a reader knows: margins, visible cells, the
# relations, and that counts are not negative. Secondary suppression by intervals: ESSnet handbook, chapter 4.3
# (https://sdctools.github.io/HandbookSDC/04-magnitude-tables.html), with the attacker's problem solved as a linear
# programme.


Key = Hashable
Cells = Mapping[Key, float | None]
"""Counts by cell, None where hidden."""
Relation = tuple[Key, tuple[Key, ...]]
Bounds = dict[Key, tuple[float, float]]
TOLERANCE = 1e-6
ROUNDS = 50


def propagate(published: Cells, relations: Iterable[Relation]) -> Bounds:
    """Return bounds of the hidden cells by passing them along the relations until nothing changes.

    Quick and never too narrow; `intervals` is exact. A cell in no relation has the bounds 0 and infinity.
    """
    bounds: Bounds = {key: (0.0, inf) for key, value in published.items() if value is None}
    open_relations = _with_hidden(published, relations)
    for _ in range(ROUNDS):
        if not any([_tighten(total, parts, published, bounds) for total, parts in open_relations]):
            break
    return bounds


def _tighten(total: Key, parts: tuple[Key, ...], published: Cells, bounds: Bounds) -> bool:
    def of(key: Key) -> tuple[float, float]:
        value = published[key]
        return bounds[key] if value is None else (float(value), float(value))

    lows, highs = sum(of(part)[0] for part in parts), sum(of(part)[1] for part in parts)
    changed = False
    total_low, total_high = of(total)
    if published[total] is None:
        changed |= _narrow(bounds, total, lows, highs)
    for part in parts:
        if published[part] is None:
            low = bounds[part][0]
            others_high = sum(of(other)[1] for other in parts if other != part)
            others_low = lows - low
            changed |= _narrow(bounds, part, total_low - others_high, total_high - others_low)
            lows += bounds[part][0] - low
    return changed


def _narrow(bounds: Bounds, key: Key, low: float, high: float) -> bool:
    before = bounds[key]
    bounds[key] = (max(before[0], low), min(before[1], high))
    return bounds[key] != before


def intervals(published: Cells, relations: Sequence[Relation], wanted: Collection[Key]) -> Bounds:
    """Return the exact bounds of hidden cells by linear programming, in whole counts.

    Exact for tables of two dimensions, also with a hierarchy in one of them; for more dimensions a reader who reasons
    in whole numbers may do slightly better. Cells in relations that contradict each other are left out: there a total
    is not the sum of its parts, and says that much less.
    """
    result: Bounds = {}
    open_relations = _with_hidden(published, relations)
    hidden = [key for key, value in published.items() if value is None]
    for component in _components(hidden, open_relations, published):
        targets = [key for key in component if key in wanted]
        if targets:
            result |= _solve(component, targets, open_relations, published)
    return result


def exposed(published: Cells, relations: Sequence[Relation], k: int, wanted: Collection[Key]) -> list[Key]:
    """Return the hidden cells of `wanted` that what is visible narrows to fewer than `k` + 1 counts, sorted by key.

    The quick bounds are asked while they find any, then the exact ones; where no cell is a part of two totals, as in
    a hierarchy of areas, the quick ones are exact.
    """
    quick = propagate(published, relations)
    found = [key for key in wanted if quick[key][1] - quick[key][0] < k]
    parts = [part for _, members in relations for part in members]
    if not found and len(parts) > len(set(parts)):
        exact = intervals(published, relations, wanted)
        found = [key for key, (low, high) in exact.items() if high - low < k]
    return sorted(found, key=str)


def _with_hidden(published: Cells, relations: Iterable[Relation]) -> list[Relation]:
    return [
        (total, parts)
        for total, parts in relations
        if published[total] is None or any(published[part] is None for part in parts)
    ]


def _components(hidden: Sequence[Key], relations: Sequence[Relation], published: Cells) -> list[list[Key]]:
    """Return the hidden cells in groups that no relation connects, so that each is a small problem."""
    from scipy.cluster.hierarchy import DisjointSet

    linked = DisjointSet(hidden)
    for total, parts in relations:
        first, *others = [key for key in (total, *parts) if published[key] is None]
        for other in others:
            linked.merge(first, other)
    groups: dict[Key, list[Key]] = {}
    for key in hidden:
        groups.setdefault(linked[key], []).append(key)
    return list(groups.values())


def _solve(component: Sequence[Key], targets: Sequence[Key], relations: Sequence[Relation], published: Cells) -> Bounds:
    import numpy as np
    from scipy.optimize import linprog

    position = {key: number for number, key in enumerate(component)}
    rows, constants = [], []
    for total, parts in relations:
        members = [key for key in (total, *parts) if key in position]
        if not members:
            continue
        row, constant = np.zeros(len(component)), 0.0
        for sign, key in ((-1.0, total), *((1.0, part) for part in parts)):
            value = published[key]
            if value is None:
                row[position[key]] += sign
            else:
                constant -= sign * value
        rows.append(row)
        constants.append(constant)
    if not rows:
        return dict.fromkeys(targets, (0.0, inf))
    matrix, right = np.array(rows), np.array(constants)
    found: Bounds = {}
    for key in targets:
        ends = []
        for sign in (1.0, -1.0):
            goal = np.zeros(len(component))
            goal[position[key]] = sign
            answer = linprog(goal, A_eq=matrix, b_eq=right, bounds=(0, None), method="highs")
            if answer.status == 2:
                return {}
            ends.append(inf if answer.status == 3 else abs(float(answer.fun)))
        found[key] = (float(ceil(ends[0] - TOLERANCE)), inf if ends[1] == inf else float(floor(ends[1] + TOLERANCE)))
    return found


def cover(
    published: Cells, relations: Sequence[Relation], k: int = DEFAULT_K, kept: Collection[Key] = (),
    withheld: Collection[Key] | None = None, enough: float | None = None,
) -> tuple[set[Key], set[Key]]:  # fmt: skip
    """Return visible cells to hide so that no `withheld` cell is known to fewer than `k` + 1 counts.

    `withheld`: those to be protected where some are only missing; else all that are hidden. `kept` cells are never
    hidden. Of cells that would do, the smallest of `enough` (k) or more is hidden: one that does alone, where few cells
    shall go; with 0 the smallest. Second come the cells that cannot be helped, nothing being left to hide beside them.
    """
    hidden = {key for key, value in published.items() if value is None}
    by_cell, totals = _relations_by_cell(relations), {total for total, _ in relations}
    wanted, added, seen = set(hidden if withheld is None else withheld), set[Key](), dict(published)
    helpless = set[Key]()
    while narrow := exposed(seen, relations, k, wanted):
        touched = set[Key]()
        for key in narrow:
            if key in touched:
                continue
            found = _cheapest_cover(
                key, published, by_cell, hidden | set(kept), totals, k if enough is None else enough
            )
            if found is None:
                wanted.discard(key)
                helpless.add(key)
                continue
            hidden.add(found)
            added.add(found)
            seen[found] = None
            touched |= _around(key, by_cell) | _around(found, by_cell)
    return added, helpless


def _around(key: Key, by_cell: Mapping[Key, Sequence[Relation]]) -> set[Key]:
    return {cell for total, parts in by_cell.get(key, ()) for cell in (total, *parts)}


def _cheapest_cover(
    exposed_key: Key, published: Cells, by_cell: Mapping[Key, Sequence[Relation]], taken: Collection[Key],
    totals: Collection[Key], enough: float,
) -> Key | None:  # fmt: skip
    """Return the visible cell that costs least and shares a relation with an exposed one; None where there is none.

    Least is: no total, then the smallest count of `enough` or more, then the largest below. When the neighbours are
    used up, the search widens through hidden cells.
    """
    reached, seen = {exposed_key}, set[Key]()
    while edge := reached - seen:
        seen |= edge
        around = {cell for key in edge for cell in _around(key, by_cell)}
        free = [cell for cell in around if cell not in taken]
        if free:
            values = {cell: published[cell] or 0.0 for cell in free}
            return min(
                free, key=lambda cell: (cell in totals, values[cell] < enough, abs(values[cell] - enough), str(cell))
            )
        reached |= around
    return None


def _relations_by_cell(relations: Sequence[Relation]) -> dict[Key, list[Relation]]:
    found: dict[Key, list[Relation]] = {}
    for relation in relations:
        for cell in (relation[0], *relation[1]):
            found.setdefault(cell, []).append(relation)
    return found


COUNTRY = "000"
NO_KEY = {"value", "value_status", "_snapshot_id", "_is_filled"}
LEVELS = ("country", "region", "province", "municipality")
Totals = Mapping[str, Mapping[str, str]]
"""Staging table -> its columns with a code for the total -> that code."""


Margin = tuple[str, str, tuple[str, ...]]
"""A column, the code of the total in it, and the codes it is the sum of."""


@dataclass(frozen=True)
class Slice:
    """The cells of a table that add up with one another: one period, one code of whatever does not add up."""

    name: str
    rows: dict[Key, int]
    cells: dict[Key, float | None]
    relations: list[Relation]
    kept: set[Key]
    withheld: set[Key]


@dataclass(frozen=True)
class Covered:
    """How many cells were hidden, and by (table, slice) the publishers' withheld cells that are covered by them."""

    hidden: int
    cells: dict[tuple[str, str], set[Key]]


def cover_registers(warehouse: Warehouse, totals: Totals, k: int = DEFAULT_K) -> Covered:
    """Hide in staging tables what would give away a cell the publisher withheld.

    Margins are: the country and its regions, provinces and municipalities; every column with a code for its total;
    and shares that make up a whole (reference.complementary_shares). The country's figures are never hidden.
    """
    hidden, cells = 0, {}
    for table, columns in sorted(totals.items()):
        rows: list[int] = []
        for part in _slices(warehouse, table, columns):
            added, helpless = cover(part.cells, part.relations, k, part.kept, part.withheld)
            rows += [part.rows[key] for key in added]
            cells[table, part.name] = part.withheld - helpless
        hidden += _hide(warehouse, table, rows) + _cover_shares(warehouse, table, k)
    return Covered(hidden, cells)


def exposed_registers(
    warehouse: Warehouse, totals: Totals, covered: Covered, k: int = DEFAULT_K
) -> list[tuple[str, str]]:
    """Return (table, cell) of covered cells that can be worked out all the same from what is visible now."""
    return [
        (table, f"{part.name} {key}")
        for table, columns in sorted(totals.items())
        for part in _slices(warehouse, table, columns)
        for key in exposed(part.cells, part.relations, k, covered.cells.get((table, part.name), part.withheld))
    ]


def _slices(warehouse: Warehouse, table: str, columns: Mapping[str, str]) -> Iterable[Slice]:
    """Return the parts of a table that hold a withheld cell, with their margins."""
    names = [name for name, _ in warehouse.columns(f"SELECT * FROM {table}")]
    if "value" not in names or not warehouse.scalar(f"SELECT count(*) FROM {table} WHERE value_status = 'suppressed'"):
        return
    keys = [name for name in names if name not in NO_KEY]
    columns_read = f"rowid AS row_id, value::DOUBLE AS value, value_status, {_listed(keys)}"
    frame = warehouse.frame(f"SELECT {columns_read} FROM {table}")
    frame = frame.astype(dict.fromkeys([*keys, "value_status"], "category"))  # compared and grouped by number
    margins = _area_margins(warehouse, frame, keys) if "area_code" in keys else []
    for column, code in columns.items():
        others = tuple(sorted({*frame[column]} - {code})) if column in keys else ()
        if others and _adds_up(frame, keys, margin := (column, code, others)):
            margins.append(margin)
    within = list(dict.fromkeys(column for column, _, _ in margins))
    if not margins:
        return
    by = [name for name in keys if name not in within]
    slices = frame.groupby(by, sort=True) if by else [((), frame)]
    for name, part in slices:
        if (part["value_status"] == "suppressed").any():
            yield _slice(" ".join(map(str, name)), part, within, margins)


def _slice(name: str, part: pd.DataFrame, within: list[str], margins: list[Margin]) -> Slice:
    index: list[tuple[str, ...]] = list(part[within].itertuples(index=False, name=None))
    cells: dict[Key, float | None] = {
        key: None if value != value else float(value) for key, value in zip(index, part["value"], strict=True)
    }
    relations: list[Relation] = []
    for column, total, codes in margins:
        place = within.index(column)
        for key in (key for key in index if key[place] == total):
            parts = tuple((*key[:place], code, *key[place + 1 :]) for code in codes)
            if all(each in cells for each in parts):
                relations.append((key, parts))
    kept = {key for key in index if "area_code" in within and key[within.index("area_code")] == COUNTRY}
    withheld = {key for key, status in zip(index, part["value_status"], strict=True) if status == "suppressed"}
    rows: dict[Key, int] = dict(zip(index, map(int, part["row_id"]), strict=True))
    return Slice(name, rows, cells, relations, {*kept}, {*withheld})


def _area_margins(warehouse: Warehouse, frame: pd.DataFrame, keys: list[str]) -> list[Margin]:
    """Return each area with the areas of the next lower level it is the sum of, where a table has both.

    A merged region has the codes of those it came of as its `region_code`. Of regions, those count that a table has.
    """
    areas = warehouse.rows("SELECT code, level, region_code, province_code FROM reference.areas ORDER BY code")
    there, found = set(frame["area_code"]), []
    for code, level, regions, _ in [area for area in areas if area[1] in LEVELS[:-1] and area[0] in there]:
        place, wholes = {"region": (2, str(regions).split()), "province": (3, [code])}.get(level, (0, []))
        for lower in LEVELS[LEVELS.index(level) + 1 :]:
            inside = (area for area in areas if area[1] == lower and (level == "country" or area[place] in wholes))
            parts = tuple(str(area[0]) for area in inside if lower != "region" or area[0] in there)
            if parts and there.issuperset(parts) and _adds_up(frame, keys, margin := ("area_code", str(code), parts)):
                found.append(margin)
                break
    return found


def _adds_up(frame: pd.DataFrame, keys: list[str], margin: Margin) -> bool:
    """Tell whether nine in ten of the groups without a gap add up."""
    column, total, parts = margin
    others = [name for name in keys if name != column]
    if not others:
        return False
    sums = frame[frame[column].isin(parts)].groupby(others)["value"].agg(["sum", "count"])
    whole = frame[frame[column] == total].set_index(others)["value"]
    both = sums[sums["count"] == len(parts)].join(whole, how="inner").dropna()
    both = both[both["value"] > 0]
    near = (both["value"] - both["sum"]).abs() <= 0.01 * both["value"] + 5
    return len(both) > 0 and bool(near.mean() >= 0.9)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(quote_identifier(name) for name in names)


def _cover_shares(warehouse: Warehouse, table: str, k: int) -> int:
    shares = warehouse.rows(
        "SELECT measure_name, whole_measure_name FROM reference.complementary_shares WHERE source_id = ?",
        [table.removeprefix("staging.")],
    )
    if not shares:
        return 0
    names = [name for name, _ in warehouse.columns(f"SELECT * FROM {table}")]
    keys = _listed(name for name in names if name not in NO_KEY | {"measure_name"})
    parts = [name for name, _ in shares]
    frame = warehouse.frame(
        f"SELECT t.rowid AS row_id, measure_name, value::DOUBLE AS value, rank() OVER (ORDER BY {keys}) AS group_id, "
        f"any_value(value) FILTER (measure_name = ?) OVER (PARTITION BY {keys})::DOUBLE AS whole "
        f"FROM {table} t QUALIFY count(value) FILTER (list_contains(?, measure_name)) OVER (PARTITION BY {keys}) "
        f"BETWEEN 1 AND {len(parts) - 1:d} AND list_contains(?, measure_name)",
        [shares[0][1], parts, parts],
    )
    rows: list[int] = []
    for _, part in frame.groupby("group_id"):
        whole = float(part["whole"].iloc[0])
        size = whole if whole == whole else 2.0 * k  # an unknown whole: two shares at the least are to be unknown
        cells: dict[Key, float | None] = {"whole": size}
        for key, value in zip(part["measure_name"], part["value"], strict=True):
            cells[key] = None if value != value else float(value) * size / 100
        row_of = dict(zip(part["measure_name"], part["row_id"], strict=True))
        rows += [int(row_of[key]) for key in cover(cells, [("whole", tuple(row_of))], k, {"whole"}, enough=0)[0]]
    return _hide(warehouse, table, rows)


def _hide(warehouse: Warehouse, table: str, rows: Sequence[int]) -> int:
    if rows:
        listed = ", ".join(str(row) for row in rows)
        warehouse.execute(f"UPDATE {table} SET value = NULL, value_status = 'suppressed' WHERE rowid IN ({listed})")
    return len(rows)

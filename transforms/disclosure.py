"""Disclosure control: the one gate that figures resting on person rows pass, and hidden cells of tables with margins.

Threshold: no count of 1 to k-1 persons is published, k = 5 by default, as in extracts under Danmarks Statistik's
discretion rules (cells below 5, https://fpu917.wixsite.com/fpu-dk/noter). Answers to Folketinget on refugees also hide
5 (https://ft.dk/samling/20171/almdel/uui/spm/801/svar/1510671/1938997/index.htm): use k = 6 to follow them.

Figures from the municipalities' person rows are rounded by `Gate`. Tables of the registers come with cells withheld by
their publisher; there `suppress` hides enough beside them that nobody can work them out from the margins, and `audit`
proves it. A zero in them is no person and stays visible, unless it is needed as cover. Whether a cell is hidden for
itself or for another's sake is never published, for that would tell that the former lies below k.

One module, since what is withheld, what stands in for it and what an attacker could tell are one question.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import ceil, floor, inf
from typing import TYPE_CHECKING, Literal

from transforms.errors import DataRefused
from transforms.warehouse import Warehouse, quote_identifier

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_K = 5
Status = Literal["observed", "zero", "suppressed", "missing", "estimated"]


@dataclass(frozen=True)
class Cell:
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

    A count is rounded to one of the two multiples of `rounding_base` around it, at random and without bias, and a
    count below the base therefore to 0 or the base (random rounding with small cell adjustment: ESSnet Handbook on
    Statistical Disclosure Control, chapter 5.5, https://sdctools.github.io/HandbookSDC/05-frequency-tables.html; base 5
    as in Statistics Canada's census). Who sees it knows the count to 2 x base - 1 values, or to `rounding_base` values
    where 0 is shown. Conventional rounding to the nearest would tell a count of 0, 1 or 2 to within one.
    Where the threshold is above the base, counts below it are withheld instead, and their complements with them.

    Every margin is rounded for itself, so nothing can be had by subtraction. A share is made of the two rounded counts,
    whatever its digits, and withheld where the rounded denominator is below `minimum_denominator`.

    A figure's name is an identifier, with what it is broken down by after a colon. The draw is a keyed hash of it and
    of the `state` of the deliveries it is made of: the same state gives the same figure in every table and every build,
    so repetition does not average the rounding away; another state draws all figures of a municipality anew, so that
    which of them moved tells nothing of who came. That at least `threshold` persons lie between two states that are
    both published is seen to before, in `flows.deliveries.store`.
    """

    threshold: int = DEFAULT_K
    minimum_denominator: int = 3 * DEFAULT_K
    rounding_base: int = DEFAULT_K
    secret: bytes = field(default=b"", repr=False)
    costs: dict[str, Cost] = field(default_factory=dict, repr=False, compare=False)

    def count(self, figure: str, state: str, count: int) -> Cell:
        """Return a count of persons; withheld where it rounds to less than the threshold."""
        told = self.rounded(figure, state, count)
        if not told:
            self._note(figure, None)
            return Cell(None, None, None, "suppressed")
        self._note(figure, abs(told - count))
        return Cell(float(told), None, None, "observed")

    def part(self, figure: str, state: str, count: int) -> int | None:
        """Return a count that others are shares of or parts of, 0 included; None where it is withheld."""
        told = self.rounded(figure, state, count)
        self._note(figure, None if told is None else abs(told - count))
        return told

    def share(self, figure: str, state: str, count: int, of: int, of_figure: str) -> Cell:
        """Return `count` in per cent of `of`, both rounded; `of_figure` is the figure that publishes the denominator.

        A numerator that rounds to nothing gives 0 with status `estimated`: it may stand for none or for a few.
        """
        base = self.rounded(of_figure, state, of) or None
        part = self.rounded(figure, state, count)
        rest = self.rounded(f"{figure}: others", state, of - count)
        if base is None or part is None or rest is None or base < self.least:
            self._note(figure, None)
            return Cell(None, None, base, "suppressed")
        part = min(part, base)
        self._note(figure, abs(100 * part / base - 100 * count / of))
        return Cell(100 * part / base, part, base, "observed" if part else "estimated")

    def estimates(
        self,
        frame: pd.DataFrame,
        figure: str,
        states: Mapping[str, str],
        digits: Mapping[str, int],
        noted_as: str | None = None,
    ) -> pd.DataFrame:
        """Return a model's rows with the columns of `digits` rounded and `n_count` as `rounded` gives it.

        One row per municipality_code, whose state `states` holds. Rows over fewer than `least` persons keep no figure:
        value_status `suppressed`, assessment `too_small`; a row without persons stays as it is. The first column of
        `digits` is the one whose error is recorded, under `noted_as` where several figures share one number of persons.
        """
        import pandas as pd

        out = frame.copy()
        counts = [
            None if pd.isna(n) else self.rounded(f"{figure}: persons", states.get(str(place), ""), int(n))
            for place, n in zip(out["municipality_code"], out["n_count"], strict=True)
        ]
        few = pd.Series([n is None or n < self.least for n in counts], index=out.index)
        few = (few & (out["n_count"].fillna(0) > 0)) | (out["value_status"] == "suppressed")
        main = next(iter(digits))
        exact = out[main].astype("Float64")
        for column, decimals in digits.items():
            out[column] = out[column].astype("Float64").round(decimals).mask(few)
        for column in ("rank_low", "rank_high"):
            if column in out:
                out[column] = out[column].mask(few)
        if "assessment" in out:
            out["assessment"] = out["assessment"].astype("string").mask(few, "too_small")
        out["n_count"] = pd.Series([n or None for n in counts], index=out.index, dtype="Int64").mask(few)
        out["value_status"] = out["value_status"].mask(few, "suppressed")
        for is_few, error in zip(few, (out[main] - exact).abs(), strict=True):
            if is_few or pd.notna(error):  # what could not be estimated is not withheld
                self._note(noted_as or figure, None if is_few else float(error))
        return out

    @property
    def least(self) -> int:
        """Return the fewest persons a share or a model's figure may rest on."""
        return max(self.minimum_denominator, self.threshold)

    def rounded(self, figure: str, state: str, count: int) -> int | None:
        """Return a count of persons as it may be published, None where it is withheld. Same figure and state: same."""
        if count < self.threshold and self.threshold > self.rounding_base:
            return None
        base = self.rounding_base
        below = count // base * base
        found = below + base if self._draw(figure, state) * base < count - below else below
        return found if found == 0 or found >= self.threshold else -(-self.threshold // base) * base

    def _draw(self, figure: str, state: str) -> float:
        """Return a number from 0 up to 1 that nobody without the secret can foretell."""
        digest = hmac.digest(self.secret, f"{figure}\0{state}".encode(), "sha256")
        return int.from_bytes(digest[:6], "big") / 2**48

    def _note(self, figure: str, error: float | None) -> None:
        cost = self.costs.setdefault(figure.partition(":")[0], Cost())
        cost.cells += 1
        cost.withheld += error is None
        cost.error += error or 0.0


# What an attacker can work out about hidden cells of a table with margins: bounds, exact where it matters.
#
# A table is a mapping from cell keys to counts (None where hidden) and additive relations `total = sum of parts`.
# Everything here knows only what is published: margins, visible cells, the relations, and that counts are not negative.


Key = Hashable
Relation = tuple[Key, tuple[Key, ...]]
Bounds = dict[Key, tuple[float, float]]
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Exposure:
    """A hidden cell that can be narrowed down to `lower`…`upper` (whole counts, both included)."""

    key: Key
    lower: float
    upper: float


def relations_of(trees: Sequence[Mapping[str, Sequence[str]]], keys: Collection[tuple[str, ...]]) -> list[Relation]:
    """Return the additive relations of a table whose keys are tuples of codes, one code per dimension.

    `trees[d]` maps each total or subtotal code of dimension d to the codes it is the sum of, for example
    `{"000": ["081", …], "081": ["101", …]}` for geography. A relation is kept when all its cells are in `keys`.
    """
    known = set(keys)
    found: list[Relation] = []
    for dimension, tree in enumerate(trees):
        for key in sorted(known):
            children = tree.get(key[dimension])
            if children:
                parts = tuple((*key[:dimension], child, *key[dimension + 1 :]) for child in children)
                if all(part in known for part in parts):
                    found.append((key, parts))
    return found


def cells_of(trees: Sequence[Mapping[str, Sequence[str]]]) -> list[tuple[str, ...]]:
    """Return every cell of the full table over the codes that the trees name."""
    codes = [sorted({*tree, *(child for children in tree.values() for child in children)}) for tree in trees]
    return list(product(*codes))


def propagate(published: Mapping[Key, float | None], relations: Iterable[Relation], rounds: int = 50) -> Bounds:
    """Return bounds of the hidden cells by passing them along the relations until nothing changes.

    Quick and never too narrow; `intervals` is exact. A cell in no relation has the bounds 0 and infinity.
    """
    bounds: Bounds = {key: (0.0, inf) for key, value in published.items() if value is None}
    open_relations = _with_hidden(published, relations)
    for _ in range(rounds):
        changed = False
        for total, parts in open_relations:
            changed |= _tighten(total, parts, published, bounds)
        if not changed:
            break
    return bounds


def _tighten(total: Key, parts: tuple[Key, ...], published: Mapping[Key, float | None], bounds: Bounds) -> bool:
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


def intervals(
    published: Mapping[Key, int | None], relations: Sequence[Relation], wanted: Collection[Key] | None = None
) -> Bounds:
    """Return the exact bounds of hidden cells (all, or `wanted`) by linear programming, in whole counts.

    Exact for tables of two dimensions, also with a hierarchy in one of them; for more dimensions an attacker who
    reasons in whole numbers may do slightly better. Raises DataRefused when the visible cells contradict each other.
    """
    result: Bounds = {}
    open_relations = _with_hidden(published, relations)
    hidden = [key for key, value in published.items() if value is None]
    asked = set(hidden if wanted is None else wanted) & set(hidden)
    for component in _components(hidden, open_relations, published):
        targets = [key for key in component if key in asked]
        if targets:
            result |= _solve(component, targets, open_relations, published)
    return result


def audit(
    published: Mapping[Key, int | None],
    relations: Sequence[Relation],
    k: int = 5,
    sensitive: Collection[Key] | None = None,
) -> list[Exposure]:
    """Return the hidden cells that published figures narrow to fewer than `k` + 1 possible counts.

    With `sensitive` only those cells are judged: a cell hidden to protect others may itself be recomputed.
    """
    found = intervals(published, relations, sensitive)
    exposed = [Exposure(key, low, high) for key, (low, high) in found.items() if high - low < k]
    return sorted(exposed, key=lambda exposure: str(exposure.key))


def audit_difference(narrow: Mapping[Key, int | None], wide: Mapping[Key, int | None], k: int = 5) -> list[Exposure]:
    """Return the cells where two releases over nested populations tell a count below `k` by subtraction.

    `narrow` counts a part of the persons of `wide` under the same keys: ages 18-64 and 18-66, or an earlier and a
    later cumulative count.
    """
    exposed = []
    for key in sorted(set(narrow) & set(wide), key=str):
        smaller, larger = narrow[key], wide[key]
        if smaller is not None and larger is not None and 0 < larger - smaller < k:
            exposed.append(Exposure(key, larger - smaller, larger - smaller))
    return exposed


def merged(earlier: Mapping[Key, int | None], later: Mapping[Key, int | None]) -> dict[Key, int | None]:
    """Return what is known when two releases of the same figures lie side by side: hidden only where both hide."""
    return {key: value if value is not None else earlier.get(key) for key, value in later.items()}


def _with_hidden(published: Mapping[Key, float | None], relations: Iterable[Relation]) -> list[Relation]:
    return [
        (total, parts)
        for total, parts in relations
        if published[total] is None or any(published[part] is None for part in parts)
    ]


def _components(
    hidden: Sequence[Key], relations: Sequence[Relation], published: Mapping[Key, int | None]
) -> list[list[Key]]:
    """Return the hidden cells in groups that no relation connects, so that each is a small problem."""
    parent: dict[Key, Key] = {key: key for key in hidden}

    def root(key: Key) -> Key:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for total, parts in relations:
        linked = [key for key in (total, *parts) if published[key] is None]
        for key in linked[1:]:
            parent[root(key)] = root(linked[0])
    groups: dict[Key, list[Key]] = {}
    for key in hidden:
        groups.setdefault(root(key), []).append(key)
    return list(groups.values())


def _solve(
    component: Sequence[Key], targets: Sequence[Key], relations: Sequence[Relation], published: Mapping[Key, int | None]
) -> Bounds:
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
                raise DataRefused("the published cells contradict each other: a total is not the sum of its parts")
            ends.append(inf if answer.status == 3 else abs(float(answer.fun)))
        found[key] = (float(ceil(ends[0] - TOLERANCE)), inf if ends[1] == inf else float(floor(ends[1] + TOLERANCE)))
    return found


@dataclass(frozen=True)
class Protected:
    """A table ready to publish. `published` has None where hidden; `small` (never to be published) says why."""

    published: dict[Key, int | None]
    small: frozenset[Key]
    beyond_help: frozenset[Key] = frozenset()

    @property
    def hidden(self) -> set[Key]:
        """Return the hidden cells."""
        return {key for key, value in self.published.items() if value is None}

    def status(self, key: Key) -> Status:
        """Return the value_status of a cell: observed, zero or suppressed."""
        value = self.published[key]
        return "suppressed" if value is None else "zero" if value == 0 else "observed"


def is_small(count: int, k: int = DEFAULT_K) -> bool:
    """Tell whether a count of persons must be hidden."""
    return 0 < count < k


def suppress(
    values: Mapping[Key, int],
    relations: Sequence[Relation],
    k: int = DEFAULT_K,
    earlier: Mapping[Key, int | None] | None = None,
) -> Protected:
    """Return `values` with every count of 1…k-1 hidden, and as many more as it takes to keep them hidden.

    Afterwards no hidden small count can be narrowed to fewer than k + 1 possible values from what is visible, by
    `audit`'s own reckoning. With `earlier`, an earlier release of the same figures, what it shows counts as known:
    such cells are no use as cover, and small counts it already told are returned as `beyond_help`.
    Raises DataRefused when a total is not the sum of its parts.
    """
    _check_sums(values, relations)
    known = {key for key, value in (earlier or {}).items() if value is not None and values.get(key) == value}
    small = {key for key, value in values.items() if is_small(value, k)}
    told, hidden = small & known, set(small)
    by_cell = _relations_by_cell(relations)
    totals = {total for total, _ in relations}
    while True:
        seen = {key: None if key in hidden and key not in known else value for key, value in values.items()}
        exposed = _exposed(seen, relations, k, small - told)
        if not exposed:
            break
        cover = _cheapest_cover(exposed, values, by_cell, hidden | known, totals)
        if cover is None:  # nothing is left to hide: only an earlier release can bring it here
            told |= {exposure.key for exposure in exposed}
            continue
        hidden.add(cover)
    return Protected(
        {key: None if key in hidden else value for key, value in values.items()}, frozenset(small), frozenset(told)
    )


def _exposed(
    seen: Mapping[Key, int | None], relations: Sequence[Relation], k: int, sensitive: Collection[Key]
) -> list[Exposure]:
    """Return the exposed cells, by the quick bounds while they find any, then by the exact ones."""
    quick = propagate(seen, relations)
    found = [Exposure(key, *quick[key]) for key in sensitive if quick[key][1] - quick[key][0] < k]
    return found or audit(seen, relations, k, sensitive)


def _cheapest_cover(
    exposed: Sequence[Exposure],
    values: Mapping[Key, float],
    by_cell: Mapping[Key, Sequence[Relation]],
    taken: Collection[Key],
    totals: Collection[Key],
) -> Key | None:
    """Return the visible cell that costs least and shares a relation with an exposed one.

    Least is: no total, not zero (a reader knows many zeros anyway), then the smallest count. When the neighbours
    are used up, the search widens through hidden cells.
    """
    reached: set[Key] = {exposure.key for exposure in exposed[:1]} or set()
    seen: set[Key] = set()
    while reached - seen:
        edge = reached - seen
        seen |= edge
        around = {cell for key in edge for total, parts in by_cell.get(key, ()) for cell in (total, *parts)}
        free = [cell for cell in around if cell not in taken]
        if free:
            return min(free, key=lambda cell: (cell in totals, values[cell] == 0, values[cell], str(cell)))
        reached |= around
    return None


def _relations_by_cell(relations: Sequence[Relation]) -> dict[Key, list[Relation]]:
    found: dict[Key, list[Relation]] = {}
    for relation in relations:
        for cell in (relation[0], *relation[1]):
            found.setdefault(cell, []).append(relation)
    return found


def _check_sums(values: Mapping[Key, int], relations: Sequence[Relation]) -> None:
    for total, parts in relations:
        if values[total] != sum(values[part] for part in parts):
            raise DataRefused(
                f"cell {total}: {values[total]} is not the sum of its {len(parts)} parts "
                f"({sum(values[part] for part in parts)}); protect tables that add up, round afterwards"
            )


# Register tables: cells their publisher has withheld, and the few more that keep them hidden.


def cover(published: Mapping[Key, float | None], relations: Sequence[Relation], k: int = DEFAULT_K) -> set[Key]:
    """Return visible cells to hide so that no cell hidden already is known to fewer than `k` + 1 counts.

    What the hidden ones hold is not known here: their publisher withheld them. Cells that cannot be helped, since
    nothing is left to hide beside them, are passed over.
    """
    hidden = {key for key, value in published.items() if value is None}
    values = {key: 0.0 if value is None else value for key, value in published.items()}
    by_cell, totals = _relations_by_cell(relations), {total for total, _ in relations}
    wanted, added, seen = set(hidden), set[Key](), dict(published)
    while wanted:
        bounds = propagate(seen, relations)
        narrow = [key for key in sorted(wanted, key=str) if bounds[key][1] - bounds[key][0] < k]
        exposed = [Exposure(key, *bounds[key]) for key in narrow]
        if not exposed:
            break
        found = _cheapest_cover(exposed, values, by_cell, hidden | totals, totals)
        if found is None:
            wanted.discard(exposed[0].key)
            continue
        hidden.add(found)
        added.add(found)
        seen[found] = None
    return added


COUNTRY = "000"


def cover_registers(warehouse: Warehouse, tables: Iterable[str], k: int = DEFAULT_K) -> int:
    """Hide in staging tables what would give away a cell the publisher withheld; return how many cells were hidden.

    Two margins are looked at: the country, which is the sum of its municipalities, and shares that make up a whole
    (reference.complementary_shares). A table counts as adding up when nine in ten of its groups without a gap do.
    """
    return sum(_cover_areas(warehouse, table, k) + _cover_shares(warehouse, table, k) for table in sorted(tables))


def _cover_areas(warehouse: Warehouse, table: str, k: int) -> int:
    names = [name for name, _ in warehouse.columns(f"SELECT * FROM {table}")]
    if not {"area_code", "value", "value_status"} <= set(names):
        return 0
    keys = ", ".join(quote_identifier(name) for name in names if name not in NO_KEY | {"area_code"})
    groups = (
        f"SELECT {keys}, any_value(value) FILTER (area_code = '{COUNTRY}') AS total, "
        "sum(value) FILTER (area_level = 'municipality') AS parts, "
        "count(*) FILTER (area_level = 'municipality' AND value IS NULL) AS gaps, "
        "count(*) FILTER (area_level = 'municipality') AS places "
        f"FROM {table} JOIN (SELECT code AS area_code, level AS area_level FROM reference.areas) USING (area_code) "
        "GROUP BY ALL"
    )
    adds_up = warehouse.scalar(
        f"SELECT avg(if(abs(total - parts) <= 0.01 * total + 5, 1, 0)) FROM ({groups}) "
        "WHERE gaps = 0 AND places >= 98 AND total > 0"
    )
    if (adds_up or 0) < 0.9:
        return 0
    warehouse.execute(
        f"CREATE OR REPLACE TEMP TABLE narrow AS SELECT {keys} FROM ({groups}) "
        f"WHERE total IS NOT NULL AND gaps > 0 AND (gaps = 1 OR total - parts < {k:d})"
    )
    frame = warehouse.frame(
        f"SELECT t.rowid AS row_id, area_code, value::DOUBLE AS value, rank() OVER (ORDER BY {keys}) AS group_id "
        f"FROM {table} t SEMI JOIN narrow USING ({keys}) "
        f"JOIN reference.areas area ON area.code = t.area_code WHERE area.level IN ('country', 'municipality')"
    )
    rows: list[int] = []
    for _, part in frame.groupby("group_id"):
        cells: dict[Key, float | None] = {
            key: None if value != value else float(value)
            for key, value in zip(part["area_code"], part["value"], strict=True)
        }
        row_of = dict(zip(part["area_code"], part["row_id"], strict=True))
        places = tuple(key for key in cells if key != COUNTRY)
        rows += [int(row_of[key]) for key in cover(cells, [(COUNTRY, places)], k)]
    return _hide(warehouse, table, rows)


NO_KEY = {"value", "value_status", "_snapshot_id", "_is_filled"}


def _cover_shares(warehouse: Warehouse, table: str, k: int) -> int:
    shares = warehouse.rows(
        "SELECT measure_name, whole_measure_name FROM reference.complementary_shares WHERE source_id = ?",
        [table.removeprefix("staging.")],
    )
    if not shares:
        return 0
    names = [name for name, _ in warehouse.columns(f"SELECT * FROM {table}")]
    keys = ", ".join(quote_identifier(name) for name in names if name not in NO_KEY | {"measure_name"})
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
        rows += [int(row_of[key]) for key in cover(cells, [("whole", tuple(row_of))], k)]
    return _hide(warehouse, table, rows)


def _hide(warehouse: Warehouse, table: str, rows: Sequence[int]) -> int:
    if rows:
        listed = ", ".join(str(row) for row in rows)
        warehouse.execute(f"UPDATE {table} SET value = NULL, value_status = 'suppressed' WHERE rowid IN ({listed})")
    return len(rows)

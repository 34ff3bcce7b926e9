"""Disclosure control: small counts hidden, and enough beside them that nobody can work them out.

Threshold: counts of 1 to k-1 persons are hidden, k = 5 by default, as in extracts under Danmarks Statistik's
discretion rules (cells below 5, https://fpu917.wixsite.com/fpu-dk/noter). Answers to Folketinget on refugees also hide
5 (https://ft.dk/samling/20171/almdel/uui/spm/801/svar/1510671/1938997/index.htm): use k = 6 to follow them.
A zero is no person and stays visible, unless it is needed as cover. Whether a cell is hidden for itself or for
another's sake is never published, for that would tell that the former lies below k.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from transforms.disclosure_audit import (
    Exposure,
    Key,
    Relation,
    audit,
    audit_difference,
    cells_of,
    intervals,
    merged,
    propagate,
    relations_of,
)
from transforms.errors import DataRefused

__all__ = [
    "Exposure", "Key", "Protected", "Relation", "audit", "audit_difference", "cells_of", "intervals", "is_small",
    "merged", "relations_of", "round_to", "safe_rate", "suppress",
]  # fmt: skip

DEFAULT_K = 5
MIN_DENOMINATOR = 20
Status = Literal["observed", "zero", "suppressed", "missing"]


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
    values: Mapping[Key, int],
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


def safe_rate(
    numerator: int | None, denominator: int | None, *, k: int = DEFAULT_K, least: int = MIN_DENOMINATOR
) -> tuple[float | None, Status]:
    """Return (share in per cent, status). None stands for a hidden count.

    No share is shown on fewer than `least` persons, nor where numerator or rest is small: the share times a visible
    denominator is the count. A share of 0 or 100 per cent says something of everybody and needs the denominator only.
    """
    if numerator is None or denominator is None or denominator < least:
        return None, "suppressed"
    if is_small(numerator, k) or is_small(denominator - numerator, k):
        return None, "suppressed"
    return 100.0 * numerator / denominator, "zero" if numerator == 0 else "observed"


def round_to(count: int, base: int = 5) -> int:
    """Return a count rounded to the nearest multiple of `base`, halves upwards.

    Totals are rounded by themselves, so a rounded table need not add up; that is part of the protection.
    """
    return (count + base // 2) // base * base

"""Colour classes of the map: limits from the newest period, kept for every other, so that years can be compared."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

CLASSES = 5


def breaks(values: Iterable[float], decimals: int, classes: int = CLASSES) -> list[float]:
    """Return the inner limits of up to `classes` classes with about equally many values in each (quantiles).

    Limits are rounded to what the reader sees and never repeated, so few distinct values give fewer classes.
    """
    ordered = sorted(values)
    if not ordered:
        return []
    limits = []
    for part in range(1, classes):
        place = part * (len(ordered) - 1) / classes
        low = ordered[int(place)]
        high = ordered[min(int(place) + 1, len(ordered) - 1)]
        limits.append(round(low + (high - low) * (place % 1), decimals))
    lowest, highest = round(ordered[0], decimals), round(ordered[-1], decimals)
    return sorted({limit for limit in limits if lowest < limit <= highest})


def class_of(value: float, limits: list[float], decimals: int) -> int:
    """Return the class (0 = lowest) of a value as it is shown; a limit belongs to the class above it."""
    return bisect_right(limits, round(value, decimals))

"""The target group person by person: who arrives, when, where, with what.

Everybody is invented. Days count from EPOCH; a missing day is NEVER.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flows.sample.world_areas import Floats, Ints, Places, stream
from flows.sample.world_conditions import Conditions, at

EPOCH = np.datetime64("2008-01-01")
NEVER = 1_000_000
LAST_DAY = int((np.datetime64("2025-12-31") - EPOCH).astype(int))
YEAR_DAYS = 365.25

BASES: tuple[str, ...] = ("asylum", "family_of_refugee", "other_family")
ORIGINS: tuple[str, ...] = ("SYR", "ERI", "AFG", "IRN", "IRQ", "SOM", "MMR", "COD")
EDUCATIONS: tuple[str, ...] = ("none", "primary", "secondary", "higher", "unknown")
MATCHES: tuple[str, ...] = ("job_ready", "activity_ready")
END_REASONS: tuple[str, ...] = ("none", "emigrated", "died")

# Invented shape of intake per permit year 2008..2025: low, a wave in the middle, low again.
_INTAKE = np.array([2, 2, 2, 2.4, 2.8, 3.6, 6, 11, 9, 5, 3, 2.2, 1.3, 1.4, 1.6, 1.8, 1.6, 1.4])
# Invented mix of origins: before the wave, in it, after it.
_ORIGIN_MIX = np.array(
    [
        [10, 6, 22, 12, 24, 14, 8, 4],
        [56, 18, 7, 6, 4, 5, 1, 3],
        [38, 14, 18, 9, 6, 5, 3, 7],
    ],
    dtype=float,
)
# Education brought along per origin (none, primary, secondary, higher, unknown).
_EDUCATION_MIX = np.array(
    [
        [10, 38, 28, 19, 5],
        [16, 50, 22, 6, 6],
        [34, 36, 16, 8, 6],
        [5, 20, 37, 34, 4],
        [14, 38, 27, 17, 4],
        [42, 38, 10, 4, 6],
        [30, 48, 14, 3, 5],
        [18, 42, 26, 9, 5],
    ],
    dtype=float,
)
# Places that the wave passed by: crowded suburbs and the capital receive few by quota.
_QUOTA_FREE_PROVINCE = "02"


@dataclass(frozen=True)
class Traits:
    """One row per person, arrays of equal length, ordered by permit day."""

    place: Ints
    permit_day: Ints
    takeover_day: Ints
    basis: Ints
    origin: Ints
    is_woman: npt.NDArray[np.bool_]
    birth_day: Ints
    education: Ints
    has_partner: npt.NDArray[np.bool_]
    children: Ints
    danish_track: Ints
    match: Ints
    end_day: Ints
    end_reason: Ints
    move_day: Ints
    move_place: Ints

    def __len__(self) -> int:
        return len(self.place)

    def place_at(self, day: int) -> Ints:
        """Return everybody's place on a day."""
        return np.where(self.move_day <= day, self.move_place, self.place)

    def place_at_each(self, person: Ints, day: Ints) -> Ints:
        """Return the place of each person on a day of their own."""
        return np.where(self.move_day[person] <= day, self.move_place[person], self.place[person])

    def present_at(self, day: int) -> npt.NDArray[np.bool_]:
        """Return who is registered in a municipality on a day."""
        return (self.takeover_day <= day) & (self.end_day > day)

    def age_at(self, day: int) -> Ints:
        """Return everybody's age in whole years on a day."""
        return np.asarray(((day - self.birth_day) / YEAR_DAYS).astype(np.int64))


def _pick(rng: np.random.Generator, weights: Floats, rows: Ints) -> Ints:
    """Return one column per row of `weights[rows]`, drawn by weight."""
    share = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    share[:, -1] = 1.0
    flat = (share + np.arange(len(share))[:, None]).ravel()
    drawn = np.searchsorted(flat, rows + rng.random(len(rows)), side="right")
    return np.asarray(np.minimum(drawn - rows * share.shape[1], share.shape[1] - 1))


def draw_traits(seed: int, places: Places, conditions: Conditions, persons: int) -> Traits:
    """Return `persons` adults who got their first permit between 2008 and 2025."""
    rng = stream(seed, "traits")
    year = np.sort(rng.choice(len(_INTAKE), size=persons, p=_INTAKE / _INTAKE.sum()))
    permit = (year * YEAR_DAYS + rng.integers(0, 365, persons)).astype(np.int64).clip(0, LAST_DAY)
    permit.sort()
    basis = rng.choice(3, size=persons, p=[0.62, 0.29, 0.09])
    phase = np.where(year < 5, 0, np.where(year < 10, 1, 2))
    origin = _pick(rng, _ORIGIN_MIX, phase)
    is_woman = rng.random(persons) < np.array([0.30, 0.72, 0.66])[basis]
    age = 18 + 46 * rng.beta(1.5, 3.4, persons)
    birth = (permit - age * YEAR_DAYS).astype(np.int64)
    birth = np.where(rng.random(persons) < 0.16, _first_of_january(birth), birth)
    education = _pick(rng, _EDUCATION_MIX, origin)
    has_partner = rng.random(persons) < np.where(basis == 0, 0.42, 0.86) * np.clip((age - 16) / 9, 0.2, 1)
    children = np.where(has_partner, rng.poisson(1.7, persons), rng.poisson(0.25, persons)).clip(0, 8)
    takeover = permit + np.where(basis == 0, rng.integers(14, 75, persons), rng.integers(0, 21, persons))
    end, reason = _ends(rng, takeover, age)
    place = _place(rng, places, conditions, year, basis)
    move_day, move_place = _moves(rng, places, takeover)
    return Traits(
        place=place,
        permit_day=permit,
        takeover_day=takeover,
        basis=basis,
        origin=origin,
        is_woman=is_woman,
        birth_day=birth,
        education=education,
        has_partner=has_partner,
        children=children,
        danish_track=_danish_track(rng, education, age),
        match=_match(rng, education, age, is_woman, children),
        end_day=end,
        end_reason=reason,
        move_day=np.where(move_day < end, move_day, NEVER),
        move_place=move_place,
    )


def _first_of_january(day: Ints) -> Ints:
    """Return 1 January of the day's year: how undocumented birthdays are registered."""
    years = (EPOCH + day).astype("datetime64[Y]")
    return np.asarray((years.astype("datetime64[D]") - EPOCH).astype(np.int64))


def _place(rng: np.random.Generator, places: Places, conditions: Conditions, year: Ints, basis: Ints) -> Ints:
    """Return the receiving place: quotas by population less what lives there already; family follows people."""
    crowded = np.array([p == _QUOTA_FREE_PROVINCE for p in places.provinces])
    weights = []
    for y in range(len(_INTAKE)):
        population, share = at(conditions.population, 2008.5 + y), at(conditions.non_western_share, 2008.5 + y)
        quota = population**0.85 * np.exp(-18 * share) * np.where(crowded, 0.25, 1.0)
        quota[[i for i, size in enumerate(places.sizes) if size == "islet"]] = 0
        family = quota * (share + 0.03)
        weights += [quota / quota.sum(), family / family.sum()]
    return _pick(rng, np.array(weights), 2 * year + (basis > 0))


def _moves(rng: np.random.Generator, places: Places, takeover: Ints) -> tuple[Ints, Ints]:
    """Return day and place of the one move a person makes; it comes after the three programme years."""
    weight = (places.size_2016**1.1 * (places.size_2016 > 1_000)) / 1.0
    target = rng.choice(len(weight), size=len(takeover), p=weight / weight.sum())
    wait = (3.0 + rng.exponential(14.0, len(takeover))) * YEAR_DAYS
    return takeover + wait.astype(np.int64), target


def _ends(rng: np.random.Generator, takeover: Ints, age: Floats) -> tuple[Ints, Ints]:
    leave = rng.exponential(45.0, len(age)) * YEAR_DAYS
    death = rng.exponential(1.0, len(age)) * 900.0 * np.exp(-0.07 * (age - 20)) * YEAR_DAYS
    first = np.minimum(leave, death)
    end = np.where(first < 25 * YEAR_DAYS, takeover + 60 + first, NEVER).astype(np.int64)
    reason = np.where(end == NEVER, 0, np.where(leave <= death, 1, 2))
    return end, reason


def _danish_track(rng: np.random.Generator, education: Ints, age: Floats) -> Ints:
    score = np.array([-2.2, -0.6, 0.7, 1.9, -0.3])[education] - 0.03 * (age - 30)
    score = score + rng.logistic(0, 0.6, len(age))
    return np.asarray(1 + (score > -0.8).astype(np.int64) + (score > 1.2))


def _match(
    rng: np.random.Generator,
    education: Ints,
    age: Floats,
    is_woman: npt.NDArray[np.bool_],
    children: Ints,
) -> Ints:
    lean = -0.9 + 0.045 * (age - 32) + 0.5 * is_woman + 0.15 * children
    lean = lean - np.array([-0.4, 0.0, 0.4, 0.7, 0.0])[education]
    return np.asarray((rng.random(len(age)) < 1 / (1 + np.exp(-lean))).astype(np.int64))


def dates(days: Ints | Sequence[int]) -> npt.NDArray[np.datetime64]:
    """Return days since EPOCH as dates; NEVER becomes NaT."""
    values = np.asarray(days, dtype=np.int64)
    shown = (EPOCH + np.where(values >= NEVER, 0, values)).astype("datetime64[s]")
    shown[values >= NEVER] = np.datetime64("NaT")
    return shown

"""Where people work in the sample world: whole persons by home, workplace, sex and industry.

All labour market tables are sums of the same few arrays, so their margins agree to the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from flows.sample.persons import ORIGINS
from flows.sample.population import (
    AGES,
    ANCESTRIES,
    EMPLOYED,
    NON_WESTERN,
    day_of,
    deal,
    industry_shares,
    split,
)
from flows.sample.world_areas import Floats, Ints, stream
from flows.sample.world_conditions import INDUSTRIES, NEWCOMER_LEAN

if TYPE_CHECKING:
    from flows.sample.world import World

AGE_GROUPS = np.array([16, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 67])
"""First ages of the labour market accounts' groups after `-15`: 13 groups in all."""
_AGE_GROUP = np.searchsorted(AGE_GROUPS, AGES, side="right")
SOCIO_COUNT = 8
_FROM_ABROAD = 0.004
# Shares of self-employed, assisting, management, upper, medium, basic, other, not specified (invented).
_SOCIO = np.array([6, 0.3, 4, 24, 10, 42, 8.7, 5]) / 100
_SELF_EMPLOYED_HEAVY = np.array([code in ("A", "F", "I", "R", "S", "L") for code in INDUSTRIES])
_ORIGIN_LEAN = np.array([0.0, 0.5, 1.3, 0.1, 0.5])
# Weight of each listed country among immigrants (and descendants) with its ancestry; unlisted countries
# take the rest. Invented, with the refugees' countries growing as they arrive.
COUNTRY_ANCESTRY: dict[str, tuple[int, float]] = {
    **{code: (1, weight) for code, weight in (("POL", 22), ("RUM", 14), ("TYS", 10), ("LIT", 7))},
    **{code: (1, weight) for code, weight in (("NOR", 6), ("SVE", 6), ("STO", 6), ("BUL", 5), ("ITA", 4))},
    **{code: (1, weight) for code, weight in (("SPA", 4), ("FRA", 3), ("HOL", 3), ("ISL", 3), ("LET", 3))},
    "USA": (1, 3),
    **{code: (2, weight) for code, weight in (("TYR", 12), ("IRA", 6), ("LIB", 5), ("BOS", 6), ("PAK", 5))},
    **{code: (2, weight) for code, weight in (("IRN", 6), ("SOM", 3), ("AFG", 4), ("VIE", 4), ("THA", 4))},
    **{code: (2, weight) for code, weight in (("IND", 5), ("FIL", 4), ("KIN", 4), ("SRI", 3), ("MAR", 3))},
    **{code: (2, weight) for code, weight in (("JUG", 3), ("UKR", 4), ("RUS", 3), ("SYR", 2))},
}
TARGET_COUNTRY = {"SYR": "SYR", "AFG": "AFG", "IRN": "IRN", "IRQ": "IRA", "SOM": "SOM"}


def by_age_group(counts: Ints, axis: int) -> Ints:
    """Return counts with the axis of single ages summed to the 13 groups of the labour market accounts."""
    starts = np.searchsorted(_AGE_GROUP, np.arange(len(AGE_GROUPS) + 1))
    return np.asarray(np.add.reduceat(counts, starts, axis=axis))


@dataclass(frozen=True)
class Sums:
    """Employed persons of one year, whole numbers."""

    matrix: Ints
    """home × workplace (abroad last) × sex"""
    residents: Ints
    """home × industry × sex"""
    at_home: Ints
    """of the residents those who work in their own place, place × industry × sex"""
    workers: Ints
    """workplace × industry × sex, from abroad included"""


class Labour:
    """Employed persons of one world at the end of November."""

    def __init__(self, world: World) -> None:
        self.world = world
        rng = stream(world.seed, "labour")
        self.place_count = len(world.places.codes)
        n = self.place_count
        self._flow_offset = rng.random((n, 2))
        self._industry_offset = rng.random((n, 2, n + 1))
        self._socio_offset = rng.random((n, 2, len(INDUSTRIES), len(AGE_GROUPS) + 1))
        self._inward_offset = rng.random((n, 2, len(INDUSTRIES)))
        self.sums = lru_cache(maxsize=40)(self._sums)
        self.detailed = lru_cache(maxsize=8)(self._detailed)
        self.origins = lru_cache(maxsize=8)(self._origins)

    def _mix(self) -> Floats:
        """Return industry shares at each workplace (abroad last) and sex."""
        mix = self.world.framework.industry_mix
        return industry_shares(np.vstack([mix, mix.mean(axis=0)]))

    def _flows(self, year: int) -> Ints:
        """Return employed by home × sex × workplace (abroad last) × industry."""
        world = self.world
        _, rest = world.population.status(year)
        employed = rest[..., EMPLOYED].sum(axis=(2, 3))
        commuting = world.framework.commuting[:, None, :]
        flows = split(employed, np.broadcast_to(commuting, (*employed.shape, commuting.shape[-1])), self._flow_offset)
        shares = np.swapaxes(self._mix(), 0, 1)[None]
        out = split(flows, np.broadcast_to(shares, (*flows.shape, shares.shape[-1])), self._industry_offset)
        day = day_of(year, 11, 30)
        jobs = world.population.jobs_on(day)
        c, t = world.careers, world.traits
        person = c.job_person[jobs]
        at = (t.place_at(day)[person], t.is_woman[person].astype(int), c.job_workplace[jobs], c.job_industry[jobs])
        np.add.at(out, at, 1)
        return out

    def _sums(self, year: int) -> Sums:
        """Return the sums over the flows that the tables need; the flows themselves are not kept."""
        flows = self._flows(year)
        places = np.arange(self.place_count)
        inside = np.swapaxes(flows[:, :, :-1].sum(axis=0), 0, 1)
        from_abroad = np.floor(_FROM_ABROAD * inside + self._inward_offset).astype(np.int64) * (inside > 0)
        return Sums(
            matrix=np.swapaxes(flows.sum(axis=-1), 1, 2),
            residents=np.swapaxes(flows.sum(axis=2), 1, 2),
            at_home=np.swapaxes(flows[places, :, places], 1, 2),
            workers=np.swapaxes(inside + from_abroad, 1, 2),
        )

    def _detailed(self, year: int) -> Ints:
        """Return employed residents by place × industry × socio-economic group × age group × sex."""
        everybody, _ = self.world.population.status(year)
        ages = by_age_group(everybody[..., EMPLOYED].sum(axis=3), axis=2)
        industries = np.swapaxes(self.sums(year).residents, 1, 2)
        cells = deal(ages, industries)
        shares = np.tile(_SOCIO, (len(INDUSTRIES), 1))
        shares[_SELF_EMPLOYED_HEAVY, 0] *= 2.6
        shares = np.broadcast_to(shares[None, None, :, None, :], (*cells.shape, SOCIO_COUNT))
        return np.transpose(split(cells, shares, self._socio_offset), (0, 2, 4, 3, 1))

    def _origins(self, year: int) -> Ints:
        """Return employed by ancestry × industry × socio-economic group × age group × sex, whole country."""
        national = self.detailed(year).sum(axis=0)
        everybody, _ = self.world.population.status(year)
        by_ancestry = by_age_group(everybody[..., EMPLOYED].sum(axis=0), axis=1)
        out = np.zeros((len(ANCESTRIES), *national.shape), dtype=np.int64)
        left = np.transpose(national, (3, 2, 0, 1)).reshape(2, len(AGE_GROUPS) + 1, -1)
        lean = np.repeat(NEWCOMER_LEAN, SOCIO_COUNT)
        shape = (2, len(AGE_GROUPS) + 1, *national.shape[:2])
        for number in range(len(ANCESTRIES) - 1, 0, -1):
            weight = left * np.exp(_ORIGIN_LEAN[number] * lean)
            taken = np.minimum(split(by_ancestry[..., number], weight + 1e-12), left)
            left = left - taken
            out[number] = np.transpose(taken.reshape(shape), (2, 3, 1, 0))
        out[0] = np.transpose(left.reshape(shape), (2, 3, 1, 0))
        return out

    def country_share(self, country: str, year: int) -> tuple[int, float]:
        """Return (ancestry of its immigrants, share of it that comes from the country) at the year's end."""
        group, weight = COUNTRY_ANCESTRY.get(country, (2, 1.0))
        total = 108.0
        share = weight / total
        origins = [name for name, code in TARGET_COUNTRY.items() if code == country]
        if not origins:
            return group, share
        everybody, rest = self.world.population.status(year)
        immigrants = everybody[..., NON_WESTERN, EMPLOYED].sum()
        background = rest[..., NON_WESTERN, EMPLOYED].sum()
        return group, float((share * background + self._target_employed(origins[0], year)) / immigrants)

    def _target_employed(self, origin: str, year: int) -> int:
        world = self.world
        person = world.careers.job_person[world.population.jobs_on(day_of(year, 11, 30))]
        return int((world.traits.origin[person] == ORIGINS.index(origin)).sum())

"""Everybody in the sample world counted: by place, sex, age and ancestry, and by labour market status.

The target group is counted person by person; the rest is drawn per cell: an expected number rounded with
a fixed offset per cell, so counts are whole, steady over time and the same at every asking.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flows.sample.persons import EPOCH, YEAR_DAYS
from flows.sample.world_areas import Floats, Ints, stream
from flows.sample.world_conditions import INDUSTRIES, WOMEN_LEAN, at

if TYPE_CHECKING:
    from flows.sample.world import World

AGES = np.arange(106)
ANCESTRIES: tuple[str, ...] = (
    "danish",
    "western_immigrant",
    "non_western_immigrant",
    "western_descendant",
    "non_western_descendant",
)
NON_WESTERN = ANCESTRIES.index("non_western_immigrant")
EMPLOYED, UNEMPLOYED, OUTSIDE = 0, 1, 2
_EMPLOYMENT_AGES = [14, 15, 17, 19, 22, 27, 32, 54, 57, 62, 65.5, 70, 76, 105]
_EMPLOYMENT_LOGIT = [-20, -1.2, -0.3, 0.1, 0.75, 1.2, 1.6, 1.6, 1.35, 0.5, -0.8, -2.0, -4.0, -9]
_EMPLOYMENT_BY_ANCESTRY = np.array([0.0, -0.75, -1.05, -0.3, -0.6])
_WOMEN_EMPLOYMENT = np.array([-0.10, -0.2, -0.55, -0.1, -0.15])


def day_of(year: int, month: int, day: int) -> int:
    """Return days from the epoch to a date."""
    return int((np.datetime64(f"{year:04d}-{month:02d}-{day:02d}") - EPOCH).astype(int))


def decimal_year(day: int) -> float:
    """Return a day as a decimal year."""
    return 2008.0 + day / YEAR_DAYS


def split(counts: Ints, shares: Floats, offset: Floats | float = 0.5) -> Ints:
    """Return whole counts split over a new last axis by shares (sum 1); nothing is lost.

    The cumulative shares are rounded with the cell's offset, so small counts fall where the offset says.
    """
    total = np.cumsum(shares, axis=-1)
    total = total / total[..., -1:]
    total[..., -1] = 1.0
    edges = np.floor(counts[..., None] * total + np.asarray(offset)[..., None] + 1e-9).astype(np.int64)
    edges[..., 1:] -= edges[..., :-1].copy()
    return np.asarray(edges)


def deal(columns: Ints, rows: Ints) -> Ints:
    """Return a table of whole numbers with both margins kept: (..., rows) and (..., columns) of equal sum.

    Row by row, each row takes its number evenly from what is left of the columns (controlled rounding).
    """
    left = columns.astype(np.int64).copy()
    out = np.empty((*rows.shape, columns.shape[-1]), dtype=np.int64)
    for i in range(rows.shape[-1]):
        edge = np.cumsum(left, axis=-1)
        total = np.maximum(edge[..., -1:], 1)
        taken = (2 * rows[..., i, None] * edge + total) // (2 * total)
        taken[..., 1:] -= taken[..., :-1].copy()
        out[..., i, :] = taken
        left -= taken
    return out


class Population:
    """Counts of one world; arrays are places × sexes (men, women) × ages 0-105 × ancestries."""

    def __init__(self, world: World) -> None:
        self.world = world
        shape = (len(world.places.codes), 2, len(AGES), len(ANCESTRIES))
        rng = stream(world.seed, "population")
        self._offset = rng.random(shape)
        self._work_offset = rng.random(shape)
        self._seek_offset = rng.random(shape)
        self.background = lru_cache(maxsize=24)(self._background)
        self.everybody = lru_cache(maxsize=72)(self._everybody)
        self.status = lru_cache(maxsize=20)(self._status)

    def _background(self, day: int) -> npt.NDArray[np.int64]:
        """Return those outside the target group on a day."""
        c, when = self.world.framework, decimal_year(day)
        western, newcomers = at(c.western_share, when), at(c.non_western_share, when)
        descendants = at(c.descendant_share, when)
        share = np.column_stack(
            [
                1 - western - newcomers - 1.08 * descendants,
                western,
                newcomers,
                0.08 * descendants,
                descendants,
            ]
        )
        ages = self._age_shares(when)
        expected = at(c.population, when)[:, None, None, None] * share[:, None, None, :] * ages
        return np.floor(expected + self._offset).astype(np.int64)

    def _age_shares(self, when: float) -> Floats:
        """Return shares by sex and age that sum to one per place and ancestry."""
        a = AGES.astype(float)
        mortal = 1 / (1 + np.exp((a - 84 - 0.12 * (when - 2016)) / 6.5))
        grown = np.exp(-((a - 36) ** 2) / (2 * 15.0**2))
        shape = np.stack(
            [
                mortal * (1 + 0.10 * np.sin((a - 8) / 11)),
                grown + 0.02 * mortal,
                np.exp(-((a - 43) ** 2) / (2 * 15.5**2)) * mortal + 0.02 * (a < 70),
                np.exp(-a / 19) * mortal,
                np.exp(-a / 17) * mortal,
            ],
            axis=1,
        )
        c = self.world.framework
        tilt = np.exp(at(c.age_tilt, when)[:, None] * (np.minimum(a, 85) - 42) / 45)
        bump = 1 + c.student_bump[:, None] * np.exp(-((a - 25) ** 2) / 22)
        share = shape[None, :, :] * (tilt * bump)[:, :, None]
        share = share / share.sum(axis=1, keepdims=True)
        men = 0.512 - 0.19 / (1 + np.exp(-(a - 84) / 6))
        return np.stack([share * men[:, None], share * (1 - men)[:, None]], axis=1)

    def count(self, day: int, keep: npt.NDArray[np.bool_]) -> Ints:
        """Return how many of the target group marked by `keep` stand in each place × sex × age on a day."""
        t = self.world.traits
        age = np.clip(t.age_at(day)[keep], 0, AGES[-1])
        sexes, ages = 2, len(AGES)
        flat = (t.place_at(day)[keep] * sexes + t.is_woman[keep]) * ages + age
        n = len(self.world.places.codes)
        return np.bincount(flat, minlength=n * sexes * ages).reshape(n, sexes, ages)

    def _everybody(self, day: int) -> npt.NDArray[np.int64]:
        """Return the whole population on a day, the target group among the non-western immigrants."""
        counts = self.background(day).copy()
        counts[..., NON_WESTERN] += self.count(day, self.world.traits.present_at(day))
        return counts

    def jobs_on(self, day: int) -> Ints:
        """Return positions of one job per employed person of the target group on a day."""
        c, t = self.world.careers, self.world.traits
        running = np.flatnonzero((c.job_start <= day) & (c.job_end > day) & t.present_at(day)[c.job_person])
        _, first = np.unique(c.job_person[running], return_index=True)
        return np.asarray(running[first])

    def _status(self, year: int) -> tuple[Ints, Ints]:
        """Return (everybody, background only) at the end of November, with a last axis of three statuses."""
        day = day_of(year, 11, 30)
        background, t = self.background(day), self.world.traits
        rest = self._split_background(background, decimal_year(day))
        working = np.zeros(len(t), dtype=bool)
        working[self.world.careers.job_person[self.jobs_on(day)]] = True
        present = t.present_at(day)
        seeking = present & ~working & (t.match == 0) & (t.age_at(day) < 66)
        everybody = rest.copy()
        for status, who in enumerate((working, seeking, present & ~working & ~seeking)):
            everybody[..., NON_WESTERN, status] += self.count(day, who)
        return everybody, rest

    def _split_background(self, counts: Ints, when: float) -> Ints:
        c = self.world.framework
        a = AGES.astype(float)
        logit = np.interp(a, _EMPLOYMENT_AGES, _EMPLOYMENT_LOGIT)[None, None, :, None]
        logit = logit + at(c.employment_shift, when)[:, None, None, None] + _EMPLOYMENT_BY_ANCESTRY
        logit = logit + np.stack([np.zeros_like(_WOMEN_EMPLOYMENT), _WOMEN_EMPLOYMENT])[None, :, None, :]
        employed = np.floor(counts / (1 + np.exp(-logit)) + self._work_offset).astype(np.int64)
        odd = 0.11 * at(c.unemployment_pct, when)[:, None, None, None] / 4.2 * ((a > 17) & (a < 66))[:, None]
        seeking = np.floor((counts - employed) * np.minimum(odd, 0.9) + self._seek_offset).astype(np.int64)
        seeking = np.minimum(seeking, counts - employed) * ((a > 17) & (a < 66))[:, None]
        return np.stack([employed, seeking, counts - employed - seeking], axis=-1)


def industry_shares(mix: Floats) -> Floats:
    """Return the shares of industries by workplace and sex, places × sexes × industries."""
    both = np.stack([mix * np.exp(-WOMEN_LEAN / 2), mix * np.exp(WOMEN_LEAN / 2)], axis=1)
    assert both.shape[-1] == len(INDUSTRIES)
    return np.asarray(both / both.sum(axis=-1, keepdims=True))

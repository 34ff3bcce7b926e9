"""Openings on Jobnet in the sample world: a few per cent of the jobs of each municipality and industry a year."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.sample.world_areas import Floats, stream
from flows.sample.world_conditions import INDUSTRIES, NEWCOMER_LEAN
from transforms.areas import areas
from transforms.codelists import load_codelists

if TYPE_CHECKING:
    from flows.sample.world import World

COLUMNS = ["Branche", "Antal stillinger", "Dagligt gennemsnitligt antal stillinger", "Antal nyopslåede stillinger"]
COUNTRY, ALL_INDUSTRIES = "Hele landet", "Brancher i alt"
# Invented: openings posted a year per job, higher where newcomers are hired and staff changes often.
_POSTED_PER_JOB = 0.06 * np.exp(0.4 * NEWCOMER_LEAN)
_SEASON = np.array([1.15, 1.0, 1.1, 1.05, 1.05, 1.0, 0.75, 1.1, 1.1, 1.0, 0.95, 0.75])
# An opening stands for some weeks: those open in a month, and on a day of it, per opening posted in it.
_OPEN_PER_POSTED, _OPEN_A_DAY_PER_POSTED = 1.6, 0.8
SMALLEST_SHOWN = 3
_FEWEST_JOBS = 20
"""Under so many jobs an industry has no row for the municipality, as the service leaves rows out."""


def openings(world: World, period: str) -> list[list[Any]]:
    """Return area, industry text, openings in the month, on an average day, and posted in it, for a month (2016M12).

    The country, then the 98 municipalities, each with all industries together and one by one. Null where a count is
    too small to be shown; no row for an industry with next to no jobs in the municipality. A month is the same in every
    vintage.
    """
    year, month = int(period[:4]), int(period[5:])
    jobs = world.labour.sums(year - 1).workers.sum(axis=2)
    posted = _posted(world, jobs, period, month)
    rows = _rows(COUNTRY, posted.sum(axis=0), jobs.sum(axis=0))
    for number, code in enumerate(world.places.codes):
        if areas()[code].level == "municipality":
            rows += _rows(areas()[code].name_da, posted[number], jobs[number])
    return rows


def _posted(world: World, jobs: Floats, period: str, month: int) -> Floats:
    """Return openings posted in a month, places × industries."""
    rng = stream(world.seed, f"openings {period}")
    return np.asarray(rng.poisson(jobs * _POSTED_PER_JOB / 12 * _SEASON[month - 1]), dtype=float)


def _rows(area: str, posted: Floats, jobs: Floats) -> list[list[Any]]:
    found = [[area, ALL_INDUSTRIES, *_figures(float(posted.sum()))]]
    found += [
        [area, text, *_figures(float(posted[n]))] for n, text in enumerate(_industry_texts()) if jobs[n] >= _FEWEST_JOBS
    ]  # fmt: skip
    return found


def _figures(posted: float) -> list[int | None]:
    return [_shown(posted * _OPEN_PER_POSTED), _shown(posted * _OPEN_A_DAY_PER_POSTED), _shown(posted)]


def _shown(count: float) -> int | None:
    whole = round(count)
    return None if 0 < whole < SMALLEST_SHOWN else whole


@cache
def _industry_texts() -> list[str]:
    """Return the Danish names of the industries without their letters, as Jobindsats writes them."""
    names = {code.code: code.text_da.removeprefix(f"{code.code} ") for code in load_codelists()["db07_37"]}
    return [names[code] for code in INDUSTRIES]

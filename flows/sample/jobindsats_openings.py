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

COLUMNS = ["Branche", "Antal nyopslåede stillinger"]
COUNTRY, ALL_INDUSTRIES = "Hele landet", "Brancher i alt"
# Invented: openings posted a year per job, higher where newcomers are hired and staff changes often.
_POSTED_PER_JOB = 0.06 * np.exp(0.4 * NEWCOMER_LEAN)
_SEASON = np.array([1.15, 1.0, 1.1, 1.05, 1.05, 1.0, 0.75, 1.1, 1.1, 1.0, 0.95, 0.75])


def openings(world: World, period: str) -> list[list[Any]]:
    """Return area, industry text and openings posted in a month (2016M12), which is the same in every vintage.

    The country, then the 98 municipalities, each with all industries together and one by one. Openings are no persons,
    so small counts are shown.
    """
    year, month = int(period[:4]), int(period[5:])
    jobs = world.labour.sums(year - 1).workers.sum(axis=2)
    posted = _posted(world, jobs, period, month)
    rows = _rows(COUNTRY, posted.sum(axis=0))
    for number, code in enumerate(world.places.codes):
        if areas()[code].level == "municipality":
            rows += _rows(areas()[code].name_da, posted[number])
    return rows


def _posted(world: World, jobs: Floats, period: str, month: int) -> Floats:
    """Return openings posted in a month, places × industries."""
    rng = stream(world.seed, f"openings {period}")
    return np.asarray(rng.poisson(jobs * _POSTED_PER_JOB / 12 * _SEASON[month - 1]), dtype=float)


def _rows(area: str, posted: Floats) -> list[list[Any]]:
    found: list[list[Any]] = [[area, ALL_INDUSTRIES, round(float(posted.sum()))]]
    return found + [[area, text, round(float(posted[n]))] for n, text in enumerate(_industry_texts())]


@cache
def _industry_texts() -> list[str]:
    """Return the Danish names of the industries without their letters, as Jobindsats writes them."""
    names = {code.code: code.text_da.removeprefix(f"{code.code} ") for code in load_codelists()["db07_37"]}
    return [names[code] for code in INDUSTRIES]

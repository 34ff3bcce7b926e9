"""The published mart of the sample world against what was planted in it, and beside the best anybody could do.

The oracle knows the world's coefficients, labour markets and persons, all but the municipal effects and what the
municipality itself judges of a person (which the mapping leaves out on purpose), and sees the same jobs.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from flows.sample.people import EPOCH, STEP, STEPS, labour_market, person_scores
from flows.sample.places import standardise
from flows.sample.truth import INVENTED
from flows.sample.world import World, build_world
from tests.fixtures.planted import weeks_to_lasting_job
from tests.fixtures.world import Published
from tests.golden.test_golden import as_csv

HERE = Path(__file__).parent
FOLLOWED_WEEKS, INTERVAL_WEEKS, LASTING_WEEKS = 156, 13, 13
FIRST_DAY = int((np.datetime64("2018-01-01") - EPOCH).astype(int))
"""The mapping tells of the newest eight years of permits."""


def oracle(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Return persons followed per place, and its log ratio of observed to expected jobs, drawn in by its chance."""
    traits, b = world.traits, world.coefficients
    demand = b.manufacturing_share_z * standardise(
        world.framework.manufacturing_share
    ) + b.non_western_demand_z * standardise(world.framework.newcomer_demand)
    market = labour_market(world.framework, demand, b)
    score = person_scores(traits) - INVENTED["persons"]["match_activity_ready"] * traits.match
    weeks = weeks_to_lasting_job(traits, world.careers)
    end = np.minimum(np.minimum(traits.end_day, traits.move_day), world.vintage_day)
    seen = (end - traits.takeover_day) / 7 - LASTING_WEEKS
    whole = np.floor(np.clip(seen, 0, FOLLOWED_WEEKS) / INTERVAL_WEEKS).astype(int)
    has_job = np.isfinite(weeks) & (weeks <= seen) & (weeks < FOLLOWED_WEEKS)
    job_in = np.floor(np.where(has_job, weeks, 0) / INTERVAL_WEEKS).astype(int)
    job = has_job & (job_in < whole)
    count = np.where(job, job_in + 1, whole)
    followed = (traits.takeover_day >= FIRST_DAY) & (traits.takeover_day < world.vintage_day) & (count > 0)
    places = len(world.places.codes)
    expected, jobs = np.zeros(places), np.zeros(places)
    for k in range(FOLLOWED_WEEKS // INTERVAL_WEEKS):
        at_risk, now = followed & (count > k), followed & job & (count == k + 1)
        step = np.clip(traits.takeover_day // STEP + 1 + INTERVAL_WEEKS * k // 4, 0, STEPS - 1)
        chance = np.exp(score + market[traits.place, step])
        here = np.bincount(traits.place[at_risk], chance[at_risk], places)
        expected += here * now.sum() / here.sum()
        jobs += np.bincount(traits.place[now], minlength=places)
    drawn_in = world.municipal_sd**2 / (world.municipal_sd**2 + 1 / np.maximum(expected, 0.1))
    return np.bincount(traits.place[followed], minlength=places), np.log((jobs + 0.5) / (expected + 0.5)) * drawn_in


@pytest.mark.long
def test_planted_effects_are_found_nearly_as_well_as_can_be(sample_run: Published) -> None:
    world = build_world()
    n, best = oracle(world)
    found = dict(
        sample_run.rows(
            "SELECT municipality_code, shrunk_difference::DOUBLE FROM mart.expected "
            "WHERE outcome_id = 'first_job_weeks' AND shrunk_difference IS NOT NULL"
        )
    )
    ours = -np.array([found.get(code, np.nan) for code in world.places.codes])
    judged = (n >= 80) & np.isfinite(ours)
    assert judged.sum() > 70
    possible = spearmanr(best[judged], world.municipal_effect[judged])[0]
    reached = spearmanr(ours[judged], world.municipal_effect[judged])[0]
    print(f"rank correlation with the planted effects: {reached:.3f}; best possible {possible:.3f}")
    assert possible > 0.7
    assert reached > possible - 0.03


SOME = "municipality_code IN ('101', '825', '461')"
GOLDEN = {
    "sample_expected": "SELECT municipality_code, outcome_id, observed, expected, difference, standard_error, "
    "single_low, single_high, difference_low, difference_high, rank_low, rank_high, n_count, assessment, value_status "
    f"FROM mart.expected WHERE {SOME} AND period IN ('2024', '2018-2025') ORDER BY ALL",
    "sample_first_job": "SELECT * FROM mart.first_job WHERE breakdown_id IN ('country', 'sex_code') ORDER BY ALL",
    "sample_newcomers": "SELECT municipality_code, indicator_id, period, value, denominator, value_status "
    "FROM mart.indicator_value JOIN mart.indicator USING (indicator_id) "
    f"WHERE source_id LIKE 'delivery%' AND {SOME} ORDER BY ALL",
}
"""Figures are compared to within one unit of what is published: whole weeks, or a hundredth of a per cent."""


@pytest.mark.long
@pytest.mark.parametrize("name", GOLDEN)
def test_figures_of_persons_are_those_of_the_golden_file(
    name: str, sample_run: Published, pytestconfig: pytest.Config
) -> None:
    path, found = HERE / f"{name}.csv", as_csv(sample_run, GOLDEN[name])
    if pytestconfig.getoption("--update-golden"):
        path.write_text(found, encoding="utf-8")
    known, fresh = (list(csv.reader(text.splitlines(), delimiter=";")) for text in (path.read_text("utf-8"), found))
    assert len(known) == len(fresh) > 1
    assert known[0] == fresh[0]
    for before, after in zip(known[1:], fresh[1:], strict=True):
        for column, old, new in zip(known[0], before, after, strict=True):
            assert alike(old, new), f"{before[:2]}: {column} was {old} and is {new}"


def alike(old: str, new: str) -> bool:
    """Return whether two cells are the same text, or numbers no further apart than a fit on another machine may be."""
    try:
        return abs(float(old) - float(new)) <= (1.0 if float(old) == round(float(old)) else 0.01)
    except ValueError:
        return old == new

"""The sample world: the same seed gives the same bytes, and what is planted shows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.sample.people import NEVER, STEPS, labour_market, person_scores
from flows.sample.places import INDUSTRIES, MANUFACTURING
from flows.sample.truth import KINDS, MEASURES
from flows.sample.world import USE_COLUMNS, World, build_world
from tests.fixtures.planted import USELESS_METHOD, weeks_to_lasting_job
from tests.unit.sample.sample_help import PERSONS, small_cubes, small_world

ROOT = Path(__file__).resolve().parents[3]
FRAMES = ("persons", "measures", "employment", "conditions", "organisation")


def follow_up(world: World, weeks: float = 156) -> tuple[np.ndarray, np.ndarray]:
    """Return weeks to a lasting job cut at three years, and who was followed that long."""
    traits = world.traits
    waited = np.fmin(weeks_to_lasting_job(traits, world.careers), weeks)
    end = np.minimum(traits.end_day, traits.move_day)
    return waited, (traits.takeover_day < 365 * 14) & (end - traits.takeover_day > 7 * weeks)


@pytest.mark.parametrize("name", FRAMES)
def test_the_same_seed_gives_the_same_world_and_another_seed_another(name: str) -> None:
    first, again, other = (getattr(build_world(s, persons=3_000), name) for s in (7, 7, 8))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_the_order_of_asking_changes_nothing() -> None:
    forward, backward = build_world(7, persons=3_000), build_world(7, persons=3_000)
    for name in FRAMES:
        getattr(forward, name)
    for name in reversed(FRAMES):
        getattr(backward, name)
    pd.testing.assert_frame_equal(forward.employment, backward.employment)
    np.testing.assert_array_equal(forward.municipal_effect, backward.municipal_effect)
    np.testing.assert_array_equal(forward.method_effects, backward.method_effects)


def test_sizes_are_invented_per_seed() -> None:
    sizes = [small_world(seed).places.size_2016 for seed in (2016, 1)]
    assert np.abs(sizes[0] / sizes[1] - 1).min() > 0
    for size in sizes:
        codes = small_world().places.codes
        assert codes[int(size.argmax())] == "101"
        assert size[codes.index("411")] == size.min()


@pytest.mark.real
def test_no_published_population_figure_is_in_the_world(real_dir: Path) -> None:
    real = pd.read_csv(real_dir / "statbank/csv/folk1am_population_by_municipality.csv", sep=";")
    published = set(real.loc[real["INDHOLD"] > 1_000, "INDHOLD"].astype(int))
    cubes = small_cubes()
    codes = [code for code in small_world().places.codes if code != "411"]
    answer = cubes.answer("FOLK1AM", {"OMRÅDE": codes, "KØN": ["TOT"], "ALDER": ["IALT"], "Tid": ["2023M01"]})
    ours = [int(value) for value in answer["value"].to_pylist()]
    assert len(set(ours) & published) < 15, "an invented figure may meet a published one, but not often"


def test_persons_are_plausible_and_their_dates_in_order() -> None:
    persons = small_world().persons
    assert len(persons) == PERSONS
    assert persons["person_id"].is_unique
    age = (persons["permit_date"] - persons["birth_date"]).dt.days / 365.25
    assert age.between(17, 65.1).all()
    taken_over = persons["takeover_date"].notna()
    assert taken_over.mean() > 0.99
    assert (persons["takeover_date"] >= persons["permit_date"])[taken_over].all()
    left = persons["end_date"].notna()
    assert (persons.loc[left, "end_date"] > persons.loc[left, "takeover_date"]).all()
    assert (persons.loc[left, "end_reason"] != "none").all()
    first_of_january = (persons["birth_date"].dt.month == 1) & (persons["birth_date"].dt.day == 1)
    assert 0.1 < first_of_january.mean() < 0.25
    assert not (persons["municipality_code"] == "411").any()


def test_measures_and_jobs_lie_inside_the_stay() -> None:
    world = small_world()
    persons = world.persons.set_index("person_id")
    for frame in (world.measures, world.employment):
        owner = persons.loc[frame["person_id"]]
        assert (frame["start_date"].to_numpy() >= owner["takeover_date"].to_numpy()).all()
        done = frame["end_date"].notna()
        assert (frame.loc[done, "end_date"] > frame.loc[done, "start_date"]).all()
    assert set(world.measures["kind"].unique()) == set(KINDS)
    assert set(world.employment["weekly_hours"].unique()) <= set(range(1, 38))


def test_ordinary_jobs_of_a_person_do_not_overlap() -> None:
    jobs = small_world().employment
    jobs = jobs[~jobs["is_subsidised"]].sort_values(["person_id", "start_date"])
    before = jobs.groupby("person_id")["end_date"].shift()
    assert (jobs["start_date"] >= before).where(before.notna(), True).all()


def test_the_time_to_a_lasting_job_is_plausible() -> None:
    weeks, followed = follow_up(small_world())
    assert followed.sum() > 10_000
    assert 105 < weeks[followed].mean() < 140


def explained_by(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Return per municipality the mean weeks less what traits and labour market explain, and n."""
    weeks, followed = follow_up(world)
    coefficients = world.coefficients
    market = labour_market(world.framework, np.zeros(len(world.places.codes)), coefficients)
    demand = (
        coefficients.manufacturing_share_z
        * world.framework.manufacturing_share
        / world.framework.manufacturing_share.std()
        + coefficients.non_western_demand_z * world.framework.newcomer_demand / world.framework.newcomer_demand.std()
    )
    place = world.traits.place
    step = np.minimum(world.traits.takeover_day // 28 + 20, STEPS - 1)
    score = person_scores(world.traits) + market[place, step] + demand[place]
    design = np.column_stack([np.ones(followed.sum()), score[followed]])
    fit, *_ = np.linalg.lstsq(design, weeks[followed], rcond=None)
    residual = weeks[followed] - design @ fit
    n = np.bincount(place[followed], minlength=len(world.places.codes))
    return np.bincount(place[followed], residual, minlength=len(n)) / np.maximum(n, 1), n


def test_the_planted_municipal_effect_shows_in_the_durations() -> None:
    world = small_world()
    residual, n = explained_by(world)
    enough = n >= 80
    assert enough.sum() > 50
    assert np.corrcoef(residual[enough], world.municipal_effect[enough])[0, 1] < -0.7


def test_a_world_without_municipal_effects_has_less_between_municipalities() -> None:
    plain = small_world(municipal_sd=0.0)
    assert (plain.municipal_effect == 0).all()
    spread = []
    for world in (plain, small_world()):
        residual, n = explained_by(world)
        spread.append(np.var(residual[n >= 80]))
    assert spread[0] < 0.6 * spread[1]


def test_a_naive_comparison_praises_the_useless_method() -> None:
    world = small_world()
    assert MEASURES[USELESS_METHOD]["effect"] == 0.0
    careers = world.careers
    chosen = np.zeros(len(world.traits), dtype=bool)
    chosen[careers.measure_person[careers.measure_kind == KINDS.index(USELESS_METHOD)]] = True
    weeks, followed = follow_up(world)
    got_work = weeks < 156
    assert got_work[chosen & followed].mean() > got_work[~chosen & followed].mean() + 0.05


def test_method_effects_differ_by_place_only_where_planted() -> None:
    world = small_world()
    spread = dict(zip(KINDS, world.method_effects.std(axis=0), strict=True))
    planted = {kind for kind, measure in MEASURES.items() if "in_context" in measure}
    assert {kind for kind, sd in spread.items() if sd > 1e-9} == planted
    assert (build_world(persons=10, method_scale=0.0).method_effects == 0).all()


def test_placements_in_manufacturing_follow_the_local_industries() -> None:
    world = small_world()
    measures = world.measures[world.measures["kind"] == "private_praktik"]
    factory = measures["industry_code"].isin(np.array(INDUSTRIES)[MANUFACTURING])
    assert 0.03 < factory.mean() < 0.3


def test_the_vintage_hides_the_future_and_only_that() -> None:
    now, then = build_world(5, persons=4_000), build_world(5, vintage=date(2016, 12, 31), persons=4_000)
    cut = pd.Timestamp("2016-12-31")
    expected = now.persons[now.persons["permit_date"] <= cut]
    assert 0 < len(then.persons) < len(now.persons)
    kept = ["person_id", "permit_date", "birth_date", "education"]
    pd.testing.assert_frame_equal(then.persons[kept], expected[kept].reset_index(drop=True))
    for frame in (then.measures, then.employment):
        assert len(frame) > 0
        assert (frame["start_date"] <= cut).all()
        assert not (frame["end_date"] > cut).any()
    assert then.conditions["year"].max() == 2016
    running = now.employment[(now.employment["start_date"] <= cut) & ~(now.employment["end_date"] <= cut)]
    assert then.employment["end_date"].isna().sum() == len(running)


def test_the_pipeline_never_reads_the_truth() -> None:
    files = [path for part in ("transforms", "expectations") for path in (ROOT / part).rglob("*.py")]
    assert len(files) > 5
    assert not [path for path in files if "world_truth" in path.read_text(encoding="utf-8")]


def test_nobody_moves_or_leaves_before_arriving() -> None:
    traits = small_world().traits
    assert (traits.move_day > traits.takeover_day).all()
    moved = traits.move_day < NEVER
    assert (traits.move_day[moved] < traits.end_day[moved]).all()


def test_organisation_has_one_row_per_municipality_and_shares_in_range() -> None:
    organisation = small_world().organisation
    assert organisation["municipality_code"].nunique() == len(organisation) == 98
    shares = organisation[list(USE_COLUMNS.values())]
    assert shares.ge(0).all().all()
    assert shares.le(100).all().all()

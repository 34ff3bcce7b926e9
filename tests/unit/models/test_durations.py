from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.stats import spearmanr

from tests.unit.models.simulator import MUNICIPALITIES, TRAITS, assessed, counted, people, true_weeks
from tests.unit.models.test_first_job import by_person
from transforms.models.durations import (
    _means,
    greenwood,
    median_weeks,
    model_durations,
    restricted_mean,
    share_in_job,
    weeks_per_level,
)
from transforms.statistics.hazard import Cells, between_sd, build_cells, fit_hazard, score_weight_by_cell
from transforms.statistics.tally import tally


def run(persons: pd.DataFrame, **options: object) -> pd.DataFrame:
    out = assessed(
        model_durations(counted(persons, TRAITS), TRAITS, outcome_id="weeks", period="2016", **options), "weeks"
    )  # type: ignore[arg-type]
    return out.set_index("municipality_code")


def score(seed: int, sd: float = 0.2) -> tuple[float, float]:
    """Return rank correlation with the planted truth and coverage of the intervals, for n >= 80."""
    persons = people(seed, sd=sd)
    out, truth = run(persons), true_weeks(persons)
    out = out[(out["n_count"] >= 80).fillna(False)]
    truth = truth[out.index]
    low, high, shrunk = (out[c].to_numpy(np.float64) for c in ("single_low", "single_high", "shrunk_difference"))
    return float(spearmanr(shrunk, truth)[0]), float(np.mean((low <= truth) & (truth <= high)))


def cells_of(persons: pd.DataFrame) -> Cells:
    spans = persons.assign(first=0, stop=persons["interval_count"], has_event=persons["job_interval"])
    return build_cells(tally(spans, ["municipality_code", *TRAITS, "first", "stop", "has_event"]), TRAITS, 12)


def test_restricted_mean_by_hand() -> None:
    assert restricted_mean(np.array([0.5, 0.5])) == pytest.approx(13 * (1 + 0.5) / 2 + 13 * (0.5 + 0.25) / 2)
    assert restricted_mean(np.zeros(12)) == 156


def test_cells_count_everyone_once() -> None:
    persons = people(1, persons=3000)
    cells = cells_of(persons)
    assert cells.at_risk[0].sum() == 3000
    assert cells.events.sum() == persons["job_interval"].sum()
    assert cells.at_risk.sum() == persons["interval_count"].sum()


def test_hazard_agrees_with_statsmodels_glm() -> None:
    import statsmodels.api as sm

    persons = people(2, persons=4000, sd=0)
    cells = cells_of(persons)
    fit = fit_hazard(cells, random_effect=False)
    columns = np.empty((len(cells.group), len(cells.names)))
    for factor in cells.factors:
        columns[:, factor.places] = factor.table[factor.codes]
    period, cell = np.nonzero(cells.at_risk)
    design = np.column_stack([np.eye(12)[period], columns[cell]])
    at_risk, events = (table[period, cell].astype(float) for table in (cells.at_risk, cells.events.toarray()))
    counts = np.column_stack([events, at_risk - events])
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    theirs = sm.GLM(counts, design, family=family).fit()
    np.testing.assert_allclose(np.append(fit.baseline, fit.beta), theirs.params, atol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), theirs.bse, rtol=1e-3)


def test_municipal_effects_solve_their_equations() -> None:
    """At the fit the score of each municipality is what its prior holds against, and s is that of the freed effects."""
    cells = cells_of(people(3, persons=6000, sd=0.3))
    fit = fit_hazard(cells)
    assert 0.15 < fit.sd < 0.45
    linear = cells.linear(fit.beta) + fit.effect[cells.group]
    score, weight = (cells.by_group(v) for v in score_weight_by_cell(cells, fit.baseline, linear))
    np.testing.assert_allclose(score, fit.effect / fit.sd**2, atol=2e-3)
    freed = fit.effect + fit.effect / (weight * fit.sd**2)
    assert fit.sd == pytest.approx(between_sd(freed, 1 / weight), abs=1e-4)


def test_the_spread_of_effects_has_the_largest_penalised_likelihood() -> None:
    rng = np.random.default_rng(6)
    variance = rng.uniform(0.01, 0.2, 60)
    estimate = rng.normal(0, np.sqrt(0.3**2 + variance))
    grid = np.linspace(0.05, 0.8, 20_000)
    total = grid[:, None] ** 2 + variance
    density = -0.5 * (np.log(total) + estimate**2 / total).sum(axis=1) + np.log(grid)
    assert between_sd(estimate, variance) == pytest.approx(grid[np.argmax(density)], abs=1e-3)


def test_planted_durations_are_recovered_and_covered() -> None:
    ranks, coverage = np.array([score(seed) for seed in range(3)]).mean(axis=0)
    assert ranks >= 0.85
    assert 0.91 <= coverage <= 0.99


@pytest.mark.long
def test_duration_coverage_and_rank_over_fifty_seeds() -> None:
    ranks, coverage = np.array([score(seed) for seed in range(50)]).mean(axis=0)
    assert ranks >= 0.85
    assert 0.92 <= coverage <= 0.98


@pytest.mark.long
def test_duration_world_without_effects_calls_at_most_five_percent() -> None:
    called = [run(people(seed, sd=0))["assessment"].isin(["better", "worse"]).mean() for seed in range(50)]
    assert np.mean(called) <= 0.05
    assert np.mean(np.array(called) > 0) <= 0.16


def test_shorter_is_better() -> None:
    persons = people(5, sd=0.3)
    out, truth = run(persons), true_weeks(persons)
    assert truth[out.index[out["assessment"] == "better"]].mean() < -3
    assert truth[out.index[out["assessment"] == "worse"]].mean() > 3
    assert out["rank_high"].idxmin() in out.nsmallest(10, "shrunk_difference").index


def test_expectation_holds_no_municipality_effect() -> None:
    persons = people(6, sd=0)
    fast = persons["municipality_code"] == MUNICIPALITIES[3]
    moved = persons.copy()
    jobs = moved.index[fast & ~moved["job_interval"]]
    moved.loc[jobs, ["job_interval", "has_job"]] = True
    moved.loc[jobs, "interval_count"] = 1
    before, after = run(persons), run(moved)
    assert after.loc[MUNICIPALITIES[3], "assessment"] == "better"
    change = after.loc[MUNICIPALITIES[3], "expected"] - before.loc[MUNICIPALITIES[3], "expected"]
    assert abs(change) < 0.2 * abs(after.loc[MUNICIPALITIES[3], "difference"])


def test_bad_input_gets_a_status_and_no_number() -> None:
    persons = people(7, persons=20_000)
    code = persons["municipality_code"]
    three = persons[code == MUNICIPALITIES[0]].head(3)
    persons = pd.concat([three, persons[code != MUNICIPALITIES[0]]], ignore_index=True)
    code = persons["municipality_code"]
    censored, one_sex, cut_off, early = (code == MUNICIPALITIES[i] for i in (1, 2, 3, 4))
    persons.loc[censored, ["job_interval", "has_job"]] = False
    persons.loc[censored, "interval_count"] = 12
    five_late = persons[censored].index[:5]
    persons.loc[five_late, ["job_interval", "has_job"]] = True
    persons.loc[one_sex, "sex"] = "M"
    persons.loc[cut_off, "market_1"] = np.nan
    persons.loc[early, ["job_interval", "has_job"]] = False
    persons.loc[early, "interval_count"] = 2
    persons["constant"] = 5.0
    persons.loc[::50, "education"] = None
    modelled = model_durations(
        counted(persons, [*TRAITS, "constant"]),
        [*TRAITS, "constant"],
        outcome_id="w",
        period="2016",
        municipalities=[*MUNICIPALITIES, "999"],
    )
    out = assessed(modelled, "w").set_index("municipality_code")
    status = out["value_status"]
    assert status[MUNICIPALITIES[:5]].tolist() == ["suppressed", "estimated", "estimated", "missing", "missing"]
    assert status["999"] == "missing"
    assert 155 < out.loc[MUNICIPALITIES[1], "observed"] < 156
    assert out.loc[MUNICIPALITIES[1], "difference_high"] > out.loc[MUNICIPALITIES[1], "difference_low"]
    unknown = out[status != "estimated"]
    assert unknown[["observed", "expected", "difference", "rank_low"]].isna().all(axis=None)
    numbers = out.loc[status == "estimated", ["observed", "expected", "difference_low", "difference_high"]]
    assert np.isfinite(numbers.to_numpy(np.float64)).all()
    small = (out["n_count"] < 80).fillna(False) & (status == "estimated")
    assert small.any()
    assert (out.loc[small, "assessment"] == "too_small").all()
    persons.loc[five_late[:1], ["job_interval", "has_job"]] = False
    fewer = assessed(
        model_durations(counted(persons, [*TRAITS, "constant"]), [*TRAITS, "constant"], outcome_id="w", period="2016"),
        "w",
    )
    fewer = fewer.set_index("municipality_code").loc[MUNICIPALITIES[1]]
    assert fewer["value_status"] == "suppressed"  # a mean just below the horizon would tell how few have got a job
    assert fewer[["observed", "expected", "difference", "rank_low", "n_count"]].isna().all()


def test_nobody_in_work_gives_statuses() -> None:
    persons = people(8, persons=2000).assign(job_interval=False, has_job=False)
    out = run(persons)
    assert (out["value_status"] != "estimated").all()
    assert out["observed"].isna().all()


def test_a_trend_over_cohorts_moves_observed_and_expected_alike() -> None:
    persons = people(9, sd=0)
    rng = np.random.default_rng(9)
    year = persons["permit_year"] - persons["permit_year"].min()
    # Late cohorts find jobs faster, and only they are followed for a short time.
    persons["interval_count"] = np.minimum(persons["interval_count"], np.clip(4 * (8 - year), 1, 12))
    persons["job_interval"] &= persons["weeks"] <= 13 * persons["interval_count"]
    extra = (year >= 6) & ~persons["job_interval"] & (rng.random(len(persons)) < 0.3)
    persons.loc[extra, "job_interval"] = True
    out = run(persons)
    weight = out["n_count"].astype(float)
    assert abs(np.average(out["difference"].astype(float), weights=weight)) < 0.5
    assert not out["assessment"].isin(["better", "worse"]).any()


def test_an_area_effect_nobody_measured_calls_hardly_anyone() -> None:
    called = 0
    for seed in range(2):
        persons = people(seed, sd=0)
        rng = np.random.default_rng(seed)
        area = dict(zip(MUNICIPALITIES, rng.integers(0, 25, 98), strict=True))
        shared = persons["municipality_code"].map(area).map(dict(enumerate(rng.normal(0, 0.15, 25))))
        lucky = (shared > 0) & ~persons["job_interval"] & (rng.random(len(persons)) < 0.35 * shared)
        persons.loc[lucky, "job_interval"] = True
        areas = pd.DataFrame({"municipality_code": list(area), "commuting_area_code": [f"a{a}" for a in area.values()]})
        called += int(run(persons, areas=areas)["assessment"].isin(["better", "worse"]).sum())
    assert called <= 2


def test_too_few_municipalities_are_no_yardstick() -> None:
    persons = people(3, persons=60_000)
    few = persons[persons["municipality_code"].isin(MUNICIPALITIES[:29])]
    out = run(few)
    assert (out["value_status"] == "missing").all()
    assert out["assessment"].isna().all()
    assert (run(few, min_municipalities=20)["value_status"] == "estimated").any()


def test_companions_by_hand() -> None:
    hazard = np.array([[0.2, 0.5, 0.5], [0.0, 0.1, 0.1]])
    stay = np.zeros((2, 3))
    np.testing.assert_allclose(share_in_job(hazard, stay, 2), [0.2 + 0.8 * 0.5, 0.1])
    leaving = np.array([[0.0, 0.5, 0.0], [0.0, 0.0, 0.0]])
    # Half of those without a job after the first interval have gone before the second, and are at no risk in it.
    np.testing.assert_allclose(share_in_job(hazard, leaving, 2), [0.2 + 0.8 * 0.5 * 0.5, 0.1])
    median = median_weeks(hazard)
    assert median[0] == pytest.approx(13 + 13 * (0.8 - 0.5) / 0.4)
    assert np.isnan(median[1])


def test_greenwood_and_slope_agree_with_simulation() -> None:
    rng = np.random.default_rng(5)
    hazard, at_risk = np.full((1, 12), 0.08), np.full((1, 12), 0.0)
    draws = []
    for _ in range(3000):
        left, found = 200, []
        for t in range(12):
            jobs = rng.binomial(left, 0.08)
            found.append(jobs / left)
            at_risk[0, t] += left / 3000
            left -= jobs
        draws.append(restricted_mean(np.array(found)))
    assert greenwood(hazard, at_risk)[0] == pytest.approx(np.var(draws), rel=0.08)
    up = restricted_mean(-np.expm1(-np.exp(np.log(-np.log1p(-hazard)) + 0.05)))
    down = restricted_mean(-np.expm1(-np.exp(np.log(-np.log1p(-hazard)) - 0.05)))
    assert weeks_per_level(hazard)[0] == pytest.approx(float((down - up)[0]) / 0.1, rel=1e-3)


def main_of(rows: pd.DataFrame) -> pd.Series:
    """Return the mean weeks to a first job per municipality."""
    main = rows[rows["outcome_id"] == "first_job_weeks"]
    return main.set_index("municipality_code")["observed"].astype("float64")


def test_companions_have_intervals_and_withhold_small_numbers() -> None:
    persons = people(4, sd=0.2)
    persons["has_left"] = ~persons["job_interval"] & (persons["interval_count"] < 12)
    rows = model_durations(counted(persons, TRAITS), TRAITS, outcome_id="first_job_weeks", period="2016").rows
    counts = rows.groupby("outcome_id").size()
    assert set(counts.index) == {
        "first_job_weeks", "first_job_median_weeks", "first_job_within_1_year_pct", "first_job_within_2_years_pct",
        "first_job_within_3_years_pct",
    }  # fmt: skip
    wide = rows.pivot(index="municipality_code", columns="outcome_id", values="observed").astype("float64").dropna()
    assert (wide["first_job_within_1_year_pct"] < wide["first_job_within_2_years_pct"]).all()
    assert (wide["first_job_within_2_years_pct"] < wide["first_job_within_3_years_pct"]).all()
    code = wide.index[0]
    here = persons[persons["municipality_code"] == code].assign(first_interval=0)
    assert here["has_left"].any()
    for years, name in ((1, "1_year"), (3, "3_years")):
        assert wide.loc[code, f"first_job_within_{name}_pct"] == pytest.approx(by_person(here, years))
    extra = rows[rows["outcome_id"] == "first_job_within_3_years_pct"]
    given = extra[extra["value_status"] == "estimated"]
    assert ((given["single_low"] < given["difference"]) & (given["difference"] < given["single_high"])).all()
    assert (given["n_count"] < 80).any()  # the gate makes shares of small numbers safe
    median = rows[rows["outcome_id"] == "first_job_median_weeks"]
    few = persons.groupby("municipality_code")["job_interval"].sum().loc[lambda jobs: jobs < 5].index
    assert set(few) <= set(median.loc[median["value_status"] == "suppressed", "municipality_code"])
    assert extra.loc[extra["value_status"] != "estimated", "observed"].isna().all()
    # No median where fewer than half got a job; one without an expectation where fewer than half were expected to.
    told = median.set_index("municipality_code")[["value_status", "observed", "expected", "single_low"]]
    gone = told["observed"].isna()
    assert (gone == told["value_status"].isin(["not_applicable", "suppressed"])).all()
    assert (told["value_status"] == "not_applicable").any()
    assert (~gone & told["expected"].isna()).any()
    assert (told["expected"].isna() == told["single_low"].isna()).all()
    half = main_of(rows).reindex(told.index)
    assert half[~gone].max() < half[told["value_status"] == "not_applicable"].max()
    main = rows[rows["outcome_id"] == "first_job_weeks"].set_index("municipality_code")
    both = given.set_index("municipality_code").join(main["difference"].rename("weeks"))
    assert both["difference"].astype(float).corr(both["weeks"].astype(float)) < -0.9


def test_conditions_are_the_mean_over_the_persons_of_a_municipality() -> None:
    persons = people(2, persons=2_000)
    means = _means(counted(persons, TRAITS), ["market_1", "market_2"])
    theirs = persons.groupby("municipality_code")[["market_1", "market_2"]].mean()
    np.testing.assert_allclose(means.loc[theirs.index], theirs, atol=1e-12)


def test_who_moved_in_is_at_risk_from_then_on_alone() -> None:
    persons = people(2, persons=12_000)
    late = persons.assign(first_interval=0)
    late.loc[::3, "first_interval"] = 3
    at_risk = (
        model_durations(counted(late, TRAITS), TRAITS, outcome_id="w", period="2016")
        .card.set_index("term")
        .loc["persons", "value"]
    )
    there = late["interval_count"] > late["first_interval"]
    assert at_risk <= there.sum() < len(late)


def test_a_companion_s_error_is_the_level_s_carried_by_its_own_slope() -> None:
    """A level moved by d turns the share without a job S into S^exp(d), so the slope of a share is -S ln S.

    The mean weeks have the same level's error by their own slope (hazards drawn smoothly through the three years), and
    half a week for what no model knows.
    """
    persons = people(4, sd=0.1).assign(has_left=False)
    rows = model_durations(counted(persons, TRAITS), TRAITS, outcome_id="first_job_weeks", period="2016").rows
    wide = rows.pivot(index="municipality_code", columns="outcome_id", values=["expected", "standard_error"])
    wide = wide.drop(columns="first_job_median_weeks", level=1).dropna().astype("float64")
    levels = {}
    for years in (1, 2, 3):
        left = 1 - wide["expected"][f"first_job_within_{years}_year{'s' if years > 1 else ''}_pct"] / 100
        error = wide["standard_error"][f"first_job_within_{years}_year{'s' if years > 1 else ''}_pct"] / 100
        levels[years] = error / (-left * np.log(left))
    np.testing.assert_allclose(levels[1], levels[3], rtol=1e-3)
    np.testing.assert_allclose(levels[2], levels[3], rtol=1e-3)
    ends = wide["expected"][[f"first_job_within_{years}_pct" for years in ("1_year", "2_years", "3_years")]].to_numpy()
    cumulated = PchipInterpolator(
        [0, 4, 8, 12], np.column_stack([np.zeros(len(ends)), -np.log(1 - ends / 100)]), axis=1
    )
    slope = weeks_per_level(1 - np.exp(-np.diff(cumulated(np.arange(13)), axis=1)))
    rest = wide["standard_error"]["first_job_weeks"] ** 2 - (slope * levels[3]) ** 2
    assert np.median(rest) == pytest.approx(0.5**2, abs=0.6)
    several = rows[(rows["value_status"] == "estimated") & rows["standard_error"].notna()]
    for end, sign in (("single_low", -1), ("single_high", 1)):
        reach = (several[end] - several["difference"]).astype(float) / several["standard_error"].astype(float)
        np.testing.assert_allclose(reach, sign * 1.959964, rtol=1e-6)


def test_five_persons_who_all_found_a_job_are_told_of_and_four_are_not() -> None:
    """And thirty municipalities are a yardstick; one of which nobody was followed for three years has no mean."""
    persons = people(7, persons=15_000)
    code = persons["municipality_code"]
    persons = persons[code.isin(MUNICIPALITIES[:30])].reset_index(drop=True)
    code = persons["municipality_code"]
    for place, count in ((0, 1), (1, 4), (2, 5), (3, 6), (4, 7)):
        here = persons.index[persons["municipality_code"] == MUNICIPALITIES[place]]
        persons = persons.drop(here[count:])
        persons.loc[here[:count], ["job_interval", "has_job"]] = True
        persons.loc[here[:count], "interval_count"] = 12 if place != 4 else 11
    out = run(persons, min_n=1, municipalities=[*MUNICIPALITIES[:30], "999"])
    told = out.loc[[*MUNICIPALITIES[:6], "999"], "value_status"].tolist()
    assert told == ["suppressed", "suppressed", "estimated", "estimated", "missing", "estimated", "missing"]
    # The median tells who has no job as well: where all have one, or few have, it is withheld; a share is not.
    rows = model_durations(counted(persons, TRAITS), TRAITS, outcome_id="w_weeks", period="2016", min_n=1).rows
    states = rows.pivot(index="municipality_code", columns="outcome_id", values="value_status").loc[MUNICIPALITIES[2]]
    assert sorted(states) == ["estimated"] * 4 + ["suppressed"]
    fewer = persons[persons["municipality_code"] != MUNICIPALITIES[7]]
    assert (run(fewer, min_n=1)["value_status"] != "estimated").all()

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import t as student

from tests.unit.models.simulator import INTERACTION, METHOD_EFFECTS, exposures
from transforms.models.methods import _standing, method_effects, standardise_contexts
from transforms.models.spells import exposure_spans, histories, measure_weeks
from transforms.statistics.hazard import build_cells, fit_hazard
from transforms.statistics.intervals import e_value, pool
from transforms.statistics.tally import Tally, tally

TRAITS = ["sex", "age", "ready"]


def run(seed: int, persons: int = 20_000) -> pd.DataFrame:
    frame, measures = exposures(seed, persons)
    contexts = frame.attrs["contexts"]
    out = method_effects(*histories(frame, measures, TRAITS), TRAITS, outcome_id="weeks", contexts=contexts)
    return out.set_index(["method_code", "context_code"])


def naive_log_ratio(persons: pd.DataFrame, measures: pd.DataFrame, method: str) -> float:
    """Return what comparing those who ever took part with the rest gives: weeks before the start count as exposed."""
    ever = persons["person_id"].isin(measures.loc[measures["method_code"] == method, "person_id"])
    spans = persons.assign(
        first=0, stop=np.ceil(persons["weeks"] / 4).astype(int), has_event=persons["has_job"], ever=ever
    )
    names = [*TRAITS, "ever"]
    spans = tally(spans, ["municipality_code", *names, "first", "stop", "has_event"])
    cells = build_cells(spans, names, 13, intervals_per_period=3)
    fit = fit_hazard(cells)
    j = next(i for i, name in enumerate(cells.names) if name.startswith("ever="))
    sign = 1 if cells.names[j] == "ever=True" else -1
    return sign * float(fit.beta[j])


@pytest.mark.long
def test_planted_effects_have_the_right_sign_and_are_covered() -> None:
    hits = []
    for seed in (1, 2, 3):
        out = run(seed)
        for method, planted in METHOD_EFFECTS.items():
            row = out.loc[(method, "all")]
            hits.append(row["hazard_ratio_low"] <= np.exp(planted) <= row["hazard_ratio_high"])
        context = out.loc[("private", "is_colocated")]
        hits.append(context["interaction_low"] <= np.exp(INTERACTION) <= context["interaction_high"])
        assert context["interaction_low"] > 1
        assert out.loc[("private", "factory_share"), "interaction_low"] < 1
        assert min(out.loc[(m, "all"), "hazard_ratio_low"] for m in ("private", "danish")) > 1
    assert sum(hits) >= 10  # of 12; each interval misses one in twenty
    assert (out["what_it_is_not_da"].str.len() > 50).all()


@pytest.mark.long
def test_naive_comparison_is_biased_by_immortal_time_and_ours_is_not() -> None:
    frame, measures = exposures(1, 20_000)
    for method, planted in METHOD_EFFECTS.items():
        assert naive_log_ratio(frame, measures, method) < planted - 0.25
    ours = run(1)["hazard_ratio"]
    for method, planted in METHOD_EFFECTS.items():
        assert np.log(ours[(method, "all")]) == pytest.approx(planted, abs=0.1)


@pytest.mark.long
def test_useless_method_given_to_the_ready_looks_good_only_without_their_traits() -> None:
    frame, measures = exposures(2, 20_000)
    blind = method_effects(*histories(frame, measures, ["sex"]), ["sex"], outcome_id="w").set_index(
        ["method_code", "context_code"]
    )
    assert blind.loc[("public", "all"), "hazard_ratio_low"] > 1.1
    seeing = method_effects(*histories(frame, measures, TRAITS), TRAITS, outcome_id="w").set_index(
        ["method_code", "context_code"]
    )
    assert (
        seeing.loc[("public", "all"), "hazard_ratio_low"]
        < 1
        < seeing.loc[("public", "all"), "hazard_ratio_high"] + 0.05
    )


@pytest.mark.long
def test_coverage_of_methods_and_interaction_over_fifty_seeds() -> None:
    hits, contexts = [], []
    for seed in range(50):
        out = run(seed, 15_000)
        for method, planted in METHOD_EFFECTS.items():
            row = out.loc[(method, "all")]
            hits.append(row["hazard_ratio_low"] <= np.exp(planted) <= row["hazard_ratio_high"])
        row = out.loc[("private", "is_colocated")]
        contexts.append(row["interaction_low"] <= np.exp(INTERACTION) <= row["interaction_high"])
        contexts.append(out.loc[("danish", "factory_share"), "interaction_low"] <= 1)
    assert 0.92 <= np.mean(hits) <= 0.99
    assert 0.92 <= np.mean(contexts) <= 1


def test_spans_by_hand() -> None:
    persons = pd.DataFrame(
        {"person_id": [1, 2], "municipality_code": "101", "weeks": [21.0, 12.0], "has_job": [True, False], "sex": "M"}
    )
    measures = pd.DataFrame(
        {
            "person_id": [1, 1, 2],
            "method_code": ["a", "a", "b"],
            "start_week": [5.0, 1.0, 12.0],
            "end_week": [6.0, 9.0, 20.0],
        }
    )

    def spans(variant: str) -> list[tuple[int, ...]]:
        cells, exposed = histories(persons, measures, ["person_id"])
        assert exposed == {"a": 1, "b": 0}
        out = exposure_spans(cells, ["a", "b"], variant)  # type: ignore[arg-type]
        names = ("person_id", "first", "stop", "has_event", "mask")
        return sorted(zip(*(out.values(name).astype(int).tolist() for name in names), strict=True))

    # The first start (week 1) counts from the next whole step; the job in week 21 is in step 5.
    assert spans("started") == [(1, 0, 1, 0, 0), (1, 1, 6, 1, 1), (2, 0, 3, 0, 0)]
    assert spans("phases") == [(1, 0, 1, 0, 0), (1, 1, 3, 0, 1), (1, 3, 6, 1, 4), (2, 0, 3, 0, 0)]
    assert spans("lagged") == [(1, 0, 4, 0, 0), (1, 4, 6, 1, 1), (2, 0, 3, 0, 0)]
    assert spans("first_weeks") == [(1, 0, 1, 0, 0), (1, 1, 2, 0, 1), (1, 2, 6, 1, 4), (2, 0, 3, 0, 0)]


def test_measures_on_the_persons_clock() -> None:
    cases = pd.DataFrame({"person_id": [1], "permit_date": pd.to_datetime(["2015-01-01"])})
    measures = pd.DataFrame({"person_id": [1, 9], "method_code": "a", "start_date": "2015-01-15", "end_date": None})
    out = measure_weeks(cases, measures)
    assert out["start_week"].tolist() == [2]
    assert out["end_week"].isna().all()


def test_pool_by_hand_and_against_statsmodels() -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    rng = np.random.default_rng(1)
    variance = rng.uniform(0.01, 0.1, 40)
    estimate = rng.normal(0.3, np.sqrt(variance + 0.04))
    found = pool(estimate, variance, np.zeros((40, 0)))
    theirs = combine_effects(estimate, variance, method_re="chi2")
    assert found.tau**2 == pytest.approx(theirs.tau2)
    assert found.coefficients[0] == pytest.approx(theirs.mean_effect_re)
    assert np.sqrt(found.covariance[0, 0]) >= theirs.sd_eff_w_re * 0.999


def test_e_value_of_nothing_is_one() -> None:
    assert e_value(1.0) == pytest.approx(1)
    assert e_value(2.0) == pytest.approx(e_value(0.5))
    rr = (1 - 0.5 ** np.sqrt(2)) / (1 - 0.5 ** np.sqrt(0.5))
    assert e_value(2.0) == pytest.approx(rr + np.sqrt(rr * (rr - 1)))


@pytest.mark.long
def test_rare_methods_and_constant_contexts_get_a_status() -> None:
    frame, measures = exposures(3, 6_000)
    few = pd.DataFrame({"person_id": [1, 2, 3], "method_code": "rare", "start_week": 0.0, "end_week": 4.0})
    contexts = frame.attrs["contexts"].assign(constant=1.0)
    contexts.loc[0, "is_colocated"] = np.nan
    out = method_effects(
        *histories(frame, pd.concat([measures, few]), TRAITS), TRAITS, outcome_id="w", contexts=contexts
    )
    assert "constant" not in set(out["context_code"])
    rare = out[out["method_code"] == "rare"]
    assert (rare["value_status"] == "missing").all()
    assert rare[["hazard_ratio", "hazard_ratio_low", "e_value", "n_exposed"]].isna().all(axis=None)
    known = out[out["value_status"] == "estimated"]
    assert known[["hazard_ratio", "hazard_ratio_low", "hazard_ratio_high"]].notna().all(axis=None)
    assert (known.loc[known["context_code"] == "is_colocated", "n_municipalities"] <= 97).all()


def test_contexts_keep_yes_and_no_and_standardise_numbers() -> None:
    out = standardise_contexts(
        pd.DataFrame({"municipality_code": ["1", "2"], "yes": [True, False], "number": [10.0, 30]})
    )
    assert out["yes"].tolist() == [1, 0]
    assert out["number"].tolist() == [-1, 1]


@pytest.mark.long
def test_a_prediction_for_one_municipality_is_wider_than_the_mean_and_interactions_are_compared_together() -> None:
    persons, measures = exposures(3)
    out = method_effects(
        *histories(persons, measures, TRAITS), TRAITS, outcome_id="job", contexts=persons.attrs["contexts"]
    )
    main = out[out["context_code"] == "all"]
    assert (main["prediction_low"] < main["hazard_ratio_low"]).all()
    assert (main["prediction_high"] > main["hazard_ratio_high"]).all()
    # By hand, from the spread between municipalities and the mean's own error.
    row = main.iloc[0]
    error = (np.log(row["hazard_ratio_high"]) - np.log(row["hazard_ratio_low"])) / (2 * 1.959964)
    half = student(int(row["n_municipalities"]) - 2).ppf(0.975) * np.hypot(float(row["heterogeneity"]), error)
    assert np.log(row["prediction_high"] / row["hazard_ratio"]) == pytest.approx(half, rel=1e-5)
    # Where staff sit together (half of all) against one standard deviation more of factories: the other at its mean.
    table = out.set_index(["method_code", "context_code"])
    for method in METHOD_EFFECTS:
        here, there = (table.loc[(method, name)] for name in ("is_colocated", "factory_share"))
        apart = here["interaction_ratio"] ** 0.5 / there["interaction_ratio"]
        assert here["hazard_ratio"] / there["hazard_ratio"] == pytest.approx(apart)
        row = table.loc[(method, "all")]
        assert row["e_value"] == pytest.approx(e_value(row["hazard_ratio"]))
        clear = row["hazard_ratio_low"] > 1 or row["hazard_ratio_high"] < 1
        nearest = min((row["hazard_ratio_low"], row["hazard_ratio_high"]), key=lambda limit: abs(np.log(limit)))
        assert row["e_value_low"] == pytest.approx(e_value(nearest) if clear else 1)
    between = out[out["interaction_ratio"].notna()]
    logs = [np.log(between[f"interaction_{end}"].to_numpy(np.float64)) for end in ("ratio", "low", "high")]
    z = 2 * 1.959964 * logs[0] / (logs[2] - logs[1])
    p = np.sort(2 * student(len(z) - 1).sf(np.abs(z)))
    found = np.flatnonzero(p <= 0.05 * np.arange(1, len(p) + 1) / len(p))
    assert between["interaction_stands"].sum() == (found[-1] + 1 if found.size else 0)
    assert out.loc[out["interaction_ratio"].isna(), "interaction_stands"].isna().all()
    planted = between[(between["method_code"] == "private") & (between["context_code"] == "is_colocated")]
    assert planted["interaction_stands"].item()
    alone = (between["interaction_low"] > 1) | (between["interaction_high"] < 1)
    assert (between["interaction_stands"] <= alone).all()


@pytest.mark.long
def test_a_method_that_cannot_act_yet_tells_who_gets_it() -> None:
    """`public` does nothing; it is given to those who are ready: seen in the first weeks when that is not known."""
    frame, measures = exposures(4, 20_000, ready_effect=1.2)

    def first_weeks(traits: list[str]) -> pd.Series:
        out = method_effects(*histories(frame, measures, traits), traits, outcome_id="weeks")
        return out.set_index(["method_code", "context_code"]).loc[("public", "first_weeks")]

    blind, seeing = first_weeks(["sex", "age"]), first_weeks(TRAITS)
    assert blind["hazard_ratio_low"] > 1.1
    assert seeing["hazard_ratio_low"] < 1 < seeing["hazard_ratio_high"]
    assert blind["n_exposed"] == seeing["n_exposed"] > 50


def test_fifty_exposed_and_ten_municipalities_are_enough() -> None:
    """And a method that 1 to 4 persons have had is not told of, but one that nobody has is."""
    frame, measures = exposures(5, 12_000)
    codes = sorted(set(frame["municipality_code"]))
    ten = frame[frame["municipality_code"].isin(codes[:10])]
    told, _ = histories(ten, measures, TRAITS)
    exposed = {"private": 50, "public": 49, "danish": 50, "one": 1, "four": 4, "five": 5, "none": 0}
    out = method_effects(told, exposed, TRAITS, outcome_id="w")
    assert out.columns[:4].tolist() == ["method_code", "context_code", "outcome_id", "hazard_ratio"]
    out = out.set_index(["method_code", "context_code"])
    status = out.xs("all", level=1)["value_status"]
    assert status[status == "estimated"].index.tolist() == ["danish", "private"]
    assert (out.loc[["private", "danish"], "n_municipalities"] <= 10).all()
    shown = out.xs("all", level=1)["n_exposed"]
    assert shown[["one", "four"]].isna().all()
    assert shown[["five", "none", "public"]].tolist() == [5, 0, 49]
    nine = histories(frame[frame["municipality_code"].isin(codes[:9])], measures, TRAITS)[0]
    assert (method_effects(nine, exposed, TRAITS, outcome_id="w")["value_status"] == "missing").all()


def test_a_constant_context_is_left_out_and_a_yes_stays_a_yes() -> None:
    table = pd.DataFrame({"municipality_code": list("123"), "yes": [1.0, 0, np.nan], "flat": 3.0, "all": True,
                          "number": [1.0, 2, 6]})  # fmt: skip
    out = standardise_contexts(table)
    assert list(out.columns) == ["yes", "number"]
    np.testing.assert_allclose(out["number"], (np.array([1.0, 2, 6]) - 3) / np.std([1.0, 2, 6]))
    np.testing.assert_array_equal(out["yes"], [1, 0, np.nan])


def test_three_municipalities_are_needed_for_each_context_and_the_mean() -> None:
    """Twelve for three contexts; one whose context is not known counts for none."""
    frame, measures = exposures(6, 14_000)
    codes = sorted(set(frame["municipality_code"]))[:13]
    told = histories(frame[frame["municipality_code"].isin(codes)], measures, TRAITS)
    rng = np.random.default_rng(2)
    contexts = pd.DataFrame(rng.normal(size=(13, 3)), columns=list("abc")).assign(municipality_code=codes)
    for gaps, status in ((1, "estimated"), (2, "missing")):
        contexts.loc[: gaps - 1, "b"] = np.nan
        out = method_effects(*told, TRAITS, outcome_id="w", contexts=contexts)
        here = out[out["context_code"].isin(list("abc")) & (out["method_code"] == "danish")]
        assert here["value_status"].tolist() == [status] * 3
        assert (here["n_municipalities"] == 13 - gaps).all()


def test_interactions_stand_by_their_own_errors_compared_together() -> None:
    """Four ratios: z is the logarithm over its error, read off the interval; Benjamini and Hochberg by hand."""
    z = np.array([3.9, -3.4, 2.2, 0.1])
    error = np.array([0.1, 0.3, 0.02, 0.5])
    logs = {"ratio": z * error, "low": z * error - 1.959964 * error, "high": z * error + 1.959964 * error}
    rows = pd.DataFrame({f"interaction_{name}": np.append(np.exp(values), np.nan) for name, values in logs.items()})
    # Student's t of 3 degrees: p = 0.030, 0.042, 0.115, 0.93 against 0.0125, 0.025, 0.0375, 0.05.
    assert _standing(rows).tolist() == [False, False, False, False, pd.NA]
    rows.loc[:1, "interaction_ratio"] = np.exp([0.6, -1.8])  # z = 6 and -6: p = 0.009 each
    assert _standing(rows).tolist() == [True, True, False, False, pd.NA]
    rows.loc[:1, "interaction_ratio"] = np.exp([0.43, -1.29])  # z = 4.3: p = 0.023 each, of which 0.025 are allowed
    assert _standing(rows).tolist() == [True, True, False, False, pd.NA]
    rows.loc[:1, "interaction_ratio"] = np.exp([0.40, -1.20])  # z = 4.0: p = 0.028 each
    assert _standing(rows).tolist() == [False, False, False, False, pd.NA]


SECOND = -0.3
"""The log ratio of the second method of worlds without luck."""


def exact(levels: np.ndarray, ratios: np.ndarray, persons: int) -> tuple[Tally, dict[str, int]]:
    """Return as many persons, exposed from the start or never, as their chances give: steps of four weeks, no luck.

    Two methods, `first` with its own log ratio in each municipality, `second` with SECOND, each alone, both and none.
    """
    rows = []
    for m, (level, ratio) in enumerate(zip(levels, ratios, strict=True)):
        for first, second in ((None, None), (0, None), (None, 0), (0, 0)):
            linear = level + (ratio if first is not None else 0) + (SECOND if second is not None else 0)
            hazard = -np.expm1(-np.exp(linear))
            who = (f"{100 + m}", "x", first, second)
            for stop in (1, 2, 3):
                rows.append((*who, stop, True, persons * (1 - hazard) ** (stop - 1) * hazard))
            rows.append((*who, 3, False, persons * (1 - hazard) ** 3))
    columns = ["municipality_code", "sex", "took first", "took second", "stop", "has_event", "n"]
    frame = pd.DataFrame(rows, columns=columns).astype({"took first": "object", "took second": "object"})
    exposed = {"first": 2 * persons, "second": 2 * persons}
    return tally(frame, columns[:-1], frame["n"].round().to_numpy(np.int64)), exposed


def test_ratios_without_luck_are_those_planted_however_levels_differ() -> None:
    """Twelve municipalities from a tenth to ten times the middle's chance; a context that doubles the first's log."""
    levels = np.linspace(-4.3, -0.9, 12)
    given = exact(levels, np.full(12, 0.4), 1_000_000)
    out = method_effects(*given, ["sex"], outcome_id="w").set_index(["context_code", "method_code"]).loc["all"]
    np.testing.assert_allclose(np.log(out["hazard_ratio"].astype(float)), [0.4, SECOND], atol=2e-3)
    np.testing.assert_allclose(out["heterogeneity"].astype(float), 0, atol=2e-3)
    # Errors are those of a plain model with every municipality's level in it.
    told, count = given[0], given[0].count
    took = [np.array([value == 0 for value in told.values(f"took {name}")]) for name in ("first", "second")]
    at = np.array([(m, x, y) for m in range(12) for x in (0, 1) for y in (0, 1)])
    here = [(told.codes["municipality_code"] == m) & (took[0] == x) & (took[1] == y) for m, x, y in at]
    jobs = np.array([count[part & told.values("has_event").astype(bool)].sum() for part in here], dtype=float)
    steps = np.array([(count * told.values("stop"))[part].sum() for part in here], dtype=float)
    design = np.column_stack([np.eye(12)[at[:, 0]], at[:, 1:]])
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    theirs = sm.GLM(np.column_stack([jobs, steps - jobs]), design, family=family).fit()
    half = np.log((out["hazard_ratio_high"] / out["hazard_ratio_low"]).astype(float)) / 2
    np.testing.assert_allclose(half, 1.959964 * theirs.bse[12:], rtol=0.02)
    has = np.arange(12) % 2 == 1
    contexts = pd.DataFrame({"municipality_code": [f"{100 + m}" for m in range(12)], "has": has.astype(float)})
    given = exact(levels, np.where(has, 0.4, 0.2), 1_000_000)
    with_it = method_effects(*given, ["sex"], outcome_id="w", contexts=contexts)
    row = with_it.set_index(["context_code", "method_code"]).loc[("has", "first")]
    assert np.log(float(row["interaction_ratio"])) == pytest.approx(0.2, abs=2e-3)
    assert np.log(float(row["hazard_ratio"])) == pytest.approx(0.4, abs=2e-3)


def test_a_municipality_s_level_is_profiled_out_of_its_ratio() -> None:
    """A small one's level is drawn towards the others', which must not be taken for the method's doing there."""
    levels = np.linspace(-4.3, -0.9, 12)
    contexts = pd.DataFrame({"municipality_code": [f"{100 + m}" for m in range(12)], "level": levels})
    out = method_effects(*exact(levels, np.full(12, 0.4), 40), ["sex"], outcome_id="w", contexts=contexts)
    row = out.set_index(["context_code", "method_code"]).loc[("level", "first")]
    assert np.log(float(row["interaction_ratio"])) == pytest.approx(0, abs=0.06)

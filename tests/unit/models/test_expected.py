from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from tests.unit.models.simulator import DEPARTURES, aggregates, assessed, departed
from transforms.errors import DataRefused
from transforms.models.expected import (
    COLUMNS,
    MIN_N,
    TOLERANCE_PCT_POINTS,
    assess,
    estimates_of,
    fill_conditions,
    indirect_standardisation,
    model_shares,
)
from transforms.statistics.intervals import Z95
from transforms.statistics.random_effect import LevelFit


def run(counts: pd.DataFrame, conditions: pd.DataFrame, **options: object) -> pd.DataFrame:
    return assessed(model_shares({"2016": (counts, conditions)}, outcome_id="employed", least=5, **options), "employed")  # type: ignore[arg-type]


def covered(out: pd.DataFrame, truth: pd.DataFrame) -> float:
    low, high = (out[c].to_numpy(np.float64) for c in ("single_low", "single_high"))
    return float(np.mean((low <= truth["difference"]) & (truth["difference"] <= high)))


def called(out: pd.DataFrame) -> pd.Series:
    return out["assessment"].isin(["better", "worse"])


def test_standardisation_by_hand() -> None:
    cells = pd.DataFrame(
        {
            "municipality_code": ["101", "101", "147", "147"],
            "sex_code": ["M", "K", "M", "K"],
            "n": [100.0, 100, 300, 100],
            "k": [60.0, 20, 140, 20],
        }
    )
    out = indirect_standardisation(cells, ["sex_code"]).set_index("municipality_code")
    # National rates: men 200/400, women 40/200.
    assert out.loc["101", "expected_rate"] == pytest.approx((100 * 0.5 + 100 * 0.2) / 200)
    assert out.loc["147", "expected_rate"] == pytest.approx((300 * 0.5 + 100 * 0.2) / 400)
    fitted = (out["expected_rate"] * out["n"]).sum()
    assert fitted == pytest.approx(out["k"].sum())


def test_standardisation_keeps_hidden_and_missing_apart() -> None:
    cells = pd.DataFrame(
        {
            "municipality_code": ["101", "147", "151", "153", "153"],
            "sex_code": ["M", "M", "M", "M", "X"],
            "n": [100.0, 10, np.nan, 50, 5],
            "k": [50.0, np.nan, 3, 25, np.nan],
        }
    )
    out = indirect_standardisation(cells, ["sex_code"]).set_index("municipality_code")
    assert out["value_status"].to_dict() == {"101": "observed", "147": "suppressed", "151": "missing", "153": "missing"}
    assert np.isnan(out.loc["147", "k"])
    assert out.loc["147", "expected_rate"] == pytest.approx(0.5)
    assert np.isnan(out.loc["151", "n"])


def test_one_person_counts_and_nobody_does_not() -> None:
    """A stratum of one person in the country has a rate, and a municipality of one person a share."""
    cells = pd.DataFrame({
        "municipality_code": ["101", "147", "151", "153"], "sex_code": ["M", "M", "K", "K"],
        "n": [1.0, 3.0, 1.0, 0.0], "k": [1.0, 1.0, 1.0, 0.0],
    })  # fmt: skip
    alone = pd.DataFrame({"municipality_code": ["155"], "sex_code": ["unknown"], "n": [1.0], "k": [np.nan]})
    hidden = indirect_standardisation(pd.concat([cells, alone]), ["sex_code"]).set_index("municipality_code")
    assert hidden.loc["155", "value_status"] == "missing", "nobody has a rate of its stratum"
    out = indirect_standardisation(cells, ["sex_code"]).set_index("municipality_code")
    assert out["value_status"].to_dict() == {"101": "observed", "147": "observed", "151": "observed", "153": "missing"}
    assert out["expected_rate"].to_dict() == pytest.approx(
        {"101": 0.5, "147": 0.5, "151": 1.0, "153": np.nan}, nan_ok=True
    )
    assert out["k"].to_dict() == pytest.approx({"101": 1, "147": 1, "151": 1, "153": np.nan}, nan_ok=True)


def test_one_difference_and_one_error_carry_everything() -> None:
    observed, expected, slope = (np.array(v) for v in ([60.0, 41.0, 50.0], [55.0, 45.0, 50.5], [24.0, 20.0, 25.0]))
    own_error, sd = np.array([0.1, 0.02, 0.0]), 0.15
    none = pd.Series(dtype=float)
    fit = LevelFit(expected, own_error, none, none, sd, 0.0, {}, 1.0, ())
    judged = np.array([True, True, False])
    out = estimates_of(["101", "147", "151"], observed, expected, fit, slope, 0.25, judged, True)
    error = np.sqrt((slope * own_error) ** 2 + 0.0625)
    difference = np.array([5.0, -4.0, -0.5])
    between = (slope * sd) ** 2
    theirs = {
        "difference": difference, "standard_error": error, "single_low": difference - 1.959964 * error,
        "single_high": difference + 1.959964 * error, "shrunk_difference": difference * between / (between + error**2),
        "shrunk_error": error * np.sqrt(between / (between + error**2)),
        "unusual_z": difference / np.sqrt(between + error**2),
    }  # fmt: skip
    for name, values in theirs.items():
        np.testing.assert_allclose(out[name], values, rtol=1e-6)
    # Of those judged: 1 - Var(5, -4) / Var(60, 41).
    np.testing.assert_allclose(out["explained_share"], 1 - 4.5**2 / 9.5**2)


def test_planted_effects_are_recovered_and_covered() -> None:
    scores = []
    for seed in range(6):
        counts, conditions, truth = aggregates(seed, sd=0.35)
        out = run(counts, conditions)
        rank = spearmanr(out["shrunk_difference"].astype(float), truth["difference"])[0]
        scores.append((rank, covered(out, truth)))
    rank, coverage = np.mean(scores, axis=0)
    assert rank >= 0.85
    assert 0.92 <= coverage <= 0.98
    assert set(out["assessment"].dropna()) == {"better", "as_expected", "worse"}


@pytest.mark.long
@pytest.mark.parametrize(("low", "high"), [(80, 2500), (20, 60)])
def test_coverage_over_fifty_seeds(low: int, high: int) -> None:
    coverage, ranks = [], []
    for seed in range(50):
        counts, conditions, truth = aggregates(seed, sd=0.35, low=low, high=high)
        out = run(counts, conditions)
        coverage.append(covered(out, truth))
        ranks.append(spearmanr(out["shrunk_difference"].astype(float), truth["difference"])[0])
    assert 0.92 <= np.mean(coverage) <= 0.98
    assert low < 80 or np.mean(ranks) >= 0.85


@pytest.mark.long
def test_world_without_effects_calls_at_most_five_percent() -> None:
    shares = []
    for seed in range(50):
        out = run(*aggregates(seed, sd=0)[:2])
        shares.append(called(out).mean())
    assert np.mean(shares) <= 0.05
    assert np.mean(np.array(shares) > 0) <= 0.16  # 5 % of worlds, with the noise of fifty


def test_a_few_worlds_without_effects_call_nobody_to_speak_of() -> None:
    assert max(called(run(*aggregates(seed, sd=0)[:2])).mean() for seed in range(5)) <= 0.05


def test_high_raw_share_may_be_worse_than_expected_and_says_so() -> None:
    counts, conditions, _ = aggregates(11, sd=0.05)
    # As Stevns: in the raw top ten of 2017 and in the corrected bottom five of 2016-18.
    best = int(
        np.argmax(conditions["condition_0"] * 0.4 - conditions["condition_1"] * 0.3 + conditions["condition_2"] * 0.2)
    )
    counts.loc[best, ["n", "k"]] = [1500.0, 750.0]
    out = run(counts, conditions)
    assert out["observed"].rank(ascending=False)[best] <= 20
    assert out.loc[best, "assessment"] == "worse"
    assert out.loc[best, "rank_low"] > 80


def test_lower_is_better_turns_groups_and_ranks() -> None:
    counts, conditions, _ = aggregates(2, sd=0.5)
    up, down = run(counts, conditions), run(counts, conditions, higher_is_better=False)
    assert (up["assessment"] == "better").tolist() == (down["assessment"] == "worse").tolist()
    assert up["rank_low"].argmin() != down["rank_low"].argmin()
    assert up["difference"].tolist() == down["difference"].tolist()


@pytest.mark.long
@pytest.mark.parametrize("departure", [None, *DEPARTURES[:4], "product"])
def test_where_nobody_differs_hardly_anybody_is_called(departure: str | None) -> None:
    hits, coverage = [], []
    for seed in range(3):
        counts, conditions, areas, truth = departed(seed, departure)
        out = run(counts, conditions, areas=areas)
        innocent = truth["effect"] == 0
        hits.append(bool((called(out) & innocent.to_numpy()).any()))
        coverage.append(covered(out, truth))
    assert sum(hits) <= 1
    assert 0.90 <= np.mean(coverage) <= 0.99


def test_an_outlier_is_called_itself() -> None:
    counts, conditions, areas, _ = departed(3, "outlier")
    out = run(counts, conditions, areas=areas)
    assert out.loc[0, "assessment"] == "better"
    assert out.loc[0, "is_unusual"]


def test_a_municipality_takes_no_part_in_its_own_expectation() -> None:
    counts, conditions, areas, _ = departed(4, sd=0.2)
    before = run(counts, conditions, areas=areas)
    moved = counts.copy()
    moved.loc[10, "k"] = moved.loc[10, "n"] - 1
    after = run(moved, conditions, areas=areas)
    # All that is left is the change of the variances, which is felt by everybody.
    assert abs(after.loc[10, "expected"] - before.loc[10, "expected"]) < 1
    assert after.loc[10, "observed"] > 99
    assert after.loc[10, "assessment"] == "better"


@pytest.mark.parametrize("sd", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("higher", [True, False])
def test_interval_ranks_and_assessment_never_contradict_each_other(sd: float, higher: bool) -> None:
    for seed in range(2):
        counts, conditions, areas, _ = departed(seed, sd=sd)
        counts.loc[:5, ["n", "k"]] = [[25.0, 24.0], [25.0, 1.0], [90.0, 80.0], [90.0, 9.0], [60.0, 30.0], [79.0, 70.0]]
        out = run(counts, conditions, areas=areas, higher_is_better=higher)
        clear = (out["difference_low"] > 0) | (out["difference_high"] < 0)
        judged = out["n_count"] >= MIN_N
        assert (called(out) == (clear & judged)).all()
        up = out["assessment"] == ("better" if higher else "worse")
        assert (out.loc[up, "difference_low"] > 0).all()
        assert (out.loc[out["assessment"] == "better", "rank_high"] <= 60).all()
        assert (out.loc[out["assessment"] == "worse", "rank_low"] >= 39).all()
        level = out["assessment"] == "as_expected"
        assert ((out.loc[level, "rank_low"] <= 60) & (out.loc[level, "rank_high"] >= 39)).all()
        assert (out["difference_low"] <= out["single_low"]).all()
        assert (out["difference_high"] >= out["single_high"]).all()
        assert (out.loc[:1, "assessment"] == "too_small").all()


def test_the_numbers_of_a_row_belong_together() -> None:
    counts, conditions, areas, _ = departed(8, sd=0.2)
    out = run(counts, conditions, areas=areas).astype({c: "float64" for c in COLUMNS[3:12]})
    np.testing.assert_allclose(out["difference"], out["observed"] - out["expected"], atol=1e-9)
    np.testing.assert_allclose(out["single_high"] - out["difference"], Z95 * out["standard_error"], atol=1e-9)
    np.testing.assert_allclose(out["difference"] - out["single_low"], Z95 * out["standard_error"], atol=1e-9)
    reach = (out["difference_high"] - out["difference"]) / out["standard_error"]
    assert reach.max() - reach.min() < 1e-9
    shares = out["observed"] / 100
    chance = 100 * np.sqrt(shares * (1 - shares) / out["n_count"].astype(float))
    assert (out["standard_error"] > 0.9 * chance).all()
    assert (out["standard_error"] > TOLERANCE_PCT_POINTS).all()
    assert (out["shrunk_difference"].abs() < out["difference"].abs()).all()
    assert (np.sign(out["shrunk_difference"]) == np.sign(out["difference"])).all()


def test_chance_in_families_widens_the_intervals() -> None:
    plain, families = (
        np.mean([run(*departed(seed, departure)[:2])["standard_error"].astype(float).median() for seed in range(2)])
        for departure in (None, "households")
    )
    assert 1.1 < families / plain < 1.6


def test_outcomes_compared_together_share_one_limit() -> None:
    rows = []
    for seed, name in ((1, "a"), (2, "b")):
        counts, conditions, areas, _ = departed(seed, sd=0.25)
        rows.append(model_shares({"2016": (counts, conditions)}, outcome_id=name, least=5, areas=areas).rows)
    alone = [assess(part) for part in rows]
    both = assess(pd.concat(rows).assign(family="all"))
    reach = ((both["difference_high"] - both["difference"]) / both["standard_error"]).astype(float)
    assert reach.max() - reach.min() < 1e-9
    limits = [((p["difference_high"] - p["difference"]) / p["standard_error"]).astype(float).iloc[0] for p in alone]
    assert min(limits) - 0.2 <= reach.iloc[0] <= max(limits) + 0.2
    assert both.groupby("outcome_id")["rank_high"].max().max() <= 98


def test_a_gap_costs_neither_the_condition_nor_the_municipality() -> None:
    counts, conditions, areas, _ = departed(5, sd=0.15)
    holed = conditions.copy()
    holed.loc[7, "condition_0"] = np.nan
    out, told = run(counts, holed, areas=areas), run(counts, conditions, areas=areas)
    assert (out["value_status"] == "estimated").all()
    same = (out["assessment"] == told["assessment"]).drop(index=7)
    assert same.mean() > 0.97
    assert out["filled_conditions_count"].tolist() == [int(i == 7) for i in range(98)]


def test_gaps_take_the_mean_of_the_labour_market_and_rare_conditions_are_left_out() -> None:
    codes = [str(i) for i in range(10)]
    table = pd.DataFrame({"municipality_code": codes, "a": [np.nan, 2.0, 4, 9, 9, 9, 9, 9, 9, 9], "b": np.nan})
    table.loc[:6, "b"] = 1.0
    areas = pd.DataFrame({"municipality_code": codes, "commuting_area_code": ["x", "x", "x", *"abcdefg"]})
    filled, gaps, told = fill_conditions(table, areas)
    assert filled["a"].iloc[0] == 3.0
    assert fill_conditions(table)[0]["a"].iloc[0] == pytest.approx(table["a"].mean())
    assert list(filled.columns) == ["municipality_code", "a"]
    assert gaps.tolist() == [1] + [0] * 9
    assert told == {"a": 1, "b": -7}


def test_the_model_card_tells_what_was_used_and_how_it_did() -> None:
    counts, conditions, areas, _ = departed(6, "area")
    conditions["constant"] = 1.0
    conditions.loc[3, "condition_2"] = np.nan
    modelled = model_shares({"2016": (counts, conditions)}, outcome_id="a", least=5, areas=areas)
    card = modelled.card.set_index("term")
    assert card.loc["municipalities", "value"] == 98
    assert card.loc["persons", "value"] == 5 * round(counts["n"].sum() / 5)
    assert card.loc["constant", "kind"] == "left_out"
    assert card.loc["constant", "value"] == 0.0
    assert tuple(card.loc["condition_2", "kind"]) == ("coefficient", "filled_in")
    assert 0.05 < card.loc["labour_market_area", "value"] < 0.3
    # Planted: 0.4, -0.3, 0.2.
    slopes = card[card["kind"] == "coefficient"]
    assert abs(slopes.loc["condition_0", "value"] - 0.4) < 4 * slopes.loc["condition_0", "standard_error"]
    fifths = [card.loc[f"fifth_{i}_expected", "value"] for i in range(1, 6)]
    assert fifths == sorted(fifths)
    for i in range(1, 6):
        assert abs(card.loc[f"fifth_{i}_observed", "value"] - card.loc[f"fifth_{i}_expected", "value"]) < 3
    assert 0.5 < card.loc["explained_out_of_sample", "value"] < 1
    assert card.index.str.startswith("fifth_").sum() == 10
    rows = modelled.rows.astype({"observed": float, "expected": float, "n_count": float}).sort_values("expected")
    for name in ("expected", "observed"):  # the lowest fifth of 98 are 20 municipalities, the highest 19
        for i, part in ((1, rows.head(20)), (5, rows.tail(19))):
            assert card.loc[f"fifth_{i}_{name}", "value"] == pytest.approx(
                np.average(part[name], weights=part["n_count"])
            )


def test_the_spread_between_municipalities_is_not_underestimated() -> None:
    found = []
    for seed in range(6):
        counts, conditions, _, _ = departed(seed, sd=0.25, conditions=9)
        card = model_shares({"2016": (counts, conditions)}, outcome_id="a", least=5).card.set_index("term")
        found.append(card.loc["between_municipalities", "value"] ** 2)
    assert np.sqrt(np.mean(found)) == pytest.approx(0.25, rel=0.1)


def test_bad_input_gets_a_status_and_no_number() -> None:
    counts, conditions, _ = aggregates(1)
    counts.loc[0, "n"], counts.loc[0, "k"] = 3.0, 1.0
    counts.loc[1, "n"] = np.nan
    counts.loc[2, ["k", "value_status"]] = [np.nan, "suppressed"]
    conditions.loc[3, "condition_1"] = np.nan
    counts.loc[4, ["n", "k"]] = [12.0, 12.0]
    conditions["constant"] = 7.0
    out = run(counts, conditions.drop(index=5))
    assert list(out.columns) == COLUMNS
    assert len(out) == 98
    assert out["value_status"].tolist()[:6] == [
        "suppressed",
        "missing",
        "suppressed",
        "estimated",
        "estimated",
        "missing",
    ]
    assert out["assessment"].fillna("").tolist()[:6] == [
        "too_small",
        "",
        "too_small",
        out.loc[3, "assessment"],
        "too_small",
        "",
    ]
    unknown = out["value_status"] != "estimated"
    assert out.loc[unknown, COLUMNS[3:14]].isna().all(axis=None)
    assert pd.isna(out.loc[0, "n_count"])
    known = out.loc[~unknown]
    assert known[COLUMNS[3:16]].notna().all(axis=None)
    assert not np.isnan(known[COLUMNS[3:12]].to_numpy(np.float64)).any()
    assert out.loc[3, "filled_conditions_count"] == 1


def test_nobody_is_withheld_like_a_few() -> None:
    counts, conditions, _ = aggregates(1)
    counts.loc[[0, 1, 2, 3], ["n", "k"]] = [[1.0, 1.0], [0.0, 0.0], [4.0, 2.0], [5.0, 2.0]]
    out = run(counts, conditions)
    assert out["value_status"].tolist()[:4] == ["suppressed", "suppressed", "suppressed", "estimated"]


def test_unusual_is_what_one_in_five_hundred_ordinary_ones_would_show() -> None:
    rows = model_shares({"2016": aggregates(1)[:2]}, outcome_id="a", least=5).rows
    rows.loc[[0, 1, 2, 3], "unusual_z"] = [3.10, -3.10, 3.08, -3.08]
    rows.loc[[0, 1, 2, 3], "is_judged"] = True
    assert assess(rows)["is_unusual"].tolist()[:4] == [True, True, False, False]


def test_nobody_employed_anywhere_is_a_number_not_a_crash() -> None:
    counts, conditions, _ = aggregates(1)
    out = run(counts.assign(k=0.0), conditions)
    assert (out["assessment"] == "as_expected").all()
    assert out["explained_share"].isna().all()


def test_too_many_conditions_are_refused() -> None:
    counts, conditions, _ = aggregates(1, slopes=tuple([0.1] * 40))
    with pytest.raises(DataRefused, match="three municipalities per condition"):
        run(counts, conditions)


def test_composition_enters_as_offset() -> None:
    scores = []
    for seed in range(6):
        counts, conditions, truth = aggregates(seed, sd=0.35, slopes=(0.4, 0.3))
        counts["expected_rate"] = 1 / (1 + np.exp(0.6 - 0.4 * conditions["condition_0"]))
        out = run(counts, conditions[["municipality_code", "condition_1"]])
        rank = spearmanr(out["shrunk_difference"].astype(float), truth["difference"])[0]
        scores.append((rank, covered(out, truth)))
    rank, coverage = np.mean(scores, axis=0)
    assert rank >= 0.85
    assert 0.92 <= coverage <= 0.98

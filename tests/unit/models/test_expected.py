from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import binom, norm, spearmanr

from tests.unit.models.simulator import aggregates
from transforms.errors import DataRefused
from transforms.models.expected import COLUMNS, indirect_standardisation, municipal_expectations
from transforms.statistics.intervals import Floats
from transforms.statistics.random_effect import _objective, _posterior, binomial_random_effect


def run(counts: pd.DataFrame, conditions: pd.DataFrame, **options: object) -> pd.DataFrame:
    return municipal_expectations(counts, conditions, outcome_id="employed", period="2016", **options)  # type: ignore[arg-type]


def covered(out: pd.DataFrame, truth: pd.DataFrame) -> float:
    low, high = (out[c].to_numpy(np.float64) for c in ("difference_low", "difference_high"))
    return float(np.mean((low <= truth["difference"]) & (truth["difference"] <= high)))


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


def test_marginal_likelihood_and_posterior_agree_with_brute_force_quadrature() -> None:
    k, n, eta, s = np.array([0.0, 7, 40]), np.array([6.0, 20, 50]), np.array([-1.0, 0.2, 0.5]), 0.7
    log_l, u, weight = _posterior(k, n, eta, s)
    for m in range(3):

        def joint(v: float, m: int = m) -> float:
            return float(binom.pmf(k[m], n[m], 1 / (1 + np.exp(-eta[m] - v))) * norm.pdf(v, 0, s))

        total = quad(joint, -8, 8, epsabs=1e-13)[0]
        mean = quad(lambda v: v * joint(v), -8, 8, epsabs=1e-13)[0] / total
        assert log_l[m] == pytest.approx(np.log(total), abs=1e-6)
        assert (weight[m] * u[m]).sum() == pytest.approx(mean, abs=1e-6)


def test_gradient_agrees_with_finite_differences() -> None:
    counts, conditions, _ = aggregates(3)
    k, n = counts["k"].to_numpy(np.float64), counts["n"].to_numpy(np.float64)
    design = np.column_stack([np.ones(98), conditions.iloc[:, 1:]])
    theta = np.array([-0.5, 0.3, -0.2, 0.1, np.log(0.3)])

    def value(t: Floats) -> float:
        return _objective(t, k, n, design, np.zeros(98), 98.0)[0]

    steps = 1e-5 * np.eye(5)
    numeric = [(value(theta + h) - value(theta - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(_objective(theta, k, n, design, np.zeros(98), 98.0)[1], numeric, rtol=1e-4, atol=1e-6)


def test_fit_agrees_with_statsmodels_variational_bayes_mixed_glm() -> None:
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    counts, conditions, _ = aggregates(5, sd=0.5, low=40, high=60)
    fit = binomial_random_effect(counts["k"].to_numpy(), counts["n"].to_numpy(), conditions.iloc[:, 1:])
    repeat = np.repeat(np.arange(98), counts["n"].astype(int))
    job = np.concatenate([np.arange(n) < k for k, n in zip(counts["k"], counts["n"], strict=True)]).astype(float)
    x = conditions.iloc[:, 1:].to_numpy()
    design = np.column_stack([np.ones(98), (x - x.mean(0)) / x.std(0)])[repeat]
    effects = np.eye(98)[repeat]
    theirs = BinomialBayesMixedGLM(job, design, effects, np.zeros(98, int), vcp_p=1, fe_p=2).fit_vb()
    np.testing.assert_allclose(fit.coefficients, theirs.fe_mean, atol=0.03)
    assert fit.sd == pytest.approx(np.exp(theirs.vcp_mean[0]), rel=0.15)
    assert np.corrcoef(fit.effect, theirs.vc_mean)[0, 1] > 0.99


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
    called = []
    for seed in range(50):
        out = run(*aggregates(seed, sd=0)[:2])
        called.append(out["assessment"].isin(["better", "worse"]).mean())
    assert np.mean(called) <= 0.05
    assert np.mean(np.array(called) > 0) <= 0.16  # 5 % of worlds, with the noise of fifty


def test_a_few_worlds_without_effects_call_nobody_to_speak_of() -> None:
    called = [run(*aggregates(seed, sd=0)[:2])["assessment"].isin(["better", "worse"]).mean() for seed in range(5)]
    assert max(called) <= 0.05


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
        "missing",
        "estimated",
        "missing",
    ]
    assert out["assessment"].fillna("").tolist()[:6] == ["too_small", "", "too_small", "", "too_small", ""]
    unknown = out["value_status"] != "estimated"
    assert out.loc[unknown, COLUMNS[3:11]].isna().all(axis=None)
    assert pd.isna(out.loc[0, "n_count"])
    known = out.loc[~unknown]
    assert known[COLUMNS[3:14]].notna().all(axis=None)
    assert not np.isnan(known[COLUMNS[3:9]].to_numpy(np.float64)).any()


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

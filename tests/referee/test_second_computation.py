"""The same figures by a second, independent computation: dense formulas, SciPy or statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.linalg import cholesky, null_space, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.meta_analysis import combine_effects

from tests.unit.models.simulator import departed
from transforms.models.durations import greenwood, restricted_mean, share_in_job
from transforms.models.expected import model_shares
from transforms.statistics.intervals import pool
from transforms.statistics.random_effect import (
    Linear,
    Year,
    bends,
    fit_levels,
    penalty_of,
    restricted_likelihood,
    standardise,
)

EXTRA_PENALTY, DISPERSION_PENALTY, MAX_DISPERSION = 12.0, 1.5, 6.0
"""What the README's table was made with: an area's variance and the log of the dispersion cost so much."""


def linearised(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return levels, chance variances, design and the area component of a world with families and areas."""
    counts, conditions, areas, _ = departed(seed, "area", sd=0.2)
    k, n = counts["k"].to_numpy(), counts["n"].to_numpy()
    x = conditions.iloc[:, 1:].to_numpy()
    design = np.column_stack([np.ones(98), (x - x.mean(0)) / x.std(0)])
    level = np.log((k + 0.5) / (n - k + 0.5))
    area = areas["commuting_area_code"].to_numpy()
    return level, 1 / (n * expit(level) * (1 - expit(level))), design, (area[:, None] == area[None, :]) * 1.0


@pytest.mark.parametrize("seed", [1, 2])
def test_restricted_likelihood_is_that_of_error_contrasts(seed: int) -> None:
    """REML is the likelihood of the data freed of the design (Patterson and Thompson): here computed just so."""
    level, variance, design, area = linearised(seed)
    penalties = np.array([0.0, EXTRA_PENALTY / float(np.median(variance))])
    year = Linear(level, variance, design, {"own": np.eye(98), "area": area})
    fitted, _ = restricted_likelihood([year], {"own": 0.02, "area": 0.02, "dispersion": 1.2})
    found = np.array(list(fitted.values()))
    contrasts = null_space(design.T)

    def objective(theta: np.ndarray) -> float:
        own, shared, dispersion = theta[0] ** 2, theta[1] ** 2, 1 + theta[2] ** 2
        total = own * np.eye(98) + shared * area + dispersion * np.diag(variance)
        factor = cholesky(contrasts.T @ total @ contrasts, lower=True)
        scaled = solve_triangular(factor, contrasts.T @ level, lower=True)
        likelihood = -np.log(np.diag(factor)).sum() - scaled @ scaled / 2  # of a multivariate normal, but a constant
        return float(-likelihood + penalties[1] * shared + DISPERSION_PENALTY * np.log(dispersion))

    best = min(
        (minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000})
         for start in ([0.2, 0.1, 0.3], [0.1, 0.2, 0.01])),
        key=lambda fit: fit.fun,
    )  # fmt: skip
    theirs = np.array([best.x[0] ** 2, best.x[1] ** 2, 1 + best.x[2] ** 2])
    np.testing.assert_allclose(found, theirs, atol=1e-4, rtol=5e-3)
    ours = objective(np.array([np.sqrt(found[0]), np.sqrt(found[1]), np.sqrt(max(found[2] - 1, 0))]))
    assert ours <= best.fun + 1e-4


def test_expectations_are_predictions_without_the_municipality() -> None:
    """Every expectation by leaving the municipality out, generalised least squares, and best linear prediction."""
    counts, conditions, areas, _ = departed(3, "area", sd=0.2)
    k, n = counts["k"].to_numpy(), counts["n"].to_numpy()
    area = areas["commuting_area_code"].to_numpy(dtype=object)

    def respond(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = expit(level)
        return (k / n - p) / (p * (1 - p)), 1 / (n * p * (1 - p))

    frame = conditions.drop(columns="municipality_code")
    fit = fit_levels([Year(respond, np.full(98, -0.5), frame, area)])[0]
    step, variance = respond(fit.expected)
    level = fit.expected + step
    x = frame.to_numpy()
    scaled = (x - x.mean(0)) / x.std(0)
    design = np.column_stack([np.ones(98), scaled])
    total = fit.sd**2 * np.eye(98) + fit.area_sd**2 * (area[:, None] == area[None, :])
    for name, component in bends(scaled, list(frame.columns)).items():
        total = total + fit.bend_sd.get(name, 0.0) ** 2 * component
    total = total + fit.dispersion * np.diag(variance)
    for m in (0, 17, 55, 97):
        rest = np.arange(98) != m
        inverse = np.linalg.inv(total[np.ix_(rest, rest)])
        information = design[rest].T @ inverse @ design[rest]
        beta = np.linalg.solve(information, design[rest].T @ inverse @ level[rest])
        weight = total[m, rest] @ inverse
        predicted = design[m] @ beta + weight @ (level[rest] - design[rest] @ beta)
        free = design[m] - weight @ design[rest]
        error = total[m, m] - weight @ total[rest, m] + free @ np.linalg.solve(information, free)
        assert predicted == pytest.approx(fit.expected[m], abs=1e-4)
        assert fit.own_error[m] ** 2 == pytest.approx(error - fit.sd**2, rel=1e-5)


def test_published_errors_are_those_of_the_fit_and_the_tolerance() -> None:
    counts, conditions, areas, _ = departed(5, sd=0.2)
    rows = model_shares({"2016": (counts, conditions)}, outcome_id="a", least=5, areas=areas).rows
    card = model_shares({"2016": (counts, conditions)}, outcome_id="a", least=5, areas=areas).card.set_index("term")[
        "value"
    ]
    p = rows["expected"].astype(float) / 100
    chance = 1e4 * card["dispersion"] * p * (1 - p) / counts["n"]
    rest = rows["standard_error"].astype(float) ** 2 - chance - 0.25**2
    # What is left is the error of the expectation: positive, and small where chance is large.
    assert (rest > 0).all()
    assert rest.median() < chance.median()
    weight = (100 * p * (1 - p) * card["between_municipalities"]) ** 2
    share = weight / (weight + rows["standard_error"].astype(float) ** 2)
    np.testing.assert_allclose(
        rows["shrunk_difference"].astype(float), share * rows["difference"].astype(float), atol=1e-9
    )
    np.testing.assert_allclose(
        rows["shrunk_error"].astype(float), np.sqrt(share) * rows["standard_error"].astype(float), atol=1e-9
    )


def test_life_tables_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(3)
    interval, horizon = rng.integers(1, 13, 500), 12
    kind = rng.choice([0, 1, 2], 500, p=[0.2, 0.5, 0.3])  # censored after it, job, left
    at_risk, jobs, left = (np.zeros((1, horizon)) for _ in range(3))
    for t in range(horizon):
        at_risk[0, t] = (interval > t).sum()
        jobs[0, t] = ((interval == t + 1) & (kind == 1)).sum()
        left[0, t] = ((interval == t + 1) & (kind == 2)).sum()
    hazard = jobs / at_risk
    theirs = SurvfuncRight(interval.astype(float), (kind == 1).astype(int))
    survival = np.cumprod(1 - hazard[0])
    for time, value in zip(theirs.surv_times, theirs.surv_prob, strict=True):
        assert survival[int(time) - 1] == pytest.approx(value, abs=1e-12)
    by_hand = sum(13 * (a + b) / 2 for a, b in zip(np.append(1, survival[:-1]), survival, strict=True))
    assert restricted_mean(hazard)[0] == pytest.approx(by_hand, abs=1e-9)
    # Greenwood's variance of log survival, carried to the mean by a numerical derivative.
    variance = 0.0
    for j in range(horizon):
        bumped = hazard.copy()
        bumped[0, j] += 1e-6
        slope = (restricted_mean(bumped)[0] - restricted_mean(hazard)[0]) / 1e-6
        variance += slope**2 * hazard[0, j] * (1 - hazard[0, j]) / at_risk[0, j]
    assert greenwood(hazard, at_risk)[0] == pytest.approx(variance, rel=1e-4)
    # Who leaves in an interval is not at risk in it: leaving comes before its jobs, the end of following after them.
    staying = at_risk - left
    hazard, leaving = jobs / staying, left / at_risk
    # Aalen and Johansen's estimator, person by person in the order of events.
    moment = interval + np.select([kind == 0, kind == 2], [0.25, -0.5], 0.0)
    for intervals in (4, 8, 12):
        stays, share = 1.0, 0.0
        for time in np.unique(moment[moment < intervals + 0.4]):
            here, there = moment == time, (moment >= time).sum()
            share += stays * (here & (kind == 1)).sum() / there
            stays *= 1 - (here & (kind > 0)).sum() / there
        assert share_in_job(hazard, leaving, intervals)[0] == pytest.approx(share, abs=1e-9)


def test_pooling_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(2)
    variance = rng.uniform(0.01, 0.2, 30)
    estimate = 0.3 + rng.normal(0, np.sqrt(variance + 0.04))
    ours = pool(estimate, variance, np.zeros((30, 0)))
    theirs = combine_effects(estimate, variance, method_re="dl")
    assert ours.tau**2 == pytest.approx(theirs.tau2, abs=1e-9)
    assert ours.coefficients[0] == pytest.approx(theirs.mean_effect_re, abs=1e-9)
    scaled = theirs.var_hksj_re if hasattr(theirs, "var_hksj_re") else theirs.sd_eff_w_re_hksj**2
    assert ours.covariance[0, 0] == pytest.approx(max(scaled, theirs.sd_eff_w_re**2), abs=1e-9)


def test_extra_variances_are_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a heavier penalty an area variance that is not there is found less often: the constant does something."""
    level, variance, design, area = linearised(7)
    flat = level - np.linalg.lstsq(design, level, rcond=None)[0] @ design.T
    year = Linear(flat, variance, design, {"own": np.eye(98), "area": area})
    sizes = []
    for w in (0.0, EXTRA_PENALTY, 100.0):
        monkeypatch.setattr("transforms.statistics.random_effect.EXTRA_PENALTY", w)
        sizes.append(restricted_likelihood([year], {"own": 0.02, "area": 0.02, "dispersion": 1.1})[0]["area"])
    monkeypatch.undo()
    assert penalty_of("area", variance) == pytest.approx(EXTRA_PENALTY / np.median(variance))
    assert penalty_of("own", variance) == 0
    assert sizes[0] >= sizes[1] >= sizes[2]
    assert sizes[2] < sizes[0]


def test_years_share_their_variances_and_keep_their_coefficients() -> None:
    """The variances are those that make the sum of the years' likelihoods largest; each year is fitted at them."""
    given = [linearised(seed) for seed in (1, 2, 4)]
    years = [
        Linear(level, variance, design, {"own": np.eye(98), "area": area}) for level, variance, design, area in given
    ]
    start = {"own": 0.02, "area": 0.02, "dispersion": 1.2}
    together, models = restricted_likelihood(years, start)

    def objective(theta: np.ndarray) -> float:
        total = 0.0
        for level, variance, design, area in given:
            contrasts = null_space(design.T)
            covariance = theta[0] * np.eye(98) + theta[1] * area + theta[2] * np.diag(variance)
            factor = cholesky(contrasts.T @ covariance @ contrasts, lower=True)
            scaled = solve_triangular(factor, contrasts.T @ level, lower=True)
            total += np.log(np.diag(factor)).sum() + scaled @ scaled / 2
            total += EXTRA_PENALTY / float(np.median(variance)) * theta[1] + DISPERSION_PENALTY * np.log(theta[2])
        return float(total)

    best = minimize(objective, list(start.values()), bounds=[(0, 1), (0, 1), (1, 6)], options={"ftol": 1e-12})
    np.testing.assert_allclose(list(together.values()), best.x, atol=2e-4, rtol=5e-3)
    apart = [restricted_likelihood([year], start)[0]["own"] for year in years]
    assert min(apart) < together["own"] < max(apart)
    for (level, variance, design, area), model in zip(given, models, strict=True):
        covariance = together["own"] * np.eye(98) + together["area"] * area + together["dispersion"] * np.diag(variance)
        inverse = np.linalg.inv(covariance)
        theirs = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ level)
        np.testing.assert_allclose(model.coefficients, theirs, atol=1e-9)


@pytest.mark.parametrize("told", [4.0, 200.0])
def test_a_dispersion_pays_for_its_logarithm_in_each_year_and_has_an_end(told: float) -> None:
    """Of chance alone, told too small: the likelihood is (k - p) / 2 log d + S / 2d, so d = S / (k - p + 2 x 1.5)."""
    years, squares = [], 0.0
    for seed in (1, 2, 4):
        _, variance, design, _ = linearised(seed)
        level = np.random.default_rng(seed).normal(0, np.sqrt(variance))
        fitted = sm.WLS(level, design, told / variance).fit()
        squares += fitted.ssr
        years.append(Linear(level, variance / told, design, {}))
    free = 3 * (98 - design.shape[1])
    own = [Linear(3 * year.level, variance * 1e-9, year.design, {"own": np.eye(98)}) for year in years]
    # Next to no chance: what own deviations differ by is free, and the unbiased variance.
    of_levels = sum(float(sm.OLS(year.level, year.design).fit().ssr) for year in own)
    fit = restricted_likelihood(own, {"own": 1.0, "dispersion": 1.1})[0]["own"]
    assert fit == pytest.approx(of_levels / free, rel=1e-4)
    found = restricted_likelihood(years, {"dispersion": 1.1})[0]["dispersion"]
    assert found == pytest.approx(min(squares / (free + 3 * 2 * DISPERSION_PENALTY), MAX_DISPERSION), rel=1e-4)


def test_conditions_may_bend_step_and_act_together() -> None:
    """Each part is free of what stands in the design already, and has a mean variance of 1."""
    rng = np.random.default_rng(3)
    scaled, names, constant = standardise(
        pd.DataFrame({"a": rng.normal(2, 3, 60), "b": rng.normal(0, 1, 60), "c": 7.0})
    )
    assert (names, constant) == (["a", "b"], ("c",))
    np.testing.assert_allclose([scaled.mean(axis=0), scaled.std(axis=0)], [[0, 0], [1, 1]], atol=1e-12)
    near = pd.DataFrame({"large": 1e9 + rng.random(60), "small": 2e-9 * rng.random(60)})
    assert standardise(near)[2] == ("large", "small"), "what differs by less than a billionth is rounding"
    parts = bends(scaled, names)
    assert list(parts) == ["bend a", "step a", "bend b", "step b", "products"]
    for name, part in parts.items():
        assert np.trace(part) == pytest.approx(60)
        column = scaled[:, "ab".index(name[-1])] if name != "products" else scaled[:, 0]
        for straight in (np.ones(60), column):
            assert np.abs(part @ straight).max() < 1e-9
        assert np.linalg.eigvalsh(part).min() > -1e-9
    assert np.abs(parts["products"] @ scaled[:, 1] ** 2).max() < 1e-9
    product = scaled[:, 0] * scaled[:, 1]
    free = np.column_stack([np.ones(60), scaled, scaled**2])
    left = product - free @ np.linalg.lstsq(free, product, rcond=None)[0]
    np.testing.assert_allclose(parts["products"], np.outer(left, left) * 60 / (left @ left), atol=1e-9)
    assert list(bends(scaled[:, :1], names[:1])) == ["bend a", "step a"]
    cubic = np.abs(scaled[:, 0, None] - scaled[None, :, 0]) ** 3
    straight = np.column_stack([np.ones(60), scaled[:, 0]])
    centre = np.eye(60) - straight @ np.linalg.pinv(straight)
    ours = parts["bend a"] / np.trace(parts["bend a"])
    np.testing.assert_allclose(ours, centre @ cubic @ centre / np.trace(centre @ cubic @ centre), atol=1e-12)

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from transforms.statistics.intervals import (
    compare_all,
    e_value,
    explained_share,
    pool,
    rank_interval,
)


# Autumn 2018 list of the ministry (printed rank, name, actual, expected, printed difference).
def test_comparison_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        z = rng.normal(0, 1.8, 98)
        found = compare_all(z, np.ones(98, dtype=bool))
        theirs = multipletests(2 * student(97).sf(np.abs(z)), 0.05, method="fdr_bh")[0]
        assert (found.called == theirs).all()
        # The limit of the intervals of Benjamini and Yekutieli: they leave out zero for exactly those called.
        assert found.critical == pytest.approx(student(97).isf(0.05 * max(theirs.sum(), 1) / 98 / 2))
        assert ((np.abs(z) > found.critical) == theirs).all()


def test_comparison_counts_only_the_judged() -> None:
    z = np.array([4.0, 9.0, *np.zeros(40)])
    judged = np.array([True, False, *[True] * 40])
    found = compare_all(z, judged)
    assert found.called.tolist() == [True, *[False] * 41]
    assert compare_all(z, np.zeros(42, dtype=bool)).called.sum() == 0
    assert compare_all(np.array([3.2, *np.zeros(97)]), np.ones(98, dtype=bool)).called.sum() == 0


@pytest.mark.parametrize(("count", "freedom"), [(1, 1), (2, 1), (3, 2)])
def test_the_limit_of_few_is_that_of_few_degrees_of_freedom(count: int, freedom: int) -> None:
    found = compare_all(np.zeros(count), np.ones(count, dtype=bool))
    assert found.critical == pytest.approx(student(freedom).isf(0.05 / count / 2))


def test_ranks_of_sure_units_are_their_places() -> None:
    est = np.array([3.0, 2.0, 1.0])
    low, high = rank_interval(est - 1e-6, est + 1e-6, est, np.full(3, 1e-9))
    assert (low.tolist(), high.tolist()) == ([1, 2, 3], [1, 2, 3])
    low, high = rank_interval(est - 1e-6, est + 1e-6, est, np.full(3, 1e-9), higher_is_better=False)
    assert low.tolist() == high.tolist() == [3, 2, 1]


def test_ranks_of_unsure_units_hold_every_place() -> None:
    low, high = rank_interval(np.full(5, -9.0), np.full(5, 9.0), np.zeros(5), np.ones(5))
    assert (low == 1).all()
    assert (high == 5).all()


def test_the_uncertainty_of_the_others_widens_ranks() -> None:
    est = np.linspace(-1, 1, 21)
    sharp = rank_interval(est - 0.05, est + 0.05, est, np.full(21, 1e-6))
    soft = rank_interval(est - 0.05, est + 0.05, est, np.full(21, 0.4))
    assert sharp[1][10] - sharp[0][10] <= soft[1][10] - soft[0][10]
    assert soft[0][20] < sharp[1][0]
    assert (sharp[0][20], soft[0][20]) == (1, 2)
    # The top unit's lower end lies 0.05 above the second best guess: with others unsure by 0.4 it may be overtaken.
    assert soft[1][20] > sharp[1][20]


def test_one_single_test_at_five_percent_would_call_too_many() -> None:
    z = np.random.default_rng(1).normal(size=(400, 98))
    called = [compare_all(row, np.ones(98, dtype=bool)).called.sum() for row in z]
    assert np.mean(np.array(called) > 0) <= 0.08
    assert np.mean(np.abs(z) > 1.96) * 98 > 4


def test_explained_share_by_hand() -> None:
    observed, expected = np.array([1.0, 2, 3]), np.array([1.5, 2, 2.5])
    assert explained_share(observed, expected) == pytest.approx(0.75)
    assert explained_share(np.ones(3), expected) is None
    assert explained_share(np.array([1.0, 3]), np.array([1.0, 3])) == 1
    assert explained_share(np.array([1.0]), np.array([1.0])) is None


@pytest.mark.parametrize("higher", [True, False])
def test_ranks_are_counts_of_those_who_may_be_ahead(higher: bool) -> None:
    """One at a time: whoever is likelier than not ahead counts in full only when the chances add up to one."""
    rng = np.random.default_rng(6)
    best, spread, half = rng.normal(size=12), rng.uniform(0.05, 1, 12), rng.uniform(0.1, 1.5, 12)
    spread[3] = 0.0  # known without error
    first, last = rank_interval(best - half, best + half, best, spread, higher)
    for i in range(12):
        ends = (
            sorted(best[i] + half[i] * np.array([-1, 1])) if higher else sorted(-best[i] + half[i] * np.array([-1, 1]))
        )
        others = [(best[j] if higher else -best[j], max(spread[j], 1e-9)) for j in range(12) if j != i]
        ahead = sum(1 - norm.cdf(ends[1], *other) for other in others)
        behind = sum(norm.cdf(ends[0], *other) for other in others)
        assert (first[i], last[i]) == (1 + int(ahead), 12 - int(behind))


@pytest.mark.parametrize(("spread", "shared"), [(0.0, 0.0), (0.4, 0.0), (0.4, 0.3)])
def test_a_pool_is_the_meta_regression_of_the_books(spread: float, shared: float) -> None:
    """tau2 = (Q - k + p) / tr(P), P the weights free of the design (DerSimonian and Kacker 2007); errors by WLS."""
    rng = np.random.default_rng(11)
    variance, moderators = rng.uniform(0.01, 0.09, 25), rng.normal(size=(25, 2))
    estimate = (
        0.2 + moderators @ [0.1, -0.2] + spread * rng.normal(size=25) + 0.6 * np.sqrt(variance) * rng.normal(size=25)
    )
    design, weight = sm.add_constant(moderators), np.diag(1 / variance)
    free = weight - weight @ design @ np.linalg.solve(design.T @ weight @ design, design.T @ weight)
    tau2 = max(0.0, (estimate @ free @ estimate - 22) / np.trace(free))
    theirs = sm.WLS(estimate, design, 1 / (variance + tau2)).fit()
    expected = theirs.normalized_cov_params * max(1.0, theirs.scale)
    expected[0, 0] += shared
    found = pool(estimate, variance, moderators, shared)
    assert found.tau == pytest.approx(tau2**0.5)
    assert (found.tau > 0) == (spread > 0)
    np.testing.assert_allclose(found.coefficients, theirs.params)
    np.testing.assert_allclose(found.covariance, expected)
    wide = pool(90 * estimate, 90**2 * variance, moderators, 90**2 * shared)  # another unit of measurement
    assert wide.tau == pytest.approx(90 * found.tau)
    np.testing.assert_allclose(wide.covariance, 90**2 * expected)


def test_one_estimate_alone_is_its_own_pool() -> None:
    found = pool(np.array([0.3]), np.array([0.04]), np.zeros((1, 0)))
    assert (found.coefficients.tolist(), found.covariance.tolist(), found.tau) == ([0.3], [[pytest.approx(0.04)]], 0)


def test_the_e_value_of_a_hazard_ratio_by_hand() -> None:
    """A ratio of 4 is a risk ratio of 0.75 / (1 - sqrt 0.5) when the outcome is common, whichever way it points."""
    ratio = 0.75 / (1 - 0.5**0.5)
    assert e_value(4.0) == pytest.approx(ratio + (ratio * (ratio - 1)) ** 0.5)
    assert e_value(0.25) == pytest.approx(e_value(4.0))
    assert e_value(1.0) == 1

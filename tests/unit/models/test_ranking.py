from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from transforms.statistics.intervals import (
    compare_all,
    explained_share,
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

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from transforms.statistics.intervals import (
    classify,
    difference_interval,
    explained_share,
    published_differences,
    rank_intervals,
    wilson_interval,
)

# Autumn 2018 list of the ministry (printed rank, name, actual, expected, printed difference).
LIST_2018 = pd.DataFrame(
    [
        (1, "Nyborg", 1620, 1840, 220),
        (2, "Frederiksberg", 4330, 5090, 760),
        (3, "Gladsaxe", 2980, 3400, 420),
        (4, "Hedensted", 1820, 2080, 260),
        (5, "Billund", 1090, 1230, 140),
    ],
    columns=["printed_rank", "name", "actual_count", "expected_count", "printed_difference"],
)


def test_wilson_agrees_with_statsmodels() -> None:
    k, n = np.array([0.0, 3, 40, 80]), np.array([10.0, 10, 80, 80])
    low, high = wilson_interval(k, n)
    theirs = proportion_confint(k, n, method="wilson")
    np.testing.assert_allclose(low, theirs[0], atol=1e-9)
    np.testing.assert_allclose(high, theirs[1], atol=1e-9)


def test_difference_interval_without_correlation_adds_variances() -> None:
    one = np.array([1.0])
    low, high = difference_interval((5 * one, 2 * one, 8 * one), (one, -3 * one, 5 * one), 0 * one)
    assert (low[0], high[0]) == pytest.approx((4 - 5, 4 + 5))


def test_rank_intervals_narrow_when_sure_and_wide_when_not() -> None:
    est = np.array([3.0, 2.0, 1.0])
    low, high = rank_intervals(est, np.full(3, 1e-6))
    assert (low.tolist(), high.tolist()) == ([1, 2, 3], [1, 2, 3])
    low, high = rank_intervals(est, np.full(3, 1e-6), higher_is_better=False)
    assert low.tolist() == [3, 2, 1]
    low, high = rank_intervals(np.zeros(3), np.ones(3))
    assert low.tolist() == [1, 1, 1]
    assert high.tolist() == [3, 3, 3]
    again = rank_intervals(np.zeros(3), np.ones(3))
    assert (again[0] == low).all()


def test_rank_intervals_refuse_a_missing_value() -> None:
    with pytest.raises(ValueError, match="finite"):
        rank_intervals(np.array([1.0, np.nan]), np.ones(2))


def test_classify_counts_all_tests_and_follows_the_direction() -> None:
    z = np.array([2.1, -6.0, 6.0, 9.0, *np.zeros(96)])
    n = np.array([500.0, 500, 500, 10, *np.full(96, 500.0)])
    assert classify(z, n, 20)[:5].tolist() == ["as_expected", "worse", "better", "too_small", "as_expected"]
    assert classify(z, n, 20, higher_is_better=False)[1:3].tolist() == ["better", "worse"]


def test_one_single_test_at_five_percent_would_call_too_many() -> None:
    z = np.random.default_rng(1).normal(size=(400, 98))
    called = [(classify(row, np.full(98, 100.0), 20) != "as_expected").sum() for row in z]
    assert np.mean(np.array(called) > 0) <= 0.08
    assert np.mean(np.abs(z) > 1.96) * 98 > 4


def test_explained_share_by_hand() -> None:
    observed, expected = np.array([1.0, 2, 3]), np.array([1.5, 2, 2.5])
    assert explained_share(observed, expected) == pytest.approx(0.75)
    assert explained_share(np.ones(3), expected) is None


def test_published_list_differences_hold_and_rank_is_not_the_rank_of_the_ratio() -> None:
    out = published_differences(LIST_2018)
    assert (out["difference_count"] == out["printed_difference"]).all()
    ratio_rank = out["actual_to_expected"].rank().astype(int)
    assert ratio_rank.tolist() != out["printed_rank"].tolist()
    assert out.loc[ratio_rank == 1, "name"].item() == "Frederiksberg"


def test_the_list_is_the_published_one(real_dir: Path) -> None:
    path = real_dir.parent / "reference" / "reference_figures.csv"
    with path.open(encoding="utf-8") as handle:
        rows = {r["area"]: r["value"] for r in csv.DictReader(handle, delimiter=";") if r["value"].count("/") == 1}
    for row in LIST_2018.itertuples():
        assert rows[str(row.name)] == f"{row.actual_count}/{row.expected_count}"

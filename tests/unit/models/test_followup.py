"""Progress against a baseline, each figure against a computation by other means on a few municipalities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.stats import t as student
from scipy.stats import ttest_ind

from tests.unit.models.test_programme import DEFINITION, world
from transforms.errors import DataRefused
from transforms.models.followup import (
    changes,
    covariance_difference,
    difference_in_differences,
    event_study,
    group_means,
    matched_difference,
    synthetic_controls,
)


def followed(groups: str, before: list[float], after: list[float], units: list[str] | None = None) -> pd.DataFrame:
    """Return `changes` of municipalities a, b, c, ...: p takes part, o is another, s of the sister pool."""
    codes = [chr(ord("a") + i) for i in range(len(groups))]
    names = {"p": "participant", "o": "other", "s": "sister_pool", "u": "unknown"}
    given = pd.DataFrame({"municipality_code": codes, "group": [names[g] for g in groups]})
    if units:
        given["project_unit"] = units
    frames = [pd.DataFrame({"municipality_code": codes, "value": values}) for values in (before, after)]
    return changes(*frames, (DEFINITION, DEFINITION), given)


GROUPS = "pppoooooooos"
BEFORE = [20.0, 22.0, 21.0, 25.0, 27.5, 31.0, 24.0, 35.0, 30.0, 29.0, 26.0, 12.0]
AFTER = [25.0, 24.0, 28.0, 27.0, 28.0, 30.5, 29.0, 34.0, 33.5, 30.0, 27.0, 40.0]
PEERS = pd.DataFrame(
    [("a", "d", 1), ("a", "g", 2), ("a", "l", 3), ("b", "d", 1), ("b", "e", 2), ("b", "h", 3), ("c", "k", 1)],
    columns=["municipality_code", "peer_code", "rank"],
)


def fitted() -> sm.regression.linear_model.RegressionResultsWrapper:
    """Return the later value on the baseline and on taking part, of participants and others."""
    part = np.array([g in "po" for g in GROUPS])
    treated = np.array([g == "p" for g in GROUPS])[part]
    design = np.column_stack([np.ones(part.sum()), np.array(BEFORE)[part], treated])
    return sm.OLS(np.array(AFTER)[part], design).fit()


def test_the_expected_change_is_the_line_within_groups_at_the_level_of_the_others() -> None:
    out = followed(GROUPS, BEFORE, AFTER)
    level, slope, effect = fitted().params
    expected = level + slope * np.array(BEFORE) - np.array(BEFORE)
    np.testing.assert_allclose(out["expected_change"].to_numpy(np.float64), expected)
    beyond = out["change_beyond_regression"].to_numpy(np.float64)
    np.testing.assert_allclose(beyond, np.array(AFTER) - np.array(BEFORE) - expected)
    assert beyond[:3].mean() == pytest.approx(effect)
    means = group_means(out).set_index("group")
    assert means.loc["participant", "change"] == pytest.approx((5 + 2 + 7) / 3)
    assert means["municipality_count"].to_dict() == {"participant": 3, "sister_pool": 1, "other": 8}


def test_with_one_baseline_for_all_everybody_is_expected_to_change_as_the_others() -> None:
    """Nothing tells a slope then: it is 1, a plain difference in change; without others, the level is that of all."""
    out = followed(GROUPS, [20.0] * 12, AFTER)
    others = np.mean(AFTER[3:11]) - 20
    np.testing.assert_allclose(out["expected_change"].to_numpy(np.float64), others)
    alone = followed("p" * 12, [20.0] * 12, AFTER)
    np.testing.assert_allclose(alone["expected_change"].to_numpy(np.float64), np.mean(AFTER) - 20)


def test_groups_that_each_start_from_one_figure_are_expected_to_change_alike() -> None:
    before = [15.0 if g == "p" else 20.0 for g in GROUPS]
    out = followed(GROUPS, before, AFTER)
    np.testing.assert_allclose(out["expected_change"].to_numpy(np.float64), np.mean(AFTER[3:11]) - 20)


def test_ten_municipalities_are_enough_and_nine_are_not() -> None:
    assert len(followed(GROUPS[:10], BEFORE[:10], AFTER[:10])) == 10
    with pytest.raises(DataRefused, match="9 municipalities"):
        followed(GROUPS[:9], BEFORE[:9], AFTER[:9])


def matched_by_hand(beyond: bool) -> tuple[float, float]:
    """Return difference and half interval of a and b as one unit and c, from the formulas of Abadie and Imbens.

    Peers: a has d and g (l is of the sister pool), b has d, e and h, c has k; a and b count a quarter each.
    """
    slope = fitted().params[1]
    value = np.array(AFTER) - np.array(BEFORE) * (slope if beyond else 1)
    a, b, c, d, e, _, g, h, _, _, k = value[:11]
    estimate = ((a - (d + g) / 2) + (b - (d + e + h) / 3)) / 4 + (c - k) / 2
    weight = dict.fromkeys("defghijk", 0.0) | {"d": 1 / 8 + 1 / 12, "e": 1 / 12, "g": 1 / 8, "h": 1 / 12, "k": 1 / 2}
    variance = np.var([(a + b) / 2, c], ddof=1) / 2 + np.var(value[3:11], ddof=1) * sum(w**2 for w in weight.values())
    if beyond:
        start = dict(zip("abcdefghijk", BEFORE, strict=False))
        apart = (start["a"] + start["b"]) / 4 + start["c"] / 2 - sum(w * start[x] for x, w in weight.items())
        variance += fitted().bse[1] ** 2 * apart**2
    return estimate, student(1).ppf(0.975) * variance**0.5


@pytest.mark.parametrize("unit", [1, 0.01])
@pytest.mark.parametrize(("name", "beyond"), [("matched", False), ("matched_beyond_regression", True)])
def test_matched_differences_and_their_intervals_by_hand(name: str, beyond: bool, unit: float) -> None:
    units = ["one", "one", "c", *"defghijkl"]
    given = followed(GROUPS, [v * unit for v in BEFORE], [v * unit for v in AFTER], units)
    out = difference_in_differences(given, PEERS).set_index("comparison").loc[name]
    estimate, half = (unit * each for each in matched_by_hand(beyond))
    assert float(out["difference"]) == pytest.approx(estimate)
    assert float(out["difference_low"]) == pytest.approx(estimate - half)
    assert float(out["difference_high"]) == pytest.approx(estimate + half)
    assert out[["participants_count", "units_count", "others_count", "sister_pool_count"]].tolist() == [3, 2, 8, 1]


def test_a_single_unit_has_a_difference_and_no_interval() -> None:
    one = difference_in_differences(followed("p" + "o" * 11, BEFORE, AFTER), PEERS).set_index("comparison")
    assert one["difference_low"].isna().all()
    d, g, ell = (AFTER[i] - BEFORE[i] for i in (3, 6, 11))
    assert float(one.loc["matched", "difference"]) == pytest.approx(5 - (d + g + ell) / 3)
    assert pd.isna(one.loc["all_others", "difference"])


def test_a_hidden_sister_pool_larger_than_the_others_gives_no_bound() -> None:
    """Eleven among twelve others or more thin the difference out; among eleven there would be no other left."""
    many = followed("pp" + "o" * 12, [*BEFORE, 26.0, 27.0], [*AFTER, 27.0, 30.0])
    out = difference_in_differences(many, PEERS)
    np.testing.assert_allclose((out["if_sister_pool_alike"] / out["difference"]).astype(float), 12)
    few = difference_in_differences(followed("pp" + "o" * 11, [*BEFORE, 26.0], [*AFTER, 27.0]), PEERS)
    assert few["if_sister_pool_alike"].isna().all()


def test_matched_differences_need_a_known_peer() -> None:
    out = matched_difference(followed(GROUPS, BEFORE, AFTER), PEERS[PEERS["municipality_code"] != "b"])
    assert out["peers_used_count"].tolist() == [2, 0, 1]
    assert out["value_status"].tolist() == ["estimated", "missing", "estimated"]


def test_degrees_of_freedom_of_bell_and_mccaffrey() -> None:
    """(tr W)^2 / tr W^2, W holding the error's estimate as a form of equal, independent errors: here built by units."""
    part = np.array([g in "po" for g in GROUPS])
    value, after = np.array(BEFORE)[part], np.array(AFTER)[part]
    treated = np.array([g == "p" for g in GROUPS])[part]
    design = np.column_stack([np.ones(11), value, treated])
    basis = np.linalg.qr(design)[0]
    contrast = np.linalg.lstsq(design.T @ design, np.array([0.0, 0, 1]), rcond=None)[0]
    form = np.zeros((11, 11))
    for i in range(11):
        residual = np.eye(11)[i] - basis @ basis[i]
        form += np.outer(residual, residual) * float(design[i] @ contrast) ** 2 / (1 - basis[i] @ basis[i])
    roots = np.linalg.eigvalsh(form)
    estimate, error, freedom = covariance_difference(value, after, treated)
    assert freedom == pytest.approx(roots.sum() ** 2 / (roots**2).sum())
    assert error**2 == pytest.approx(after @ form @ after)
    assert estimate == pytest.approx(fitted().params[2])


@pytest.mark.parametrize(("treated", "others", "told"), [(2, 2, True), (1, 5, False), (5, 1, False)])
def test_two_on_each_side_are_enough(treated: int, others: int, told: bool) -> None:
    rng = np.random.default_rng(1)
    value = rng.normal(size=treated + others)
    found = covariance_difference(value, value + rng.normal(size=value.size), np.arange(value.size) < treated)
    assert [np.isfinite(each) for each in found] == [told] * 3


def test_the_event_study_is_welch_s_comparison_of_the_change_from_the_baseline() -> None:
    rng = np.random.default_rng(3)
    codes = list("abcdefghij")
    panel = pd.DataFrame([(c, str(y), rng.normal(30, 3)) for c in codes for y in range(2014, 2018)],
                         columns=["municipality_code", "period", "value"])  # fmt: skip
    groups = pd.DataFrame({"municipality_code": codes, "group": ["participant"] * 4 + ["other"] * 5 + ["sister_pool"],
                           "project_unit": ["one", "one", None, None, None, "x", None, None, None, None]})  # fmt: skip
    out = event_study(panel, groups, "2015").set_index("period")
    assert [str(kind) for kind in out.dtypes[1:]] == ["Float64"] * 3 + ["int64"] * 2
    wide = panel.pivot_table(index="municipality_code", columns="period", values="value")
    assert out["is_before"].to_dict() == {"2014": True, "2015": False, "2016": False, "2017": False}
    for year in ("2014", "2016", "2017"):
        change = wide[year] - wide["2015"]
        units = [change[["a", "b"]].mean(), change["c"], change["d"]]
        theirs = ttest_ind(units, change[list("efghi")], equal_var=False)
        interval = theirs.confidence_interval()
        told = out.loc[year, ["difference", "difference_low", "difference_high"]].astype(float).tolist()
        assert told == pytest.approx([np.mean(units) - change[list("efghi")].mean(), interval.low, interval.high])
        assert out.loc[year, ["units_count", "others_count"]].tolist() == [3, 5]
    assert out.loc["2015", "difference"] == 0
    assert pd.isna(out.loc["2015", "difference_low"])


def gap_of(own: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Return the last value less the synthetic one and the fit's error: the same criterion by a general optimiser."""
    mine = own[:-1] - own[:-1].mean()
    theirs = others[:, :-1] - others[:, :-1].mean(axis=1, keepdims=True)
    ridge = 0.1 * theirs.std()

    def loss(weight: np.ndarray) -> float:
        return float(np.sum((mine - weight @ theirs) ** 2) + ridge**2 * np.sum(weight**2))

    start = np.full(len(others), 1 / len(others))
    found = minimize(
        loss, start, method="SLSQP", bounds=[(0, None)] * len(others), options={"ftol": 1e-12, "maxiter": 500},
        constraints={"type": "eq", "fun": lambda weight: weight.sum() - 1},
    )  # fmt: skip
    later = others[:, -1] - others[:, :-1].mean(axis=1)
    error = np.sqrt(np.mean((mine - found.x @ theirs) ** 2))
    return float(own[-1] - own[:-1].mean() - found.x @ later), float(error)


def test_synthetic_controls_and_placebos_by_a_general_optimiser() -> None:
    rng = np.random.default_rng(8)
    codes = [f"m{i:02}" for i in range(13)]
    base = rng.normal(30, 2, (13, 1)) + rng.normal(0, 1, 5) + rng.normal(0, 0.8, (13, 5))
    panel = pd.DataFrame([(c, str(2012 + y), base[i, y]) for i, c in enumerate(codes) for y in range(5)],
                         columns=["municipality_code", "period", "value"])  # fmt: skip
    groups = pd.DataFrame({"municipality_code": codes, "group": ["participant"] * 2 + ["sister_pool"] + ["other"] * 10,
                           "project_unit": ["one", "one", *[None] * 11]})  # fmt: skip
    row = synthetic_controls(panel, groups, "2015", "2016").iloc[0]
    others = base[3:]
    gap, error = gap_of(base[:2].mean(axis=0), others)
    placebos = np.abs([gap_of(others[i], np.delete(others, i, axis=0))[0] for i in range(10)])
    assert row["difference"] == pytest.approx(gap, abs=1e-3)
    assert row["fit_error"] == pytest.approx(error, abs=1e-3)
    assert row["difference_high"] - gap == pytest.approx(np.quantile(placebos, 0.95), abs=2e-3)
    assert gap - row["difference_low"] == pytest.approx(np.quantile(placebos, 0.95), abs=2e-3)
    assert row["placebo_p"] == pytest.approx((1 + (placebos >= abs(gap)).sum()) / 11)
    assert row[["project_unit", "years_count", "others_count"]].tolist() == ["one", 4, 10]
    assert synthetic_controls(panel[panel["municipality_code"] != "m12"], groups, "2015", "2016").empty
    assert len(synthetic_controls(panel, groups, "2014", "2016")) == 1, "three years up to the baseline are enough"
    assert synthetic_controls(panel, groups, "2013", "2016").empty
    assert synthetic_controls(panel, groups, "2015", "2019").empty


def test_the_difference_at_the_same_starting_point_has_the_interval_of_its_freedom() -> None:
    before, later, groups, peers = world(9, 1.0)
    groups = groups.drop(columns="project_unit")
    out = difference_in_differences(changes(before, later, (DEFINITION, DEFINITION), groups), peers)
    row = out.set_index("comparison").loc["same_starting_point"]
    part = groups["group"].isin(["participant", "other"]).to_numpy()
    treated = (groups["group"] == "participant").to_numpy()[part]
    estimate, error, freedom = covariance_difference(
        before["value"].to_numpy()[part], later["value"].to_numpy()[part], treated
    )
    half = student(freedom).ppf(0.975) * error
    assert float(row["difference_low"]) == pytest.approx(estimate - half)
    assert float(row["difference_high"]) == pytest.approx(estimate + half)

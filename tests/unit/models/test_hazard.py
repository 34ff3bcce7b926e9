"""The hazard on counts against the same model on spans one by one, dense and without any of its short cuts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from transforms.statistics import hazard
from transforms.statistics.hazard import (
    Cells,
    between_sd,
    build_cells,
    chance,
    fit_hazard,
    named_levels,
    score_weight,
    score_weight_by_cell,
)
from transforms.statistics.tally import Tally, tally

COVARIATES = ["sex", "partner", "age", "rent", "flat"]
PERIODS, LENGTH, BITS = 3, 2, 2


def spans(seed: int = 1, size: int = 400, municipalities: str = "abcdef") -> pd.DataFrame:
    """Return spans at risk within six intervals, some of them empty; sex is not always known."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 5, size)
    frame = pd.DataFrame({
        "municipality_code": rng.choice(list(municipalities), size), "sex": rng.choice(["K", "M", None], size),
        "partner": rng.random(size) < 0.4, "age": rng.integers(2, 5, size), "rent": rng.choice([0.5, 2.5, 9.0], size),
        "flat": 7.0, "first": first, "stop": first + rng.integers(0, 4, size), "mask": rng.integers(0, 2**BITS, size),
        "count": rng.integers(1, 6, size),
    })  # fmt: skip
    frame["stop"] = frame["stop"].clip(upper=6)
    level = 0.5 * (frame["sex"] == "M") - 0.3 * frame["partner"] + 0.4 * (frame["mask"] & 1) + 0.2 * frame["age"]
    effect = frame["municipality_code"].map({code: 0.7 * i - 1.5 for i, code in enumerate("abcdef")}).fillna(0)
    lasting = frame["stop"] - frame["first"]
    return frame.assign(has_event=rng.random(size) < 1 - np.exp(-0.12 * lasting * np.exp(level + effect - 0.6)))


def told(frame: pd.DataFrame) -> Tally:
    columns = ["municipality_code", *COVARIATES, "first", "stop", "mask", "has_event"]
    return named_levels(tally(frame, columns, frame["count"].to_numpy()), COVARIATES)


def cells_of(frame: pd.DataFrame) -> Cells:
    return build_cells(told(frame), COVARIATES, PERIODS, intervals_per_period=LENGTH, bits=BITS)


def dense(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return design, municipality, period, persons x intervals at risk, and jobs: a row per span and period."""
    frame = frame[frame["stop"] > frame["first"]].assign(sex=lambda rows: rows["sex"].fillna("unknown"))
    time = (frame["stop"] - frame["first"]) * frame["count"]
    columns = [(frame["mask"] // 2**bit % 2).to_numpy(np.float64) for bit in range(BITS)]
    for name in COVARIATES:
        values = frame[name]
        if name in ("sex", "partner"):
            most = time.groupby(values).sum().idxmax()
            columns += [(values == level).to_numpy(np.float64) for level in sorted(set(values)) if level != most]
        elif values.nunique() > 1:
            mean = np.average(values, weights=time)
            spread = np.sqrt(np.average((values - mean) ** 2, weights=time))
            columns.append(((values - mean) / spread).to_numpy(np.float64))
    design, rows = np.column_stack(columns), []
    for place, span in enumerate(frame.itertuples()):
        for period in range(PERIODS):
            there = [t for t in range(span.first, span.stop) if t // LENGTH == period]
            if there:
                jobs = span.count if span.has_event and span.stop - 1 in there else 0
                rows.append((place, period, len(there) * span.count, jobs))
    place, period, at_risk, jobs = np.array(rows).T
    group = np.searchsorted(sorted(set(frame["municipality_code"])), frame["municipality_code"].to_numpy()[place])
    return design[place], group, period, at_risk.astype(np.float64), jobs.astype(np.float64)


def test_cells_hold_every_span_in_its_periods() -> None:
    frame = spans()
    cells = cells_of(frame)
    design, group, period, at_risk, jobs = dense(frame)
    assert cells.groups == tuple("abcdef")
    assert (len(cells.names), cells.names[:2], cells.names[-2:]) == (7, ("bit0", "bit1"), ("age", "rent"))
    beta = np.random.default_rng(2).normal(size=len(cells.names))
    for of_cells, of_spans in zip(cells.totals(), (at_risk, jobs), strict=True):
        expected = np.zeros((6, PERIODS))
        np.add.at(expected, (group, period), of_spans)
        np.testing.assert_array_equal(of_cells, expected)
    # Whatever the coefficients, as many are at risk with each linear predictor in each municipality and period.
    ours = [(cells.group[c], p, round(v, 9)) for c, v in enumerate(cells.linear(beta)) for p in range(PERIODS)]
    counted: dict[tuple[int, int, float], list[float]] = {}
    for keys, risk, events in (
        (ours, cells.at_risk.T.ravel(), cells.events.toarray().T.ravel()),
        (list(zip(group, period, np.round(design @ beta, 9), strict=True)), -at_risk, -jobs),
    ):
        for key, n, k in zip(keys, risk.astype(np.float64), events.astype(np.float64), strict=True):
            both = counted.setdefault(key, [0.0, 0.0])
            both[0], both[1] = both[0] + n, both[1] + k
    assert all(left == [0, 0] for left in counted.values())


def test_one_municipality_after_another_gives_the_same_cells() -> None:
    whole = told(spans())
    kept = build_cells(whole, COVARIATES, PERIODS, intervals_per_period=LENGTH, bits=BITS)
    parts = build_cells(
        whole.parts("municipality_code"), COVARIATES, PERIODS, intervals_per_period=LENGTH, bits=BITS
    )  # fmt: skip
    np.testing.assert_array_equal(kept.at_risk, parts.at_risk)
    np.testing.assert_array_equal(kept.events.toarray(), parts.events.toarray())
    np.testing.assert_array_equal(kept.linear(np.arange(7.0)), parts.linear(np.arange(7.0)))
    with pytest.raises(ValueError, match="no spans"):
        build_cells([], COVARIATES, PERIODS)


def test_sums_over_the_exposed_and_per_municipality() -> None:
    frame = spans(3)
    cells = cells_of(frame)
    seen = frame[frame["stop"] > frame["first"]]
    values = cells.at_risk.sum(axis=0).astype(np.float64)
    time = (seen["stop"] - seen["first"]) * seen["count"]
    np.testing.assert_array_equal(cells.by_group(values), time.groupby(seen["municipality_code"]).sum())
    exposed = cells.by_group_exposure(values)
    for bit in range(BITS):
        with_it = time.where(seen["mask"] // 2**bit % 2 == 1, 0)
        np.testing.assert_allclose(exposed[:, bit], with_it.groupby(seen["municipality_code"]).sum())


def test_the_mixed_model_solves_the_equations_of_all_spans_and_its_errors_are_the_inverse_information() -> None:
    """Henderson's equations, dense: scores of baseline and coefficients are nought, those of u are u / s2."""
    frame = spans(4, 600)
    cells = cells_of(frame)
    design, group, period, at_risk, jobs = dense(frame)
    fit = fit_hazard(cells)
    assert 0.3 < fit.sd < 2
    fixed = np.column_stack([np.eye(PERIODS)[period], design])
    rate = np.exp(fixed @ np.append(fit.baseline, fit.beta) + fit.effect[group])
    chance_of = 1 - np.exp(-rate)
    score = (jobs - at_risk * chance_of) * rate / chance_of
    weight = at_risk * rate**2 * np.exp(-rate) / chance_of
    np.testing.assert_allclose(fixed.T @ score, 0, atol=0.05)
    belongs = np.eye(6)[group]
    np.testing.assert_allclose(belongs.T @ score, fit.effect / fit.sd**2, atol=0.05)
    both = np.column_stack([fixed, belongs])
    information = both.T @ (both * weight[:, None])
    information[-6:, -6:] += np.eye(6) / fit.sd**2
    covariance = np.linalg.inv(information)[:-6, :-6]
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-5, atol=1e-9)
    by_cell = score_weight_by_cell(cells, fit.baseline, cells.linear(fit.beta) + fit.effect[cells.group])
    np.testing.assert_allclose(cells.by_group(by_cell[0]), belongs.T @ score, atol=1e-9)
    np.testing.assert_allclose(cells.by_group(by_cell[1]), belongs.T @ weight)


def test_a_known_part_of_the_predictor_is_taken_as_it_is() -> None:
    """What a coefficient explains, given beforehand, leaves nothing of it to explain."""
    cells = cells_of(spans(5, 600))
    plain = fit_hazard(cells, random_effect=False)
    again = fit_hazard(cells, cells.linear(plain.beta), random_effect=False)
    np.testing.assert_allclose(again.beta, 0, atol=1e-4)
    np.testing.assert_allclose(again.baseline, plain.baseline, atol=1e-4)
    assert (plain.effect == 0).all()


def test_a_municipality_of_one_person_counts_in_the_spread_by_what_it_tells() -> None:
    """Its own interval at risk weighs about a fifth of a job; s is that of all effects, freed of their prior."""
    frame = spans(4, 600)
    alone = frame.iloc[:1].assign(municipality_code="g", first=0, stop=1, count=1, has_event=True)
    cells = cells_of(pd.concat([frame, alone], ignore_index=True))
    fit = fit_hazard(cells)
    linear = cells.linear(fit.beta) + fit.effect[cells.group]
    weight = cells.by_group(score_weight_by_cell(cells, fit.baseline, linear)[1])
    assert weight[6] < 0.9
    freed = fit.effect + fit.effect / (weight * fit.sd**2)
    assert fit.sd == pytest.approx(between_sd(freed, 1 / weight), abs=1e-4)


def test_a_period_without_a_job_has_a_small_chance_and_one_in_which_all_find_one_a_large_one() -> None:
    frame = spans(9)
    frame["has_event"] &= frame["stop"] <= 4
    sure = (frame["stop"] <= 2) & (frame["stop"] > frame["first"])
    fit = fit_hazard(cells_of(frame.assign(has_event=frame["has_event"] | sure)))
    assert np.isfinite(fit.baseline).all()
    assert chance(np.exp(fit.baseline))[[0, 2]] == pytest.approx([0.6, 0], abs=0.4)
    assert chance(np.exp(fit.baseline))[2] < 1e-3


@pytest.mark.parametrize(("block", "table"), [(70, hazard.TABLE), (hazard.BLOCK, 1), (100, 30)])
def test_blocks_and_tables_are_short_cuts_alone(monkeypatch: pytest.MonkeyPatch, block: int, table: int) -> None:
    cells = cells_of(spans(6))
    whole = fit_hazard(cells)
    exposed = cells.by_group_exposure(np.ones(len(cells.group)))
    monkeypatch.setattr(hazard, "BLOCK", block)
    monkeypatch.setattr(hazard, "TABLE", table)
    parts = fit_hazard(cells)
    np.testing.assert_allclose(parts.beta, whole.beta, atol=1e-9)
    np.testing.assert_allclose(parts.covariance, whole.covariance, atol=1e-9)
    np.testing.assert_allclose(parts.effect, whole.effect, atol=1e-9)
    np.testing.assert_allclose(cells.by_group_exposure(np.ones(len(cells.group))), exposed)


def test_a_number_that_nobody_has_moves_no_mean() -> None:
    """Levels without time at risk, as an empty span's or another part's, are no part of the standard."""
    frame = spans(7)
    empty = frame.iloc[:1].assign(age=90, rent=-500.0, sex="X", stop=frame["first"].iloc[0], municipality_code="z")
    with_it, without = cells_of(pd.concat([frame, empty], ignore_index=True)), cells_of(frame)
    assert with_it.names == without.names
    assert with_it.groups == without.groups
    beta = np.arange(1.0, 8.0)
    np.testing.assert_allclose(with_it.linear(beta), without.linear(beta), atol=1e-12)


def test_a_number_that_one_person_has_once_counts_once() -> None:
    frame = spans(7)
    one = frame.iloc[:1].assign(age=30, sex="X", first=0, stop=1, count=1)
    both = pd.concat([frame, one], ignore_index=True)
    time = (both["stop"] - both["first"]).clip(lower=0) * both["count"]
    mean = np.average(both["age"], weights=time)
    cells = cells_of(both)
    assert "sex=X" in cells.names
    beta = np.eye(8)[cells.names.index("age")]
    assert cells.linear(beta).max() == pytest.approx(
        (30 - mean) / np.sqrt(np.average((both["age"] - mean) ** 2, weights=time))
    )


def test_a_covariate_that_is_nearly_constant_is_none() -> None:
    """A spread below a billionth of its size is rounding."""
    frame = spans(8)
    large = frame.assign(rent=1e9 + frame["rent"] / 10, flat=np.where(frame["rent"] > 1, 2e-9, 0.0))
    assert [name for name in cells_of(large).names if name in ("rent", "flat")] == []
    assert "rent" in cells_of(frame.assign(rent=1e6 + frame["rent"])).names
    assert "flat" in cells_of(frame.assign(flat=np.where(frame["rent"] > 1, 4e-9, 0.0))).names


def test_the_cumulated_hazard_is_held_between_limits() -> None:
    """Between e^-25 and e^4: beyond, chances are 0 and 1, and a step of the fit must stay a number."""
    one = np.ones(1)
    assert chance(0 * one) == pytest.approx(np.exp(-25), rel=1e-9)
    assert score_weight(0 * one, one, 1e9 * one)[0] == pytest.approx(-np.exp(4))
    assert score_weight(one, one, 0 * one)[0] == pytest.approx(1)
    assert score_weight(0 * one, one, 0 * one)[1] == pytest.approx(np.exp(-25))


@pytest.mark.parametrize(("estimate", "variance", "told"), [(50.0, 0.01, 3.0), (0.0, 1e-12, 1e-3)])
def test_the_spread_between_municipalities_has_limits(estimate: float, variance: float, told: float) -> None:
    assert between_sd(np.full(50, estimate), np.full(50, variance)) == pytest.approx(told, rel=1e-3)


def test_no_municipality_is_told_further_than_three_from_the_others() -> None:
    """On the scale of the logarithm of the hazard: e^3 is twenty times, and what lies beyond is a fault of the data."""
    frame = pd.DataFrame({
        "municipality_code": np.repeat(list("abcdef"), 200), "first": 0, "stop": np.repeat([1, 6], 600),
        "has_event": np.repeat([True, False], 600),
    })  # fmt: skip
    frame.loc[::50, ["stop", "has_event"]] = [1, True]
    cells = build_cells(tally(frame, list(frame.columns)), [], 3, intervals_per_period=2)
    assert fit_hazard(cells).effect.max() == pytest.approx(3)
    few = build_cells(
        tally(frame[frame["municipality_code"] > "b"], list(frame.columns)), [], 3, intervals_per_period=2
    )
    assert fit_hazard(few).effect.max() <= 3

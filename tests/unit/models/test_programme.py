from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import ttest_ind

from tests.unit.models.simulator import MUNICIPALITIES
from tests.unit.models.test_rules import reference
from transforms.errors import DataRefused
from transforms.models.eligibility import eligibility
from transforms.models.followup import (
    FIELDS,
    changes,
    comparable,
    covariance_difference,
    difference_in_differences,
    differing_fields,
    event_study,
    group_means,
    later_than,
    matched_difference,
    synthetic_controls,
)

CODES = reference("areas").query("level == 'municipality'")["code"].tolist()
DEFINITION = {
    "indicator_id": "a", "population_definition": "refugees", "age_from": "18", "age_to": "64",
    "residence_basis": "asylum", "job_definition": "13 weeks", "period_type": "year",
}  # fmt: skip


def test_who_takes_part_and_who_may_apply() -> None:
    out = eligibility(CODES, reference("programmes"), reference("programme_participants"), date(2016, 9, 1))
    assert len(out) == 2 * 98
    table = out.set_index(["programme_id", "municipality_code"])
    assert out.groupby("programme_id")["may_apply"].sum().to_dict() == {"bot_2016": 81, "i_maal_2016": 0}
    assert table.loc["i_maal_2016"]["is_participant"].sum() == 17
    assert table.loc[("bot_2016", "840"), "reason_da"].startswith("Deltagere i »Målrettet")
    assert (
        table.loc["bot_2016"]["is_participant"].isna().all() or not table.loc[("bot_2016", "101"), "is_deadline_passed"]
    )
    assert pd.isna(table.loc[("bot_2016", "101"), "is_participant"])
    after = eligibility(
        ["101", "840"], reference("programmes"), reference("programme_participants"), date(2016, 12, 31)
    )
    late = after[after["programme_id"] == "bot_2016"].set_index("municipality_code")
    assert late.loc["101", "reason_da"] == "Kommunen kunne søge puljen til og med 25.10.2016."
    assert late.loc["101", "reason_en"] == "The municipality was among those who could apply, until 25 Oct 2016."
    assert "kunne ikke søge; fristen var 25.10.2016" in late.loc["840", "reason_da"]
    assert not late["reason_da"].str.contains("kan").any(), "nobody can apply after the deadline"


def test_comparable_names_every_field_that_differs() -> None:
    comparable(DEFINITION, {**DEFINITION, "indicator_id": "b"})
    with pytest.raises(DataRefused, match=r"a and b cannot be compared: age_to: '64' against '66'; job_definition"):
        comparable(DEFINITION, {**DEFINITION, "indicator_id": "b", "age_to": "66", "job_definition": "any"})


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_not_stated_differs(field: str) -> None:
    assert differing_fields({**DEFINITION, field: None}, {**DEFINITION, field: None}) == [field]
    assert differing_fields({**DEFINITION, field: "other"}, DEFINITION) == [field]


def world(
    seed: int, effect: float, correlation: float = 0.0, chosen_on: str = "measured"
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return baseline, later, groups and peers: participants are 17 of the worst fifth, by half luck.

    `correlation`: of the errors of the two dates, as when both count the same persons.
    """
    rng = np.random.default_rng(seed)
    truth = rng.normal(30, 3, 98)
    errors = rng.multivariate_normal([0, 0], [[9, 9 * correlation], [9 * correlation, 9]], 98)
    before = truth + errors[:, 0]
    chosen = rng.choice(np.argsort(before if chosen_on == "measured" else truth)[:20], 17, replace=False)
    group = np.full(98, "other", dtype=object)
    group[chosen] = "participant"
    group[rng.choice(np.flatnonzero(group == "other"), 11, replace=False)] = "sister_pool"
    after = truth + 4 + effect * (group == "participant") + errors[:, 1]
    frame = pd.DataFrame({"municipality_code": MUNICIPALITIES})
    pairs = [
        (a, b, r)
        for a in MUNICIPALITIES
        for r, b in enumerate(rng.choice(MUNICIPALITIES, 7, replace=False), 1)
        if a != b
    ]
    peers = pd.DataFrame(pairs, columns=["municipality_code", "peer_code", "rank"])
    groups = pd.DataFrame({"municipality_code": MUNICIPALITIES, "group": group})
    unit = pd.Series(MUNICIPALITIES, dtype="object").where(group == "participant")
    unit[chosen[:3]] = "joint"
    return frame.assign(value=before), frame.assign(value=after), groups.assign(project_unit=unit), peers


def compare(seed: int, effect: float, correlation: float = 0.0, chosen_on: str = "measured") -> pd.DataFrame:
    before, later, groups, peers = world(seed, effect, correlation, chosen_on)
    out = changes(before, later, (DEFINITION, DEFINITION), groups)
    return difference_in_differences(out, peers).set_index("comparison")


@pytest.mark.long
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_regression_to_the_mean_is_taken_out_whatever_the_dates_share(correlation: float) -> None:
    found = [compare(seed, 0.0, correlation) for seed in range(12)]
    for name, plain in (("same_starting_point", "all_others"), ("matched_beyond_regression", "matched")):
        values = np.array([float(out.loc[name, "difference"]) for out in found])
        assert abs(values.mean()) < 3 * values.std() / 12**0.5  # three Monte Carlo errors
        assert np.mean([float(out.loc[plain, "difference"]) for out in found]) > 0.4
        hits = [out.loc[name, "difference_low"] <= 0 <= out.loc[name, "difference_high"] for out in found]
        assert np.mean(hits) >= 0.75


def test_the_two_comparisons_bracket_a_choice_on_the_lasting_level() -> None:
    found = [compare(seed, 0.0, 0.5, "lasting level") for seed in range(12)]
    plain, adjusted = (
        np.mean([float(out.loc[name, "difference"]) for out in found]) for name in ("all_others", "same_starting_point")
    )
    assert adjusted < -0.8
    assert abs(plain) < 0.5


def test_a_real_difference_is_found_and_the_sister_pool_stays_apart() -> None:
    before, later, groups, peers = world(1, 6.0)
    out = changes(before, later, (DEFINITION, DEFINITION), groups)
    result = difference_in_differences(out, peers).set_index("comparison").loc["same_starting_point"]
    assert 0 < result["difference_low"] <= 6 <= result["difference_high"]
    counts = ["participants_count", "units_count", "others_count", "sister_pool_count"]
    assert result[counts].tolist() == [17, 15, 70, 11]
    assert pd.isna(result["if_sister_pool_alike"])
    means = group_means(out).set_index("group")
    assert means["municipality_count"].to_dict() == {"participant": 17, "sister_pool": 11, "other": 70}
    assert means.loc["participant", "expected_change"] > means.loc["other", "expected_change"] + 1


def test_a_sister_pool_of_unknown_names_is_told_as_a_bound() -> None:
    before, later, groups, peers = world(2, 4.0)
    hidden = groups.assign(group=groups["group"].replace("sister_pool", "other"))
    result = difference_in_differences(changes(before, later, (DEFINITION, DEFINITION), hidden), peers)
    alike = (result["if_sister_pool_alike"] / result["difference"]).astype(float)
    np.testing.assert_allclose(alike, 1 / (1 - 11 / 81))
    assert result["sister_pool_count"].isna().all(), "how many of them have a figure is not known; that is never 0"


def test_municipalities_that_applied_together_are_one_unit() -> None:
    before, later, groups, peers = world(3, 0.0)
    joint = groups.index[groups["project_unit"] == "joint"]
    alone = groups.assign(project_unit=None)
    together = difference_in_differences(changes(before, later, (DEFINITION, DEFINITION), groups), peers)
    apart = difference_in_differences(changes(before, later, (DEFINITION, DEFINITION), alone), peers)
    assert (together["units_count"].iloc[0], apart["units_count"].iloc[0]) == (15, 17)
    # By hand: the joint unit's change is the mean of its three.
    change = (later["value"] - before["value"]).to_numpy()
    participants = (groups["group"] == "participant").to_numpy()
    single = participants & ~np.isin(np.arange(98), joint)
    units = np.append(change[single], change[joint].mean())
    others = change[(groups["group"] == "other").to_numpy()]
    row = together.set_index("comparison").loc["all_others"]
    assert float(row["difference"]) == pytest.approx(units.mean() - others.mean())
    welch = ttest_ind(units, others, equal_var=False).confidence_interval()
    assert (float(row["difference_low"]), float(row["difference_high"])) == pytest.approx((welch.low, welch.high))


def test_analysis_of_covariance_agrees_with_statsmodels() -> None:
    before, later, groups, _ = world(4, 2.0)
    part = groups["group"].isin(["participant", "other"]).to_numpy()
    value, after = before["value"].to_numpy()[part], later["value"].to_numpy()[part]
    treated = (groups["group"] == "participant").to_numpy()[part]
    estimate, error, freedom = covariance_difference(value, after, treated)
    theirs = sm.OLS(after, np.column_stack([np.ones(len(value)), value, treated])).fit(cov_type="HC2")
    assert estimate == pytest.approx(theirs.params[2], abs=1e-9)
    assert error == pytest.approx(theirs.bse[2], abs=1e-9)
    assert 10 < freedom < 40


def test_any_unit_of_outcome_can_be_followed_and_equal_periods_are_refused() -> None:
    before, later, groups, peers = world(5, 0.0)
    weeks = [frame.assign(value=frame["value"] * 4) for frame in (before, later)]
    out = difference_in_differences(changes(*weeks, (DEFINITION, DEFINITION), groups), peers)
    plain = difference_in_differences(changes(before, later, (DEFINITION, DEFINITION), groups), peers)
    np.testing.assert_allclose(out["difference"].astype(float), 4 * plain["difference"].astype(float))
    later_than("2016", "2017")
    for earlier, second in (("2016", "2016"), ("2017", "2016")):
        with pytest.raises(DataRefused, match=f"tells of {earlier} and the later mapping of {second}"):
            later_than(earlier, second)


def yearly(seed: int, effect: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a panel of ten years in which participants gain `effect` after the sixth, and their groups."""
    rng = np.random.default_rng(seed)
    _, _, groups, _ = world(seed, 0.0)
    level, season = rng.normal(30, 3, 98), rng.normal(0, 1, 10)
    treated = (groups["group"] == "participant").to_numpy()
    parts = [
        pd.DataFrame({
            "municipality_code": MUNICIPALITIES, "period": str(2010 + year),
            "value": level + season[year] + effect * (treated & (year > 5)) + rng.normal(0, 0.5, 98),
        })
        for year in range(10)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True), groups


def test_the_event_study_is_nought_before_and_the_effect_after() -> None:
    panel, groups = yearly(6, 3.0)
    study = event_study(panel, groups, "2015").set_index("period")
    before = study[study["is_before"]]
    assert before["difference"].astype(float).abs().max() < 1
    assert (
        (before["difference_low"] < before["difference"]) & (before["difference"] < before["difference_high"])
    ).all()
    after = study.loc["2016":]
    assert after["difference"].astype(float).between(2, 4).all()
    assert study.loc["2015", "difference"] == 0
    assert study["units_count"].eq(15).all()
    assert study["others_count"].eq(70).all()
    assert event_study(panel, groups, "1999").empty


def test_synthetic_controls_find_a_planted_effect_and_not_one_that_is_none() -> None:
    panel, groups = yearly(7, 3.0)
    found = synthetic_controls(panel, groups, "2015", "2019")
    assert len(found) == 15
    assert found["difference"].mean() == pytest.approx(3.0, abs=0.4)
    assert (found["placebo_p"] < 0.1).mean() > 0.8
    none = synthetic_controls(*yearly(8, 0.0), "2015", "2019")
    assert ((none["difference_low"] <= 0) & (none["difference_high"] >= 0)).mean() > 0.7
    assert synthetic_controls(panel, groups, "2011", "2019").empty


def test_different_definitions_are_refused() -> None:
    before, later, groups, _ = world(1, 0)
    with pytest.raises(DataRefused, match="period_type"):
        changes(before, later, (DEFINITION, {**DEFINITION, "period_type": "quarter"}), groups)


def test_unknown_municipalities_get_a_status() -> None:
    before, later, groups, peers = world(1, 0)
    code = groups.loc[groups["group"] == "participant", "municipality_code"].iloc[0]
    before = before[before["municipality_code"] != code]
    later.loc[5, "value"] = np.nan
    out = changes(before, later, (DEFINITION, DEFINITION), groups)
    assert len(out) == 98
    assert out.loc[out["municipality_code"] == code, "value_status"].item() == "missing"
    matched = matched_difference(out, peers).set_index("municipality_code")
    assert matched.loc[code, "value_status"] == "missing"
    assert pd.isna(matched.loc[code, "difference"])
    with pytest.raises(DataRefused, match="at least 10"):
        changes(before.head(3), later, (DEFINITION, DEFINITION), groups)
    with pytest.raises(DataRefused, match="no participant"):
        difference_in_differences(out, peers.iloc[:0])


def test_matched_difference_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "municipality_code": ["a", "b", "c", "d"],
            "group": ["participant", "other", "other", "sister_pool"],
            "change": [10.0, 4, 6, 100],
            "change_beyond_regression": [5.0, 1, 2, 100],
            "value_status": "estimated",
        }
    )
    peers = pd.DataFrame({"municipality_code": "a", "peer_code": ["b", "c", "d"], "rank": [1, 2, 3]})
    row = matched_difference(frame, peers).iloc[0]
    assert (row["peer_change"], row["difference"], row["difference_beyond_regression"], row["peers_used_count"]) == (
        5,
        5,
        3.5,
        2,
    )

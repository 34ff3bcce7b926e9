from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.unit.models.simulator import MUNICIPALITIES
from tests.unit.models.test_rules import reference
from transforms.errors import DataRefused
from transforms.models.eligibility import eligibility, project_units
from transforms.models.followup import (
    FIELDS,
    changes,
    comparable,
    difference_in_differences,
    differing_fields,
    group_means,
    matched_difference,
)

CODES = reference("areas").query("level == 'municipality'")["code"].tolist()
DEFINITION = {
    "indicator_id": "a", "population_definition": "refugees", "age_from": "18", "age_to": "64",
    "residence_basis": "asylum", "job_definition": "13 weeks", "period_type": "year",
}  # fmt: skip


def test_seventeen_municipalities_in_fifteen_units() -> None:
    units = project_units(reference("programme_participants"), "i_maal_2016")
    assert (len(units), units["municipality_count"].sum()) == (15, 17)
    joint = units[units["municipality_count"] > 1]
    assert joint["municipality_codes"].tolist() == ["706 707 730"]


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
    late = eligibility(["101"], reference("programmes"), reference("programme_participants"), date(2016, 12, 31))
    assert "25. oktober 2016" in late.loc[late["programme_id"] == "bot_2016", "reason_da"].item()
    assert "25 October 2016" in late.loc[late["programme_id"] == "bot_2016", "reason_en"].item()


def test_comparable_names_every_field_that_differs() -> None:
    comparable(DEFINITION, {**DEFINITION, "indicator_id": "b"})
    with pytest.raises(DataRefused, match=r"a and b cannot be compared: age_to: '64' against '66'; job_definition"):
        comparable(DEFINITION, {**DEFINITION, "indicator_id": "b", "age_to": "66", "job_definition": "any"})


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_not_stated_differs(field: str) -> None:
    assert differing_fields({**DEFINITION, field: None}, {**DEFINITION, field: None}) == [field]
    assert differing_fields({**DEFINITION, field: "other"}, DEFINITION) == [field]


def world(seed: int, effect: float) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return baseline, later, groups and peers: participants are those measured lowest, by half luck."""
    rng = np.random.default_rng(seed)
    truth, error = rng.normal(30, 3, 98), np.full(98, 3.0)
    before = truth + rng.normal(0, error)
    chosen = np.argsort(before)[:17]
    group = np.full(98, "other", dtype=object)
    group[chosen] = "participant"
    group[rng.choice(np.flatnonzero(group == "other"), 11, replace=False)] = "sister_pool"
    after = truth + 4 + effect * (group == "participant") + rng.normal(0, error)
    frame = pd.DataFrame({"municipality_code": MUNICIPALITIES, "standard_error": error})
    pairs = [
        (a, b, r)
        for a in MUNICIPALITIES
        for r, b in enumerate(rng.choice(MUNICIPALITIES, 7, replace=False), 1)
        if a != b
    ]
    peers = pd.DataFrame(pairs, columns=["municipality_code", "peer_code", "rank"])
    groups = pd.DataFrame({"municipality_code": MUNICIPALITIES, "group": group})
    return frame.assign(value=before), frame.assign(value=after), groups, peers


def compare(seed: int, effect: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    before, later, groups, peers = world(seed, effect)
    out = changes(before, later, (DEFINITION, DEFINITION), groups)
    return out, difference_in_differences(out, peers)


def test_regression_to_the_mean_is_taken_out() -> None:
    raw, beyond, hits = [], [], []
    for seed in range(40):
        _, result = compare(seed, effect=0.0)
        raw.append(result.loc[0, "difference"])
        beyond.append(result.loc[1, "difference"])
        hits.append(result.loc[1, "difference_low"] <= 0 <= result.loc[1, "difference_high"])
    assert np.mean(raw) > 2
    assert abs(np.mean(beyond)) < 0.6
    assert np.mean(hits) >= 0.9


def test_a_real_difference_is_found_and_the_sister_pool_stays_apart() -> None:
    out, result = compare(1, effect=6.0)
    assert result.loc[1, "difference_low"] > 0
    assert result.loc[1, "difference_low"] <= 6 <= result.loc[1, "difference_high"]
    assert result[["participants_count", "others_count", "sister_pool_count"]].iloc[0].tolist() == [17, 70, 11]
    means = group_means(out).set_index("group")
    assert means["municipality_count"].to_dict() == {"participant": 17, "sister_pool": 11, "other": 70}
    assert means.loc["participant", "expected_change"] > 1


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

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.unit.models.simulator import MUNICIPALITIES
from transforms.errors import DataRefused
from transforms.models.peers import find_peers


def long(table: dict[str, dict[str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(table).rename_axis("municipality_code").reset_index()
    return frame.melt("municipality_code", var_name="indicator_id", value_name="value")


def weigh(**weights: float) -> pd.DataFrame:
    return pd.DataFrame({"indicator_id": list(weights), "weight": list(weights.values())})


def world(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return long({c: dict(zip(MUNICIPALITIES, rng.normal(size=98), strict=True)) for c in "abcde"})


def test_distance_and_named_conditions_by_hand() -> None:
    given = long({"a": {"1": 0, "2": 3, "3": 9}, "b": {"1": 5.0, "2": 5, "3": 8}})
    out = find_peers(given, weigh(a=2, b=1), count=2).set_index(["municipality_code", "peer_code"])
    sd_a, sd_b = np.std([0, 3, 9]), np.std([5, 5, 8])
    by_hand = np.sqrt((2 * (9 / sd_a) ** 2 + (3 / sd_b) ** 2) / 3)
    assert out.loc[("1", "3"), "distance"] == pytest.approx(by_hand)
    assert out.loc[("1", "2"), "rank"] == 1
    assert out.loc[("1", "3"), "condition_1"] == "a"
    assert out.loc[("1", "3"), "condition_1_gap"] == pytest.approx(9 / sd_a)
    assert out.loc[("1", "3"), "condition_2_gap"] == pytest.approx(3 / sd_b)
    assert pd.isna(out.loc[("1", "3"), "condition_3"])


def test_seven_each_never_oneself_and_not_symmetric() -> None:
    peers = find_peers(world(), weigh(a=1, b=1, c=1, d=1, e=1))
    assert (peers.groupby("municipality_code").size() == 7).all()
    assert (peers["municipality_code"] != peers["peer_code"]).all()
    pairs = set(zip(peers["municipality_code"], peers["peer_code"], strict=True))
    assert any((b, a) not in pairs for a, b in pairs)
    assert (
        peers.sort_values(["municipality_code", "rank"]).groupby("municipality_code")["distance"].diff().dropna() >= 0
    ).all()


def test_agrees_with_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    given, weights = world(2), weigh(a=3, b=1, c=1, d=0.5, e=2)
    wide = given.pivot(index="municipality_code", columns="indicator_id", values="value")
    scaled = wide / wide.std(ddof=0) * np.sqrt(weights["weight"].to_numpy() / weights["weight"].sum())
    distance, index = NearestNeighbors(n_neighbors=8).fit(scaled).kneighbors(scaled)
    out = find_peers(given, weights)
    first = out[out["municipality_code"] == wide.index[10]].sort_values("rank")
    assert first["peer_code"].tolist() == wide.index[index[10][1:]].tolist()
    np.testing.assert_allclose(first["distance"].to_numpy(np.float64), distance[10][1:])


def test_missing_and_constant_conditions_are_not_used() -> None:
    given = world()
    given.loc[(given["indicator_id"] == "a") & (given["municipality_code"] == MUNICIPALITIES[0]), "value"] = np.nan
    given.loc[given["municipality_code"] == MUNICIPALITIES[1], "value"] = np.nan
    constant = long({"flat": dict.fromkeys(MUNICIPALITIES, 4.0)})
    peers = find_peers(pd.concat([given, constant]), weigh(a=2, b=2, c=2, d=2, e=2, flat=0.25, absent=0.25))
    assert (peers["municipality_code"] == MUNICIPALITIES[0]).sum() == 7
    assert MUNICIPALITIES[1] not in {*peers["municipality_code"], *peers["peer_code"]}
    assert peers["distance"].notna().all()
    assert not peers[["condition_1", "condition_2", "condition_3"]].isin(["flat", "absent"]).any(axis=None)
    own = peers[peers["municipality_code"] == MUNICIPALITIES[0]]
    assert own["compared_weight_share"].tolist() == pytest.approx([8 / 10.5] * 7), "of the weight of all conditions"
    both = peers[~peers[["municipality_code", "peer_code"]].isin(MUNICIPALITIES[:1]).any(axis=1)]
    assert both["compared_weight_share"].to_numpy(np.float64) == pytest.approx(10 / 10.5)


@pytest.mark.parametrize(("absent", "peers"), [(1.6, 98 * 7), (1.7, 0), (12.0, 0)])
def test_conditions_nobody_knows_count_in_the_weight(absent: float, peers: int) -> None:
    """Five conditions of weight 1 are three quarters of 6.66: beyond that there are no peers for anybody."""
    assert len(find_peers(world(), weigh(a=1, b=1, c=1, d=1, e=1, absent=absent))) == peers


def test_overlap_with_official_groups() -> None:
    groups = pd.DataFrame({"municipality_code": MUNICIPALITIES[:-1], "municipality_group": (["910", "920"] * 49)[:97]})
    peers = find_peers(world(), weigh(a=1, b=1, c=1), groups)
    last = peers["peer_code"] == MUNICIPALITIES[-1]
    assert peers.loc[last, "same_group"].isna().all()
    row = peers[~last & (peers["municipality_code"] == MUNICIPALITIES[0])].iloc[0]
    assert row["same_group"] == (MUNICIPALITIES.index(row["peer_code"]) % 2 == 0)


def test_nothing_that_varies_is_refused() -> None:
    with pytest.raises(DataRefused, match="no condition varies"):
        find_peers(long({"flat": {"1": 1.0, "2": 1.0}}), weigh(flat=1))


def test_what_is_known_for_both_counts_and_is_named_by_its_weight() -> None:
    """Weights below one; 2 lacks b, so that only a and c, of weight 0.3 in 0.4, are compared with it."""
    given = long({"a": {"1": 0.0, "2": 1, "3": 5}, "b": {"1": 0.0, "3": 7}, "c": {"1": 0.0, "2": -2, "3": 1},
                  "d": {"1": 1.0, "2": 1, "3": 2}})  # fmt: skip
    out = find_peers(given, weigh(a=0.1, b=0.05, c=0.2, d=0.05), min_weight_share=0.8)
    table = out.set_index(["municipality_code", "peer_code"])
    sd = {name: np.std(part["value"].dropna()) for name, part in given.groupby("indicator_id")}
    by_hand = np.sqrt((0.1 * (1 / sd["a"]) ** 2 + 0.2 * (2 / sd["c"]) ** 2) / 0.35)
    assert table.loc[("1", "2"), "distance"] == pytest.approx(by_hand)
    assert table.loc[("1", "2"), "compared_weight_share"] == pytest.approx(0.35 / 0.4)
    assert table.loc[("1", "2"), ["condition_1", "condition_2", "condition_3"]].tolist() == ["c", "a", "d"]
    assert table.loc[("1", "2"), ["condition_1_gap", "condition_2_gap", "condition_3_gap"]].tolist() == [
        pytest.approx(-2 / sd["c"]), pytest.approx(1 / sd["a"]), 0
    ]  # fmt: skip
    assert "condition_4" not in out


def test_a_condition_known_of_two_is_used_and_one_of_one_is_missing() -> None:
    """What differs by less than a billionth is rounding; equal distances go to the lowest code."""
    given = long({"a": {"1": 0.0, "2": 1, "3": 1}, "two": {"1": 0.0, "2": 1}, "one": {"1": 2.0},
                  "near": {"1": 0.0, "2": 3e-9, "3": 0}, "nearer": {"1": 0.0, "2": 1e-9, "3": 0},
                  "large": {"1": 1e9, "2": 1e9 + 1, "3": 1e9}, "none": {"1": 5.0, "2": -5, "3": 1}})  # fmt: skip
    weights = weigh(a=1, two=0.1, one=0.1, near=0.1, nearer=0.1, large=0.1, none=0)
    found = find_peers(given, weights, min_weight_share=0.7).set_index(["municipality_code", "peer_code"])
    assert found["compared_weight_share"][[("1", "2"), ("2", "1")]].tolist() == pytest.approx([1.2 / 1.5] * 2), (
        "a, two and near are used; one, nearer and large are not"
    )
    assert found["compared_weight_share"][[("1", "3"), ("2", "3")]].tolist() == pytest.approx([1.1 / 1.5] * 2)
    tied = find_peers(long({"a": {"1": 0.0, "2": 1, "3": 1}}), weigh(a=1), count=1)
    assert tied.set_index("municipality_code")["peer_code"].to_dict() == {"1": "2", "2": "3", "3": "2"}


def test_shared_groups_are_told_of_both_known() -> None:
    groups = pd.DataFrame({"municipality_code": ["1", "2"], "municipality_group": ["910", "910"]})
    found = find_peers(long({"a": {"1": 0.0, "2": 1, "3": 5}}), weigh(a=1), groups)
    same = found.set_index(["municipality_code", "peer_code"])["same_group"]
    assert same[[("1", "2"), ("2", "1")]].tolist() == [True, True]
    assert same[[("1", "3"), ("3", "1"), ("3", "2")]].isna().all()

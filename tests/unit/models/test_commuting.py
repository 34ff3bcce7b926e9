from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from transforms.errors import DataRefused
from transforms.models.commuting import (
    _relative_flow,
    area_conditions,
    average_flows,
    commuting_areas,
    reach_conditions,
)


def flows(pairs: dict[tuple[str, str], float], years: tuple[int, ...] = (2014, 2015, 2016)) -> pd.DataFrame:
    rows = [(home, work, year, count) for (home, work), count in pairs.items() for year in years]
    return pd.DataFrame(rows, columns=["home_code", "work_code", "year", "employed_count"])


TOWN = {
    ("A", "A"): 40_000.0, ("B", "B"): 5_000.0, ("B", "A"): 9_000.0, ("A", "B"): 1_000.0,
    ("C", "C"): 30_000.0, ("D", "D"): 3_000.0, ("D", "C"): 6_000.0, ("D", "A"): 500.0, ("A", "950"): 800.0,
}  # fmt: skip


def test_suburbs_join_their_town_and_abroad_stays_out() -> None:
    out = commuting_areas(flows(TOWN), ["A", "B", "C", "D"], 2016).set_index("municipality_code")
    assert out["commuting_area_code"].to_dict() == {"A": "A", "B": "A", "C": "C", "D": "C"}
    assert out["commuting_area_size"].tolist() == [2, 2, 2, 2]
    # Area A+B: 55,000 residents at work, all inside; 500 of its 55,500 jobs are held from D.
    assert out.loc["A", "self_containment_share"] == pytest.approx(55_000 / 55_500)
    assert out.loc["B", "employed_count"] == 55_000
    assert not out["is_cut_off"].any()


def test_order_of_input_does_not_matter_and_ties_go_to_the_lowest_code() -> None:
    tied = {(a, b): 1_000.0 for a in "ABC" for b in "ABC"}
    one = commuting_areas(flows(tied), ["A", "B", "C"], 2016, min_employed=5_000, self_containment=0.5)
    two = commuting_areas(flows(tied).iloc[::-1], ["C", "A", "B"], 2016, min_employed=5_000, self_containment=0.5)
    pd.testing.assert_frame_equal(one, two)
    assert one["commuting_area_code"].tolist() == ["A", "A", "C"] or one["commuting_area_size"].tolist() == [3, 3, 3]


def test_cut_off_island_stays_alone_and_says_so() -> None:
    pairs = TOWN | {("E", "E"): 300.0}
    out = commuting_areas(flows(pairs), ["A", "B", "C", "D", "E", "F"], 2016).set_index("municipality_code")
    assert out.loc["E", ["commuting_area_code", "is_cut_off", "value_status"]].tolist() == ["E", True, "estimated"]
    assert out.loc["F", ["commuting_area_code", "value_status"]].tolist() == ["F", "missing"]
    assert pd.isna(out.loc["F", "self_containment_share"])


def test_flows_are_averaged_over_present_years_only() -> None:
    frame = flows({("A", "A"): 10.0}, (2014, 2016))
    frame.loc[frame["year"] == 2016, "employed_count"] = 20
    assert average_flows(frame, ["A"], 2016)[0, 0] == 15
    with pytest.raises(DataRefused, match="2001-2003"):
        average_flows(frame, ["A"], 2003)


def test_two_years_of_a_noisy_gravity_world_give_nearly_the_same_areas() -> None:
    rng = np.random.default_rng(7)
    place, size = rng.uniform(0, 300, (98, 2)), np.exp(rng.normal(10, 0.8, 98))
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    pull = size[None, :] * np.exp(-distance / 12)
    np.fill_diagonal(pull, np.diag(pull) * 3)
    mean = size[:, None] * pull / pull.sum(axis=1, keepdims=True)
    codes = [f"{100 + i}" for i in range(98)]
    results = []
    for year in (2016, 2017):
        drawn = rng.poisson(mean).astype(float)
        pairs = {(codes[i], codes[j]): drawn[i, j] for i in range(98) for j in range(98)}
        results.append(commuting_areas(flows(pairs, (year,)), codes, year))
    assert 10 <= results[0]["commuting_area_code"].nunique() <= 60
    # Hubert and Arabie (1985): 1 = the same division.
    assert adjusted_rand_score(*(found["commuting_area_code"] for found in results)) > 0.8
    big = results[0].loc[~results[0]["is_cut_off"]]
    assert (big["self_containment_share"] >= 0.70).all()
    assert (big["employed_count"] >= 20_000).all()


def test_area_conditions_sum_parts_and_never_guess_one() -> None:
    areas = pd.DataFrame({"municipality_code": ["A", "B", "C"], "commuting_area_code": ["A", "A", "C"]})
    given = pd.DataFrame(
        {
            "municipality_code": ["A", "B", "C", "A"],
            "indicator_id": ["x", "x", "x", "y"],
            "period": "2016",
            "numerator": [10.0, 1, 3, 5],
            "denominator": [100.0, 50, 0, 10],
        }
    )
    out = area_conditions(given, areas).set_index(["municipality_code", "indicator_id"])
    assert out.loc[("B", "x"), "value"] == pytest.approx(11 / 150)
    assert out.loc[("B", "x"), "denominator"] == 150
    assert out.loc[("C", "x"), "denominator"] is pd.NA
    assert out.loc[("C", "x"), "value_status"] == "missing"
    assert out.loc[("A", "y"), ["value_status", "covered_share"]].tolist() == ["missing", 0.5]
    assert out.loc[("A", "y"), "value"] is pd.NA


def test_the_labour_market_within_reach_is_the_mean_where_residents_work() -> None:
    rows = [(c, y, v) for y in (2015, 2016) for c, v in zip("ABCDE", (10.0, 4.0, 6.0, np.nan, 7.0), strict=True)]
    conditions = pd.DataFrame(rows, columns=["municipality_code", "year", "unemployed_pct"])
    conditions.loc[conditions["year"] == 2016, "unemployed_pct"] += 1
    out = reach_conditions(conditions, flows(TOWN)).set_index(["municipality_code", "year"])["unemployed_pct"]
    # Of B's 14,000 at work 9,000 work in A; those abroad (950) are left out; E has no flows and its own value.
    assert out["B", 2015] == pytest.approx((9_000 * 10 + 5_000 * 4) / 14_000)
    assert out["B", 2016] == pytest.approx(out["B", 2015] + 1)
    assert out["A", 2015] == pytest.approx((40_000 * 10 + 1_000 * 4) / 41_000)
    assert out["E", 2015] == 7.0
    # Of D's workplaces 3,000 of 9,500 are in D, whose value is not known: too few are left.
    assert np.isnan(out["D", 2015])
    few = conditions.assign(unemployed_pct=[1.0, 1, np.nan, 1, 1] * 2)
    kept = reach_conditions(few, flows({("A", "A"): 900.0, ("A", "C"): 100.0}))
    assert kept.set_index("municipality_code").loc["A", "unemployed_pct"].tolist() == [1.0, 1.0]


def test_without_flows_everybody_meets_the_own_labour_market() -> None:
    conditions = pd.DataFrame({"municipality_code": ["A", "B"], "year": 2016, "x": [1.0, 2.0]})
    pd.testing.assert_frame_equal(reach_conditions(conditions, flows({})), conditions, check_dtype=False)


@pytest.mark.parametrize(("share", "employed", "passes"),
                         [(0.70, 20_000, True), (0.69, 20_000, False), (0.70, 19_999, False)])  # fmt: skip
@pytest.mark.parametrize("outward", [True, False])
def test_an_area_of_its_own_keeps_seventy_per_cent_and_employs_twenty_thousand(
    share: float, employed: float, passes: bool, outward: bool
) -> None:
    """Of residents who work there as well as of jobs held by residents: the smaller counts."""
    stay = share * employed
    other = ("T", "A") if outward else ("A", "T")
    pairs = {("T", "T"): stay, other: employed - stay, ("A", "A"): 90_000.0}
    if not outward:  # as many at work in T, some of them from A
        pairs |= {("T", "A"): employed - stay, other: employed - stay}
    out = commuting_areas(flows(pairs), ["A", "T"], 2016).set_index("municipality_code")
    assert out["commuting_area_size"].tolist() == ([1, 1] if passes else [2, 2])


def test_flows_of_three_years_count_and_no_others() -> None:
    frame = pd.concat([flows({("A", "A"): 10.0 * y}, (2010 + y,)) for y in range(1, 6)])
    assert average_flows(frame, ["A"], 2014)[0, 0] == (20 + 30 + 40) / 3
    apart = flows({("A", "A"): 4.0, ("A", "950"): 3.0, ("950", "A"): 3.0, ("B", "B"): 1.0})
    assert average_flows(apart, ["A", "B"], 2016).tolist() == [[4, 0], [0, 1]]


def test_the_weakest_joins_whom_it_has_most_to_do_with_relative_to_both() -> None:
    """S sends as many to B as to A, and A is far larger: relative to the jobs there, B is nearer.

    By hand: 4,000^2 / (9,000 x 54,000) of A against 4,000^2 / (9,000 x 34,000) of B, to which B's way back adds.
    """
    pairs = {("A", "A"): 50_000.0, ("B", "B"): 30_000.0, ("S", "S"): 1_000.0, ("S", "A"): 4_000.0, ("S", "B"): 4_000.0}
    out = commuting_areas(flows(pairs), ["A", "B", "S"], 2016).set_index("municipality_code")
    assert out["commuting_area_code"].to_dict() == {"A": "A", "B": "B", "S": "B"}
    back = pairs | {("A", "S"): 6_000.0}
    again = commuting_areas(flows(back), ["A", "B", "S"], 2016).set_index("municipality_code")
    assert again.loc["S", "commuting_area_code"] == "A"


@pytest.mark.parametrize("unit", [1, 1e-6])
@pytest.mark.parametrize(("jobs", "partner"), [(60_000.0, "B"), (45_000.0, "A")])
def test_flows_count_by_their_square(jobs: float, partner: str, unit: float) -> None:
    """4,000 go to A and 3,000 to B, where 30,000 work: the square, 16 to 9, outweighs half as many jobs more in A.

    Twice as many it does not, as a third power would; and of the plain numbers, 4 to 3, neither would be outweighed.
    """
    pairs = {
        ("A", "A"): jobs - 4_000,
        ("B", "B"): 27_000.0,
        ("S", "S"): 1_000.0,
        ("S", "A"): 4_000.0,
        ("S", "B"): 3_000.0,
    }
    for way in (slice(None), slice(None, None, -1)):  # to work in S it is the same
        counts = {pair[way]: unit * count for pair, count in pairs.items()}
        out = commuting_areas(flows(counts), ["A", "B", "S"], 2016, min_employed=20_000 * unit)
        assert out.set_index("municipality_code").loc["S", "commuting_area_code"] == partner


def test_the_area_that_fails_most_goes_first_and_others_follow() -> None:
    """A chain: C, the smallest, joins B, and both together still have too few and join A; D passes alone."""
    pairs = {("A", "A"): 30_000.0, ("B", "B"): 9_000.0, ("B", "A"): 2_000.0, ("C", "C"): 4_000.0, ("C", "B"): 1_500.0,
             ("C", "D"): 1_000.0, ("D", "D"): 40_000.0, ("D", "A"): 500.0}  # fmt: skip
    out = commuting_areas(flows(pairs), list("ABCD"), 2016).set_index("municipality_code")
    assert out["commuting_area_code"].to_dict() == {"A": "A", "B": "A", "C": "A", "D": "D"}
    assert out["commuting_area_size"].to_dict() == {"A": 3, "B": 3, "C": 3, "D": 1}
    # 46,500 live there and work: 45,500 of them inside; 46,000... jobs, 500 held from D.
    assert out.loc["C", "self_containment_share"] == pytest.approx(46_500 / 47_500)
    assert out.loc["D", "self_containment_share"] == pytest.approx(40_000 / 41_000)
    assert out["employed_count"].to_dict() == {"A": 47_500, "B": 47_500, "C": 47_500, "D": 40_500}


def test_a_cut_off_area_is_reached_when_another_merges_with_it() -> None:
    """Nobody but the centre's code follows jobs: the member with most jobs, the lowest code where two have as many."""
    pairs = {("X", "X"): 12_000.0, ("Y", "Y"): 12_000.0, ("X", "Y"): 100.0, ("Y", "X"): 100.0, ("Z", "Z"): 50_000.0}
    out = commuting_areas(flows(pairs), list("XYZ"), 2016).set_index("municipality_code")
    assert out["commuting_area_code"].to_dict() == {"X": "X", "Y": "X", "Z": "Z"}
    more = commuting_areas(flows(pairs | {("X", "Y"): 101.0}), list("XYZ"), 2016).set_index("municipality_code")
    assert more["commuting_area_code"].to_dict() == {"X": "Y", "Y": "Y", "Z": "Z"}
    assert not out["is_cut_off"].any()


def test_a_place_with_jobs_alone_is_seen_and_keeps_no_residents() -> None:
    out = commuting_areas(flows({("A", "A"): 50_000.0, ("A", "J"): 30.0}), ["A", "J", "N"], 2016)
    told = out.set_index("municipality_code")
    assert told["commuting_area_code"].to_dict() == {"A": "A", "J": "A", "N": "N"}
    assert told["value_status"].to_dict() == {"A": "estimated", "J": "estimated", "N": "missing"}
    assert told["employed_count"].astype(object).where(told["employed_count"].notna(), None).tolist() == [
        50_030
    ] * 2 + [None]


def test_four_fifths_of_the_jobs_must_be_known() -> None:
    rows = pd.DataFrame({"municipality_code": ["A", "B"], "year": 2016, "x": [10.0, np.nan]})
    for inside, known in ((800.0, True), (799.0, False)):
        out = reach_conditions(rows, flows({("A", "A"): inside, ("A", "B"): 1000 - inside}))["x"]
        assert np.isfinite(out[0]) == known
        assert np.isnan(out[1])
    assert reach_conditions(rows, flows({("A", "A"): 900.0, ("A", "B"): 100.0}))["x"][0] == pytest.approx(10)
    assert reach_conditions(rows.iloc[:0], flows({})).empty


def test_areas_do_not_hang_on_the_unit_that_people_are_counted_in() -> None:
    pairs = TOWN | {("E", "E"): 300.0}
    whole = commuting_areas(flows(pairs), list("ABCDE"), 2016)
    millions = {pair: count / 1e6 for pair, count in pairs.items()}
    same = commuting_areas(flows(millions), list("ABCDE"), 2016, min_employed=0.02)
    for column in ("commuting_area_code", "self_containment_share", "is_cut_off"):
        pd.testing.assert_series_equal(whole[column], same[column])


def test_a_relative_flow_is_held_against_who_leaves_and_who_comes() -> None:
    flow = np.array([[50.0, 8.0, 2.0], [1.0, 30.0, 9.0], [4.0, 0.0, 16.0]])
    leaves, comes = [60.0, 40.0, 20.0], [55.0, 38.0, 27.0]
    relative = _relative_flow(flow)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        by_hand = flow[i, j] ** 2 / (leaves[i] * comes[j]) + flow[j, i] ** 2 / (leaves[j] * comes[i])
        assert relative[i, j] == relative[j, i] == pytest.approx(by_hand, rel=1e-12)
    assert np.isneginf(np.diag(relative)).all()

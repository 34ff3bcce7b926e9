from __future__ import annotations

import pandas as pd
import pytest

from tests.unit.models.test_rules import reference
from transforms.errors import DataRefused
from transforms.models.industries import (
    classification_of,
    expected_absorption,
    jobs_in_reach,
    match_industries,
    national_absorption,
    openings_in_reach,
    placement_to_job,
    present_use,
    sum_to_level,
    to_level,
)

CROSSWALK = reference("industry_crosswalk")
LISTS = reference("codelists")
AREAS = pd.DataFrame({"municipality_code": ["101", "147", "151"], "commuting_area_code": ["101", "101", "151"]})
NAMES = pd.DataFrame({"industry_code": ["2", "4", "11"], "text_da": ["Industri", "Handel", "Uoplyst"],
                      "text_en": ["Manufacturing", "Trade", "Unknown"]})  # fmt: skip


def jobs() -> pd.DataFrame:
    rows = [
        (code, industry, year, count * (1.1 if year == 2016 else 1.0))
        for code, counts in {"101": (100.0, 900.0, 50.0), "147": (300.0, 100.0, 50.0), "151": (10.0, 10.0, 0.0)}.items()
        for industry, count in zip(("2", "4", "11"), counts, strict=True)
        for year in (2013, 2016)
    ]
    return pd.DataFrame(rows, columns=["municipality_code", "industry_code", "year", "jobs_count"])


def absorption() -> pd.DataFrame:
    return national_absorption(
        pd.DataFrame(
            {"industry_code": ["2", "4", "11"], "employed_count": [1000, 1000, 10], "non_western_count": [200, 100, 3]}
        ),
        20,
    )


def test_crosswalk_covers_the_publishers_lists() -> None:
    for level, codelist in (("db07_37_code", "db07_37"), ("db07_10_code", "db07_10")):
        published = LISTS.loc[(LISTS["codelist"] == codelist) & (LISTS["kind"] == "leaf"), "code"]
        assert set(CROSSWALK[level]) == set(published)
    assert CROSSWALK["db07_19_code"].nunique() == 20
    assert CROSSWALK["division_code"].is_unique
    for finer, coarser in (("db07_37_code", "db07_19_code"), ("db07_19_code", "db07_10_code")):
        assert (CROSSWALK.groupby(finer)[coarser].nunique() == 1).all()


def test_mapping_by_the_first_two_digits_and_only_upwards() -> None:
    six = pd.Series(["011100", "11100", "561010", "811000"])
    assert to_level(six, "db07_6", "db07_37_code", CROSSWALK).tolist() == ["A", "A", "I", "N"]
    assert to_level(pd.Series(["01000", "56000"]), "db07_127", "db07_10_code", CROSSWALK).tolist() == ["1", "4"]
    assert to_level(pd.Series(["CA", "X"]), "db07_37_code", "db07_19_code", CROSSWALK).tolist() == ["C", "X"]
    with pytest.raises(DataRefused, match="cannot be split"):
        to_level(pd.Series(["C"]), "db07_19_code", "db07_37_code", CROSSWALK)
    with pytest.raises(DataRefused, match="'04' is not a code"):
        to_level(pd.Series(["040000"]), "db07_6", "db07_37_code", CROSSWALK)


@pytest.mark.parametrize("codes", [["C", "CA"], ["A", "1"], ["TOT", "1"], ["A", "C", "QA"]])
def test_mixed_groupings_are_refused(codes: list[str]) -> None:
    with pytest.raises(DataRefused, match="one grouping per column"):
        classification_of(pd.Series(codes), CROSSWALK)


def test_sums_keep_an_unknown_part_unknown() -> None:
    frame = pd.DataFrame({"industry_code": ["CA", "CB", "F"], "jobs": [1.0, None, 5.0]})
    out = sum_to_level(frame, ["jobs"], [], "db07_19_code", CROSSWALK).set_index("industry_code")["jobs"]
    assert pd.isna(out["C"])
    assert out["F"] == 5


def test_jobs_in_reach_and_growth_by_hand() -> None:
    out = jobs_in_reach(jobs(), AREAS, 2016).set_index(["municipality_code", "industry_code"])
    assert out.loc[("147", "2"), "jobs_in_reach_count"] == pytest.approx(440)
    assert out.loc[("147", "2"), "jobs_growth_pct"] == pytest.approx(10)
    missing = jobs_in_reach(jobs().query("year == 2016"), AREAS, 2016)
    assert missing["jobs_growth_pct"].isna().all()
    cut = jobs_in_reach(jobs().query("municipality_code != '147'"), AREAS, 2016).set_index("municipality_code")
    assert cut.loc["101", "jobs_in_reach_count"].isna().all()
    assert cut.loc["151", "jobs_in_reach_count"].notna().all()


def test_match_scores_by_hand_and_says_what_is_missing() -> None:
    reach = jobs_in_reach(jobs(), AREAS, 2016)
    out = match_industries(reach, absorption(), NAMES).set_index(["municipality_code", "industry_code"])
    # Shares of the jobs in reach: 440 and 1,100 of 1,540; in the country (every reach) 891 and 2,211 of 3,102.
    quotient = {"2": (440 / 1540) / (891 / 3102), "4": (1100 / 1540) / (2211 / 3102)}
    relative = quotient["4"] * 10**0.5 / (quotient["2"] * 20**0.5)
    assert out.loc[("101", "4"), "score"] == pytest.approx(100 * relative)
    assert out.loc[("101", "2"), ["score", "score_rank"]].tolist() == [100, 1]
    assert out.loc[("101", "11"), "value_status"] == "missing"
    assert pd.isna(out.loc[("101", "11"), "score"])
    assert out.loc[("101", "11"), "reason_da"] == "Uoplyst: matchet kan ikke skønnes."
    assert out.loc[("101", "11"), "reason_en"] == "Unknown: cannot be estimated."
    assert (out["openings_status"] == "missing").all()
    unknown = ["openings_count", "shortage_class", "placement_to_job_pct", "present_use_pct"]
    assert [str(out[name].dtype) for name in unknown] == ["Float64", "string", "Float64", "Float64"]
    assert out["is_estimated"].all()
    assert out.loc[("101", "4"), "reason_da"] == (
        "Handel: 1.100 job inden for rækkevidde; ændring +10,0 pct. over 3 år; 10,0 pct. af branchens beskæftigede på "
        "landsplan er ikke-vestlige indvandrere; antallet af ledige stillinger kendes ikke."
    )


def test_match_uses_openings_placements_and_present_use_when_known() -> None:
    reach = jobs_in_reach(jobs(), AREAS, 2016).query("industry_code != '11'")
    to_job = placement_to_job(
        pd.DataFrame({"industry_code": ["2", "4"], "placements_count": [100, 100], "followed_by_job_count": [40, 10]}),
        15,
    )
    use = present_use(
        pd.DataFrame({"municipality_code": "101", "industry_code": ["2", "4"], "placements_count": [30, 10]}), 15
    )
    keys = [(m, b) for m in AREAS["municipality_code"] for b in ("2", "4")]
    openings = pd.DataFrame(keys, columns=["municipality_code", "industry_code"]).assign(openings_count=[5.0, 10] * 3)
    out = match_industries(reach, absorption(), NAMES, openings=openings, to_job=to_job, use=use)
    table = out.set_index(["municipality_code", "industry_code"])
    # Quotient, absorption, openings per job, placements that led to a job, and room.
    two = (440 / 1540) / (891 / 3102) * 20**0.5 * (5 / 440) * 40**0.5 * (1 - 0.75)
    four = (1100 / 1540) / (2211 / 3102) * 10**0.5 * (10 / 1100) * 10**0.5 * (1 - 0.25)
    assert table.loc[("101", "4"), "score"] == pytest.approx(100 * four / two)
    assert (
        table.loc[("101", "2"), "score_factors"]
        == "jobs_in_reach_count absorption_pct openings_count placement_to_job_pct present_use_pct"
    )
    assert table.loc[("147", "2"), "score_factors"] == (
        "jobs_in_reach_count absorption_pct openings_count placement_to_job_pct"
    )
    assert table.loc[("147", "2"), "present_use_status"] == "missing"


def planted() -> pd.DataFrame:
    """Openings posted: 40 and 5 in trade, a withheld part in manufacturing, none and an absent part elsewhere."""
    rows = [
        ("101", "4", 40.0, "observed"), ("147", "4", 5.0, "observed"), ("101", "2", 60.0, "observed"),
        ("147", "2", None, "suppressed"), ("101", "11", 3.0, "observed"), ("151", "2", 8.0, "observed"),
        ("151", "4", 0.0, "zero"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["municipality_code", "industry_code", "openings_posted_count", "value_status"])


def test_openings_in_reach_are_the_sum_of_the_commuting_area_or_not_told() -> None:
    out = openings_in_reach(planted(), AREAS).set_index(["municipality_code", "industry_code"])
    assert out.loc[("101", "4")].tolist() == out.loc[("147", "4")].tolist() == [45.0, "observed"]
    assert out.loc[("147", "2"), "openings_status"] == "suppressed"
    assert out.loc[("101", "11"), "openings_status"] == "missing"
    assert out.loc[[("147", "2"), ("101", "11")], "openings_count"].isna().all()
    assert out.loc[("151", "4")].tolist() == [0.0, "zero"]


def test_match_tells_openings_and_shortage_with_their_status() -> None:
    reach = jobs_in_reach(jobs(), AREAS, 2016).query("industry_code != '11'")
    shortage = pd.DataFrame(
        {"municipality_code": ["151"], "industry_code": ["2"], "shortage_class": ["Mangel på arbejdskraft"]}
    )
    posted = openings_in_reach(planted(), AREAS)
    out = match_industries(reach, absorption(), NAMES, openings=posted, shortage=shortage)
    table = out.set_index(["municipality_code", "industry_code"])
    # 8 openings against none; a withheld part leaves that industry to its jobs, and the other its openings.
    assert table.loc[("151", "2"), "score"] == 100.0
    assert table.loc[("151", "2"), "score_factors"] == "jobs_in_reach_count absorption_pct openings_count"
    assert table.loc[("151", "4"), "score"] == 0
    assert table.loc[("147", "2"), "score_factors"] == "jobs_in_reach_count absorption_pct"
    assert table.loc[("147", "4"), "score_factors"] == "jobs_in_reach_count absorption_pct openings_count"
    assert table["openings_status"].to_dict() == {
        ("101", "2"): "suppressed", ("101", "4"): "observed", ("147", "2"): "suppressed", ("147", "4"): "observed",
        ("151", "2"): "observed", ("151", "4"): "zero",
    }  # fmt: skip
    assert table.loc[("151", "2"), "shortage_class_status"] == "observed"
    assert (table["shortage_class_status"] == "missing").sum() == 5
    told = [table.loc[key, "reason_da"] for key in (("151", "2"), ("151", "4"), ("101", "2"))]
    for text, part in zip(told, (
        "8 nye stillinger slået op inden for rækkevidde de seneste tolv måneder; "
        "Arbejdsmarkedsbalancen: Mangel på arbejdskraft.",
        "ingen nye stillinger slået op inden for rækkevidde de seneste tolv måneder.",
        "antallet af nye stillinger kan ikke opgøres, fordi kilden ikke viser små tal.",
    ), strict=True):  # fmt: skip
        assert text.endswith(part)
    assert "8 new openings posted within reach in the latest twelve months" in table.loc[("151", "2"), "reason_en"]


def test_small_denominators_give_no_rate() -> None:
    assert absorption()["absorption_pct"].isna().tolist() == [False, False, True]
    few = placement_to_job(
        pd.DataFrame({"industry_code": ["2"], "placements_count": [19], "followed_by_job_count": [9]}), 15
    )
    assert few["placement_to_job_pct"].isna().all()
    use = present_use(pd.DataFrame({"municipality_code": "101", "industry_code": ["2"], "placements_count": [3]}), 15)
    assert use["present_use_pct"].isna().all()


def test_shares_of_placements_need_as_many_persons_as_the_settings_ask() -> None:
    local = pd.DataFrame({"municipality_code": "101", "industry_code": ["2", "4"], "placements_count": [30.0, 15.0]})
    whole = pd.DataFrame({"industry_code": ["2"], "placements_count": [45.0], "followed_by_job_count": [20.0]})
    for least, told in ((15, True), (45, True), (46, False)):
        assert present_use(local, least)["present_use_pct"].notna().all() == told
        assert placement_to_job(whole, least)["placement_to_job_pct"].notna().all() == told


def test_expected_absorption_by_hand_from_a_finer_grouping() -> None:
    reach = jobs_in_reach(jobs(), AREAS, 2016)
    ras308 = pd.DataFrame(
        {"industry_code": ["CA", "CB", "G"], "employed_count": [600, 400, 1000], "non_western_count": [180, 20, 100]}
    )
    observed = pd.DataFrame({"municipality_code": ["101", "147"], "non_western_employment_pct": [10.0, 15.0]})
    out = expected_absorption(reach, ras308, observed, CROSSWALK, 20).set_index("municipality_code")
    assert out.loc["101", "expected_absorption_pct"] == pytest.approx((440 * 20 + 1100 * 10) / 1540)
    assert out.loc["101", "absorption_gap_pct_points"] == pytest.approx(10 - (440 * 20 + 1100 * 10) / 1540)
    assert out.loc["151", "value_status"] == "missing"
    assert out["is_estimated"].all()
    short = expected_absorption(reach, ras308.iloc[:2], observed, CROSSWALK, 20)
    assert short["expected_absorption_pct"].isna().all()


def test_lists_differ_where_labour_markets_differ_and_small_industries_are_not_ranked() -> None:
    areas = pd.DataFrame({"municipality_code": ["101", "147"], "commuting_area_code": ["101", "147"]})
    rows = [
        ("101", "2", 2000.0), ("101", "4", 6000.0), ("101", "9", 1990.0), ("101", "1", 10.0),
        ("147", "2", 5000.0), ("147", "4", 4000.0), ("147", "9", 500.0), ("147", "1", 500.0),
    ]  # fmt: skip
    jobs = pd.DataFrame(rows, columns=["municipality_code", "industry_code", "jobs_count"]).assign(year=2016)
    names = pd.DataFrame({"industry_code": ["1", "2", "4", "9"], "text_da": list("abcd"), "text_en": list("abcd")})
    equal = pd.DataFrame({"industry_code": ["1", "2", "4", "9"], "absorption_pct": 10.0}).astype(
        {"absorption_pct": "Float64"}
    )
    out = match_industries(jobs_in_reach(jobs, areas, 2016), equal, names)
    best = out[out["score_rank"] == 1].set_index("municipality_code")["industry_code"].to_dict()
    assert best == {"101": "9", "147": "1"}
    tiny = out.set_index(["municipality_code", "industry_code"]).loc[("101", "1")]
    assert pd.isna(tiny["score_rank"])
    assert tiny["score"] > 0


def test_sums_go_from_any_grouping_to_a_coarser_one() -> None:
    """Letters that 19 and 37 groups share need no splitting; C does."""

    def summed(codes: list[str], target: str) -> dict[str, float]:
        frame = pd.DataFrame({"industry_code": codes, "jobs": 1.0})
        return sum_to_level(frame, ["jobs"], [], target, CROSSWALK).set_index("industry_code")["jobs"].to_dict()

    assert summed(["A", "F", "G"], "db07_37_code") == {"A": 1, "F": 1, "G": 1}
    assert summed(["A", "C", "G", "I"], "db07_10_code") == {"1": 1, "2": 1, "4": 2}
    assert summed(["CA", "CB", "F"], "db07_19_code") == {"C": 2, "F": 1}
    with pytest.raises(DataRefused, match="cannot be split"):
        summed(["A", "C"], "db07_37_code")


def reach_of(rows: list[tuple[str, str, float | None]]) -> pd.DataFrame:
    columns = ["municipality_code", "industry_code", "jobs_in_reach_count"]
    out = pd.DataFrame(rows, columns=columns).astype({"jobs_in_reach_count": "Float64"})
    return out.assign(jobs_growth_pct=pd.array([pd.NA] * len(out), dtype="Float64"))


def names_of(codes: str) -> pd.DataFrame:
    return pd.DataFrame({"industry_code": list(codes), "text_da": list(codes), "text_en": list(codes)})


def test_a_factor_that_is_known_of_some_industries_is_relative_to_their_mean_by_jobs() -> None:
    """Openings are known of A and B alone: 30 and 10 over 400 jobs; C counts as if it had that mean."""
    reach = reach_of([("1", "A", 100.0), ("1", "B", 300.0), ("1", "C", 600.0)])
    absorption = pd.DataFrame({"industry_code": list("ABC"), "absorption_pct": [4.0, 9.0, 16.0]})
    openings = pd.DataFrame({"municipality_code": "1", "industry_code": ["A", "B"], "openings_count": [30.0, 10.0]})
    to_job = pd.DataFrame({"industry_code": ["B", "C"], "placement_to_job_pct": [30.0, 10.0]})
    use = pd.DataFrame({"municipality_code": "1", "industry_code": ["A"], "present_use_pct": [40.0]})
    out = match_industries(reach, absorption, names_of("ABC"), openings=openings, to_job=to_job, use=use)
    table = out.set_index("industry_code")
    mean = (300 * 30 + 600 * 10) / 900  # of placement to job, by the jobs of B and C
    product = {
        "A": 4**0.5 * (0.3 / 0.1) * 1 * 0.6,
        "B": 9**0.5 * (10 / 300 / 0.1) * (30 / mean) ** 0.5,
        "C": 16**0.5 * 1 * (10 / mean) ** 0.5,
    }
    for code, value in product.items():
        assert table.loc[code, "score"] == pytest.approx(100 * value / max(product.values()))
    assert table["score_rank"].to_dict() == {"A": 1, "C": 2, "B": 3}
    assert table.loc["C", "score_factors"] == (
        "jobs_in_reach_count absorption_pct placement_to_job_pct present_use_pct"
    )


def test_where_nobody_posts_an_opening_that_tells_no_industry_from_another() -> None:
    reach = reach_of([("1", "A", 100.0), ("1", "B", 300.0), ("2", "A", 50.0), ("2", "B", None), ("3", "A", 0.0)])
    absorption = pd.DataFrame({"industry_code": list("AB"), "absorption_pct": [4.0, 9.0]})
    openings = pd.DataFrame({"municipality_code": "1", "industry_code": ["A", "B"], "openings_count": [0.0, 0.0]})
    out = match_industries(reach, absorption, names_of("AB"), openings=openings)
    table = out.set_index(["municipality_code", "industry_code"])
    quotient = {"A": (100 / 400) / (150 / 450), "B": (300 / 400) / (300 / 450)}
    assert table.loc[("1", "A"), "score"] == pytest.approx(100 * quotient["A"] * 2 / (quotient["B"] * 3))
    assert table.loc[("2", "A"), "score"] == 100
    assert table.loc[("2", "B"), "value_status"] == "missing"
    assert table.loc[("3", "A"), "value_status"] == "missing"


def test_openings_in_an_industry_of_one_job_count_and_in_one_of_none_cannot() -> None:
    reach = reach_of([("1", "A", 1.0), ("1", "B", 300.0), ("1", "C", 0.0), ("2", "C", 10.0)])
    absorption = pd.DataFrame({"industry_code": list("ABC"), "absorption_pct": [4.0, 9.0, 4.0]})
    openings = pd.DataFrame(
        {"municipality_code": "1", "industry_code": list("ABC"), "openings_count": [3.0, 30.0, 1.0]}
    )
    out = match_industries(reach, absorption, names_of("ABC"), openings=openings)
    known = out[out["municipality_code"] == "1"].set_index("industry_code")["score_factors"]
    assert known.str.contains("openings_count").to_dict() == {"A": True, "B": True, "C": False}


def test_industries_from_one_per_cent_of_the_jobs_on_are_ranked() -> None:
    reach = reach_of([("1", "A", 100.0), ("1", "B", 9_801.0), ("1", "C", 99.0)])
    absorption = pd.DataFrame({"industry_code": list("ABC"), "absorption_pct": [9.0, 4.0, 25.0]})
    ranks = match_industries(reach, absorption, names_of("ABC")).set_index("industry_code")["score_rank"]
    assert ranks["A"] == 1
    assert ranks["B"] == 2
    assert pd.isna(ranks["C"])


def test_as_many_as_are_asked_for_are_enough() -> None:
    counts = pd.DataFrame({"industry_code": ["2", "4"], "employed_count": [20, 19], "non_western_count": [5, 5]})
    assert national_absorption(counts, 20)["absorption_pct"].tolist()[0] == 25
    assert national_absorption(counts, 20)["absorption_pct"].isna().tolist() == [False, True]
    twenty = pd.DataFrame({"industry_code": ["2"], "placements_count": [20.0], "followed_by_job_count": [5.0]})
    assert placement_to_job(twenty, 15)["placement_to_job_pct"].tolist() == [25]
    use = pd.DataFrame(
        {"municipality_code": ["1", "1", "2"], "industry_code": ["2", "4", "2"], "placements_count": [20.0, 0, 19]}
    )
    told = present_use(use, 15)
    assert told["present_use_pct"].tolist()[:2] == [100, 0]
    assert told["present_use_status"].tolist() == ["observed", "estimated", "suppressed"]


def test_an_industry_without_jobs_need_not_be_known_and_one_with_jobs_must() -> None:
    reach = reach_of([("1", "2", 40.0), ("1", "4", 0.0), ("1", "11", 7.0), ("2", "2", 40.0), ("2", "4", 1.0),
                      ("3", "2", 0.0), ("4", "2", 10.0), ("4", "4", None), ("5", "2", 1.0)])  # fmt: skip
    ras308 = pd.DataFrame({"industry_code": ["2", "4"], "employed_count": [100, 9], "non_western_count": [20, 1]})
    observed = pd.DataFrame({"municipality_code": list("12345"), "non_western_employment_pct": [12.0] * 5})
    out = expected_absorption(reach, ras308, observed, CROSSWALK, 10).set_index("municipality_code")
    assert out.loc["1", ["expected_absorption_pct", "absorption_gap_pct_points"]].tolist() == [20, -8]
    assert out["value_status"].tolist() == ["estimated", "missing", "missing", "missing", "estimated"]


def test_growth_needs_jobs_to_grow_from() -> None:
    areas = pd.DataFrame({"municipality_code": ["1"], "commuting_area_code": ["1"]})
    rows = [("1", "A", 2013, 0.0), ("1", "A", 2016, 5.0), ("1", "B", 2013, 1.0), ("1", "B", 2016, 3.0),
            ("1", "C", 2012, 9.0), ("1", "C", 2016, 9.0)]  # fmt: skip
    jobs = pd.DataFrame(rows, columns=["municipality_code", "industry_code", "year", "jobs_count"])
    growth = jobs_in_reach(jobs, areas, 2016).set_index("industry_code")["jobs_growth_pct"]
    assert growth["B"] == 200
    assert growth[["A", "C"]].isna().all()


def test_an_opening_alone_is_singular() -> None:
    reach = reach_of([("1", "A", 100.0), ("1", "B", 300.0)])
    absorption = pd.DataFrame({"industry_code": list("AB"), "absorption_pct": [4.0, 9.0]})
    openings = pd.DataFrame({"municipality_code": "1", "industry_code": ["A", "B"], "openings_count": [1.0, 1234.0]})
    out = match_industries(reach, absorption, names_of("AB"), openings=openings).set_index("industry_code")
    assert "; 1 ny stilling slået op" in out.loc["A", "reason_da"]
    assert "; 1 new opening posted" in out.loc["A", "reason_en"]
    assert "; 1.234 nye stillinger slået op" in out.loc["B", "reason_da"]
    assert out.loc["A", "reason_da"].startswith("A: 100 job inden for rækkevidde; 4,0 pct.")
    assert "ændring" not in out.loc["A", "reason_da"]

"""What is counted of persons, each rule at its limits, on rows small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.unit.models.test_spells import UNTIL
from transforms.disclosure import Gate
from transforms.models.persons import (
    PersonData,
    PersonRows,
    add_counts,
    case_stays,
    counts_of,
    followed_persons,
    guarded_organisation,
    newcomer_counts,
    newcomer_shares,
    newcomers,
    one_case_per_person,
    organisation_rows,
    own_rows,
    placement_counts,
    placements,
    with_conditions,
    with_origin_group,
)
from transforms.statistics.tally import tally

USUAL = {
    "municipality_code": "101", "permit_date": "2015-06-01", "takeover_date": None, "end_date": None,
    "end_reason_code": None, "sex_code": "K", "age_at_permit_years": 30, "education_code": "higher",
    "residence_basis_code": "asylum", "danish_track_code": "du1", "match_category_code": "job_ready",
    "has_partner": True, "children_count": 0, "origin_country_code": "SY",
}  # fmt: skip
DAYS = ("permit_date", "takeover_date", "end_date", "start_date")


def frame(rows: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    out = pd.DataFrame(rows, columns=columns)
    return out.assign(**{name: pd.to_datetime(out[name]) for name in DAYS if name in out})


def people(*cases: dict[str, object], measures: list[tuple[object, ...]] = [], jobs: list[tuple[object, ...]] = []) -> PersonRows:  # noqa: B006, E501  # fmt: skip
    """Return persons 0, 1, ... that differ from the usual one as told; measures and jobs as tuples of their columns."""
    rows = [{"person_id": i} | USUAL | case for i, case in enumerate(cases)]
    taken = ["person_id", "municipality_code", "measure_kind_code", "start_date", "end_date", "industry_code"]
    held = ["person_id", "municipality_code", "start_date", "end_date", "is_subsidised"]
    return PersonRows(
        frame(rows, ["person_id", *USUAL]),
        frame([dict(zip(taken, row, strict=True)) for row in measures], taken),
        frame([dict(zip(held, row, strict=True)) for row in jobs], held).astype({"is_subsidised": bool}),
        UNTIL, {"101": UNTIL, "147": UNTIL},
    )  # fmt: skip


def test_traits_at_their_limits() -> None:
    ages = [17, 18, 24, 25, 29, 30, 39, 40, 49, 50, 64, 65]
    groups = one_case_per_person(people(*({"age_at_permit_years": age} for age in ages)))
    told = ["18-24"] * 2 + ["25-29"] * 2 + ["30-39"] * 2 + ["40-49"] * 2 + ["50-64"] * 2
    assert groups["age_group"].tolist()[1:-1] == told
    assert groups["age_group"].isna().tolist() == [True, *[False] * 10, True]
    assert groups["is_adult"].tolist() == [False, *[True] * 10, False]
    children = one_case_per_person(people(*({"children_count": n} for n in (0, 1, 2, None))))
    assert children["has_children"].tolist() == ["no", "yes", "yes", "unknown"]


def test_a_cohort_is_two_years_of_permits_and_the_newest_stands_alone() -> None:
    years = one_case_per_person(people(*({"permit_date": f"{year}-06-01"} for year in range(2011, 2017))))
    assert years["cohort"].tolist() == ["-3", "-2", "-2", "-1", "-1", "0"]


def test_permits_of_eight_years_are_followed() -> None:
    rows = people(*({"permit_date": day} for day in ("2008-12-31", "2009-01-01", "2016-02-01")))
    followed = followed_persons(rows, one_case_per_person(rows))
    assert followed["person_id"].tolist() == [1, 2]
    assert followed["permit_year"].tolist() == [2009, 2016]
    assert PersonData(counts_of(rows), pd.DataFrame(), date(2013, 3, 31), "s", untils=rows.untils).period == "2009-2016"


def test_newcomers_have_a_permit_of_the_last_three_years() -> None:
    """Of 31 December 2016 those of 2014, 2015 and 2016; a municipality that told until June 2016 counts from there."""
    rows = people(*({"permit_date": day} for day in ("2013-12-31", "2014-01-01", "2013-07-01")))
    assert newcomers(rows, one_case_per_person(rows))["person_id"].tolist() == [1]
    early = replace(rows, untils={"101": date(2016, 6, 30)})
    assert newcomers(early, one_case_per_person(early))["person_id"].tolist() == [0, 1, 2]


def test_who_moves_is_counted_until_the_day_before_the_next_takes_over() -> None:
    rows = people(
        {"person_id": 7, "permit_date": "2012-01-01", "takeover_date": "2012-01-10"},
        {"person_id": 7, "permit_date": "2012-01-01", "takeover_date": "2013-05-01", "municipality_code": "147"},
        {"person_id": 8, "end_date": "2016-02-01", "end_reason_code": "left_denmark"},
        {"person_id": 9, "end_date": "2016-02-01", "end_reason_code": "employed"},
        {"person_id": 10, "end_date": "2016-02-01", "end_reason_code": "died"},
    )
    stays = case_stays(rows, rows.cases["person_id"])
    assert stays["entry_date"].dt.date.tolist()[:2] == [date(2012, 1, 1), date(2013, 5, 1)]
    assert stays["end_date"].dt.date.tolist()[0] == date(2013, 4, 30)
    # A case closed because of a job goes on; a death ends what is known, and only who left can find no job any more.
    assert stays["end_date"].isna().tolist() == [False, True, False, True, False]
    assert stays["has_left"].tolist() == [False, False, True, False, False]


def test_who_left_on_the_last_day_before_moving_has_left() -> None:
    def moved(left: str) -> list[bool]:
        rows = people(
            {"person_id": 7, "permit_date": "2012-01-01", "takeover_date": "2012-01-10", "end_date": left,
             "end_reason_code": "left_denmark"},
            {"person_id": 7, "permit_date": "2012-01-01", "takeover_date": "2013-05-01", "municipality_code": "147"},
        )  # fmt: skip
        return case_stays(rows, rows.cases["person_id"])["has_left"].tolist()

    assert moved("2013-04-30") == [True, False]
    assert moved("2013-05-01") == [False, False], "who went on elsewhere had not left from here"


def test_no_two_persons_become_one_when_each_municipality_is_taken_alone() -> None:
    """Persons 0 and 1 in municipalities 101 to 999: all pairs stay apart, a pair in several tables stays one."""
    codes = [str(code) for code in range(101, 1000, 7)]
    rows = people(*({"person_id": i, "municipality_code": code} for i in (0, 1, 2) for code in codes),
                  measures=[(2, "101", "igu", "2016-01-01", None, None)])  # fmt: skip
    own = own_rows(rows)
    assert own.cases["person_id"].nunique() == 3 * len(codes)
    many = own_rows(
        people(*({"person_id": i, "municipality_code": code} for i in range(1100) for code in ("101", "102")))
    )
    assert many.cases["person_id"].nunique() == 2200
    assert own.measures["person_id"].item() == own.cases["person_id"][2 * len(codes)]


def test_newcomers_by_trait_and_measure_counted_by_hand() -> None:
    rows = people(
        {"sex_code": "K", "education_code": "none"}, {"sex_code": None, "education_code": "primary"},
        {"sex_code": "M", "residence_basis_code": "family_other", "match_category_code": "activity_ready"},
        {"municipality_code": "147", "permit_date": "2010-01-01"},
        measures=[(0, "101", "igu", "2016-01-01", None, None), (0, "101", "igu", "2016-05-01", None, None),
                  (2, "101", "mentor", "2016-01-01", None, None), (3, "147", "igu", "2016-01-01", None, None)],
    )  # fmt: skip
    told = newcomer_counts(rows, one_case_per_person(rows)).set_index(["municipality_code", "indicator_id"])["k"]
    here = told["101"]
    assert here[here > 0].to_dict() == {
        "newcomers_count": 3, "women_newcomers_pct": 1, "basic_education_newcomers_pct": 2, "family_newcomers_pct": 1,
        "activity_ready_newcomers_pct": 1, "use_igu_pct": 1, "use_mentor_pct": 1,
    }  # fmt: skip
    assert (told["147"] == 0).all(), "who came long ago is no newcomer, and the municipality has none"


def test_eight_countries_of_origin_are_told_and_the_rest_together() -> None:
    codes = [code for i, code in enumerate("ABCDEFGHIJ") for _ in range(20 - i)] + [None]
    cells = tally(pd.DataFrame({"is_own": True, "origin_country_code": codes}), ["is_own", "origin_country_code"])
    persons = tally(pd.DataFrame({"origin_country_code": [*codes, "B"]}), ["origin_country_code"])
    grouped = with_origin_group(persons, cells, is_own=True)
    assert sorted(grouped.levels["origin_group"]) == [*"ABCDEFGH", "other"]
    told = dict(zip(grouped.levels["origin_group"], grouped.by("origin_group").tolist(), strict=True))
    assert (told["A"], told["B"], told["other"]) == (20, 20, 12 + 11 + 1)
    # The countries of persons counted in another way are not asked.
    assert set(with_origin_group(persons, cells, is_own=False).levels["origin_group"]) == {"other"}


def test_conditions_are_those_of_the_permit_s_year_or_the_nearest_known() -> None:
    conditions = pd.DataFrame({
        "municipality_code": ["101", "147", "101", "147"], "year": [2012, 2012, 2015, 2015],
        "jobs": [1.0, 2, 3, np.nan], "rent": [10.0, 20, 30, 40],
    })  # fmt: skip
    rows = [(code, year) for code in ("101", "147", "999") for year in (2010, 2013, 2014, 2016)]
    cells = tally(
        pd.DataFrame(rows, columns=["municipality_code", "permit_year"]), ["municipality_code", "permit_year"]
    )
    told = with_conditions(cells, conditions)
    assert list(told.levels) == ["municipality_code", "jobs", "rent"]
    np.testing.assert_array_equal(told.values("jobs"), [1, 1, 3, 3, 2, 2, *[np.nan] * 6])
    np.testing.assert_array_equal(told.values("rent"), [10, 10, 30, 30, 20, 20, 40, 40, *[np.nan] * 4])


@pytest.mark.parametrize(
    ("start", "subsidised", "followed"),
    [("2016-02-28", False, False), ("2016-02-29", False, True), ("2016-08-29", False, True),
     ("2016-08-30", False, False), ("2016-04-01", True, False)],
)  # fmt: skip
def test_a_placement_is_followed_by_a_job_within_half_a_year(start: str, subsidised: bool, followed: bool) -> None:
    """182 days after 29 February 2016 are 29 August."""
    taken = [
        (0, "101", "placement_private", "2015-12-01", "2016-02-29", "561010"),
        (1, "101", "igu", "2015-12-01", "2016-02-29", "561010"),  # somebody else's
        (0, "101", "mentor", "2015-12-01", "2016-02-29", "561010"),  # no placement
        (0, "101", "igu", "2015-12-01", None, "561010"),  # not ended
        (0, "101", "igu", "2015-12-01", "2016-02-29", None),  # without an industry
    ]
    rows = people({}, {}, measures=taken, jobs=[(0, "101", start, None, subsidised)])
    assert placements(rows)["followed_by_job"].tolist() == [followed, False]


def test_a_first_job_is_counted_of_whom_was_followed_from_the_permit() -> None:
    """Person 1 moved in late, so that what a measure did to the wait before is not known; 2 had no whole interval."""
    rows = people(
        {"permit_date": "2012-01-01"}, {"permit_date": "2012-01-01", "takeover_date": "2013-01-01"},
        {"permit_date": "2016-11-01"}, {"permit_date": "2012-01-01"},
        measures=[(0, "101", "igu", "2012-03-01", None, None), (0, "101", "other", "2012-03-01", None, None),
                  (1, "101", "igu", "2012-03-01", None, None)],
    )  # fmt: skip
    counts = counts_of(rows)
    assert counts.histories.count.sum() == 2
    assert counts.exposed.frame().to_dict("list") == {"method_code": ["igu"], "count": [1]}
    followed = counts.first_job_persons.frame()
    assert followed.set_index("breakdown_id").loc["country", "count"] == 3
    assert counts.cases.count.sum() == 4


def answers(*rows: dict[str, object]) -> pd.DataFrame:
    usual: dict[str, object] = {
        "municipality_code": "101", "reference_date": "2016-12-31", "respondent_role_code": "worker",
        "org_model_code": "joint", **dict.fromkeys(
            ("contract_within_1_month_pct", "started_within_14d_pct", "started_within_30d_pct"), 40.0),
        "start_firm_directed_days_median": 30.0, "health_assessment_days": 20.0,
        **{f"rating_{theme}": 3 for theme in
           ("leadership", "targeting", "firm", "danish", "family_health", "data_use")},
    }  # fmt: skip
    return pd.DataFrame([{"_row_number": i} | usual | row for i, row in enumerate(rows)])


def data_of(organisation: pd.DataFrame, rows: PersonRows) -> PersonData:
    return PersonData(add_counts([counts_of(rows)]), organisation, UNTIL, "state", untils=rows.untils)


def test_facts_are_the_joint_answer_s_else_the_leader_s_and_judgements_the_mean_of_all() -> None:
    rows = people({})
    given = [
        {"respondent_role_code": "worker", "org_model_code": "w", "rating_firm": 1},
        {"respondent_role_code": "leader", "org_model_code": "l", "rating_firm": 2},
        {"respondent_role_code": "joint", "org_model_code": "j", "rating_firm": 5},
    ]
    told = organisation_rows(data_of(answers(*given), rows)).iloc[0]
    assert told["org_model_code"] == "j"
    assert told[["rating_firm_mean", "rating_firm_lowest", "rating_firm_highest"]].tolist() == [8 / 3, 1, 5]
    assert told["respondent_count"] == 3
    assert organisation_rows(data_of(answers(*given[:2]), rows))["org_model_code"].tolist() == ["l"]


@pytest.mark.parametrize(("newcomers", "told"), [(10, False), (15, True)])
def test_answers_that_count_newcomers_are_told_over_fifteen_of_them(newcomers: int, told: bool) -> None:
    """40 per cent of 15 are 6 persons, told as 5 or 10 of 15; days over too few newcomers are empty."""
    data = data_of(answers({}), people(*({} for _ in range(newcomers))))
    (row,) = guarded_organisation(data, Gate()).to_dict("records")
    assert row["is_withheld"] == (not told)
    assert pd.notna(row["health_assessment_days"]) == told
    if told:
        assert row["started_within_14d_pct"] in (pytest.approx(100 / 3), pytest.approx(200 / 3))
    else:
        assert pd.isna(row["started_within_14d_pct"])


def test_an_answer_that_was_not_given_stays_empty_and_without_newcomers_all_do() -> None:
    some = answers({"contract_within_1_month_pct": None}, {"municipality_code": "147"})
    here, there = guarded_organisation(data_of(some, people(*({} for _ in range(20)))), Gate()).to_dict("records")
    assert pd.isna(here["contract_within_1_month_pct"])
    assert here["started_within_30d_pct"] in (25, 50)  # of twenty, eight are told as five or ten
    assert there["is_withheld"]
    assert pd.isna(there["started_within_30d_pct"])


def test_ten_respondents_are_told_with_their_spread_and_one_is_not() -> None:
    rows = people(*({} for _ in range(15)))
    ten = answers(*({"rating_firm": 1 + i % 5} for i in range(10)))
    (many,) = guarded_organisation(data_of(ten, rows), Gate()).to_dict("records")
    assert [many[f"rating_firm_{end}"] for end in ("mean", "lowest", "highest")] == [3, 1, 5]
    assert many["respondent_count"] == 10
    (one,) = guarded_organisation(data_of(ten.head(1), rows), Gate(threshold=7)).to_dict("records")
    assert all(pd.isna(one[name]) for name in ("rating_firm_lowest", "rating_firm_highest", "respondent_count"))


def test_shares_of_newcomers_are_made_of_counts_told() -> None:
    """Twenty newcomers, ten of them women: multiples of five are told as they are."""
    rows = people(*({"sex_code": "K" if i < 10 else "M"} for i in range(20)))
    told = newcomer_shares(data_of(answers({}), rows), Gate()).set_index("indicator_id")
    assert told.loc["newcomers_count", "value"] == 20
    assert told.loc["women_newcomers_pct", ["value", "numerator", "denominator"]].tolist() == [50, 10, 20]
    assert (told["reference_date"] == "2016-12-31").all()


def test_placements_are_told_by_industry_here_and_in_the_country() -> None:
    """Twenty placements in hotels and restaurants (I), ten of them followed by a job; none elsewhere is a row too."""
    crosswalk = pd.DataFrame({"division_code": ["56", "01"], "db07_37_code": ["I", "A"]})
    taken = [(i, "101", "placement_private", "2016-01-01", "2016-02-01", "561010") for i in range(10)]
    taken += [(10 + i, f"{110 + i}", "placement_private", "2016-01-01", "2016-02-01", "561010") for i in range(10)]
    jobs = [(i, "101", "2016-03-01", None, False) for i in range(10)]
    rows = people(*({} for _ in range(20)), measures=taken, jobs=jobs)
    here, country = placement_counts(data_of(answers({}), rows), crosswalk, Gate())
    assert here[here["municipality_code"] == "101"].to_dict("list") == {
        "municipality_code": ["101", "101"], "industry_code": ["A", "I"], "placements_count": [0, 10],
    }  # fmt: skip
    assert len(here) == 2 * 11
    assert (here.loc[here["industry_code"] == "A", "placements_count"] == 0).all()
    assert country.to_dict("list") == {
        "industry_code": ["I"], "placements_count": [20], "followed_by_job_count": [10]
    }  # fmt: skip

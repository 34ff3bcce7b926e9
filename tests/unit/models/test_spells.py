from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.errors import DataRefused
from transforms.models.persons import (
    PersonRows,
    case_stays,
    followed_persons,
    newcomer_counts,
    one_case_per_person,
    own_rows,
)
from transforms.models.spells import (
    Variant,
    exposure_spans,
    first_jobs,
    histories,
    measure_weeks,
    person_periods,
)
from transforms.statistics.tally import Tally

UNTIL = date(2016, 12, 31)


def frames(spells: list[tuple[str, str, str | None]], permits: dict[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    cases = pd.DataFrame({"person_id": list(permits), "permit_date": pd.to_datetime(list(permits.values()))})
    cases["municipality_code"], cases["end_date"] = "101", pd.NaT
    employment = pd.DataFrame(spells, columns=["person_id", "start_date", "end_date"])
    for column in ("start_date", "end_date"):
        employment[column] = pd.to_datetime(employment[column])
    return cases, employment


def test_spells_without_a_free_day_are_one_job_and_short_ones_do_not_count() -> None:
    cases, employment = frames(
        [
            ("a", "2012-03-01", "2012-04-15"),  # 46 days, then on at once: 122 days in all
            ("a", "2012-04-16", "2012-06-30"),
            ("b", "2012-03-01", "2012-05-29"),  # 90 days: one too few
            ("b", "2012-05-31", "2012-08-29"),  # 91 days after a free day
            ("c", "2011-01-01", "2012-03-15"),  # mostly before the permit
            ("d", "2012-02-01", None),
            ("d", "2017-01-01", "2017-06-01"),  # after the data
            ("x", "2012-01-05", None),
        ],
        {"a": "2012-01-01", "b": "2012-01-01", "d": "2012-01-01", "c": "2012-01-01"},
    )
    jobs = first_jobs(cases, employment, UNTIL).set_index("person_id")["job_start_date"]
    assert jobs.dt.date.to_dict() == {"a": date(2012, 3, 1), "b": date(2012, 5, 31), "d": date(2012, 2, 1)}


def test_a_long_job_that_holds_a_short_one_is_not_cut() -> None:
    cases, employment = frames(
        [("a", "2012-02-01", "2012-12-31"), ("a", "2012-02-10", "2012-02-20"), ("a", "2013-01-01", "2013-01-05")],
        {"a": "2012-01-01"},
    )
    assert first_jobs(cases, employment, UNTIL)["job_start_date"].dt.date.tolist() == [date(2012, 2, 1)]


def test_a_job_with_wage_subsidy_is_no_ordinary_job() -> None:
    cases, employment = frames([("a", "2012-02-01", "2012-12-31"), ("a", "2013-03-01", None)], {"a": "2012-01-01"})
    told = employment.assign(is_subsidised=[True, None])
    assert first_jobs(cases, told, UNTIL)["job_start_date"].dt.date.tolist() == [date(2013, 3, 1)]


def test_weeks_and_intervals_by_hand() -> None:
    permits = {"a": "2012-01-01", "b": "2012-01-01", "c": "2015-12-27", "d": "2016-12-01", "e": "2012-01-01"}
    cases, employment = frames([("a", "2012-04-29", None), ("c", "2016-11-01", None)], permits)
    cases.loc[4, "end_date"] = pd.Timestamp("2012-12-31")
    out = person_periods(cases, employment, UNTIL).set_index("person_id")
    # a: 17 weeks after the permit, in the second interval.
    assert out.loc["a", ["weeks", "has_job", "interval_count", "job_interval"]].tolist() == [17, True, 2, True]
    assert out.loc["b", ["weeks", "has_job", "interval_count"]].tolist() == [156, False, 12]
    # c: the job began within the last 13 weeks of the data, so nobody knows whether it will last.
    assert out.loc["c", ["has_job", "interval_count"]].tolist() == [False, 3]
    assert out.loc["c", "weeks"] == pytest.approx(371 / 7 - 13)
    assert out.loc["d", ["weeks", "has_job", "interval_count"]].tolist() == [0, False, 0]
    assert out.loc["e", "weeks"] == pytest.approx(366 / 7 - 13)


@pytest.mark.parametrize(
    ("entry", "first"),
    [("2011-12-01", 0), ("2012-01-01", 0), ("2012-01-02", 1), ("2012-03-31", 1), ("2012-04-01", 1), ("2012-04-02", 2),
     ("2012-07-01", 2), ("2012-12-30", 4)],
)  # fmt: skip
def test_who_moved_in_is_at_risk_from_the_next_whole_interval(entry: str, first: int) -> None:
    """13 weeks after the permit of 1 January 2012 is 1 April, a leap year's ninety-first day."""
    cases, employment = frames([], {"a": "2012-01-01"})
    out = person_periods(cases.assign(entry_date=pd.Timestamp(entry)), employment, UNTIL)
    assert out["first_interval"].tolist() == [first]


def test_a_repeated_person_is_refused_with_its_row() -> None:
    cases, employment = frames([], {"a": "2012-01-01"})
    with pytest.raises(DataRefused, match="row 2"):
        person_periods(pd.concat([cases, cases], ignore_index=True), employment, UNTIL)


def test_a_lasting_job_late_in_the_data_does_not_bias_the_hazard() -> None:
    rng = np.random.default_rng(4)
    start = pd.Timestamp("2014-01-01") + pd.to_timedelta(rng.integers(0, 1000, 4000), unit="D")
    wait = rng.exponential(100 * 7, 4000)
    cases = pd.DataFrame({"person_id": range(4000), "municipality_code": "101", "permit_date": start})
    cases["end_date"] = pd.NaT
    job = start + pd.to_timedelta(wait.round(), unit="D")
    employment = pd.DataFrame({"person_id": range(4000), "start_date": job, "end_date": pd.NaT})
    employment["end_date"] = pd.to_datetime(employment["end_date"])
    out = person_periods(cases, employment[job <= pd.Timestamp(UNTIL)], UNTIL)
    rate = out["has_job"].sum() / out["weeks"].sum()
    assert rate == pytest.approx(1 / 100, rel=0.06)
    intervals = out[out["interval_count"] > 0]
    per_interval = intervals["job_interval"].sum() / intervals["interval_count"].sum()
    assert per_interval == pytest.approx(1 - np.exp(-0.13), rel=0.06)


DAYS = st.dates(date(2009, 1, 1), date(2016, 12, 31))
NUMBERS = st.integers(0, 11).map("person {}".format)


def delivered(code: str, cases: list[tuple[str, date, int]], jobs: list[tuple[str, date]]) -> PersonRows:
    """Return what one municipality delivers: (person, permit, days until it took over) and (person, start of a job)."""
    taken = pd.DataFrame(
        {
            "person_id": [person for person, _, _ in cases],
            "permit_date": pd.to_datetime([permit for _, permit, _ in cases]),
            "takeover_date": pd.to_datetime([permit for _, permit, _ in cases])
            + pd.to_timedelta([days for *_, days in cases], "D"),
        }
    ).drop_duplicates("person_id")
    fixed = {
        "municipality_code": code, "sex_code": "K", "age_at_permit_years": 30, "education_code": "none",
        "residence_basis_code": "asylum", "danish_track_code": "du1", "match_category_code": "job_ready",
        "has_partner": True, "children_count": 0, "origin_country_code": "SY", "end_date": pd.NaT,
        "end_reason_code": None,
    }  # fmt: skip
    spells = pd.DataFrame(jobs, columns=["person_id", "start_date"]).assign(
        start_date=lambda frame: pd.to_datetime(frame["start_date"]),
        end_date=pd.NaT, is_subsidised=False, municipality_code=code,
    )  # fmt: skip
    measures = spells.assign(measure_kind_code="mentor")
    return PersonRows(taken.assign(**fixed), measures, spells, UNTIL, {code: UNTIL})


def followed_alone(rows: PersonRows) -> pd.DataFrame:
    own = own_rows(rows)
    return followed_persons(own, one_case_per_person(own))


def newcomers_told(rows: PersonRows) -> pd.DataFrame:
    own = own_rows(rows)
    return newcomer_counts(own, one_case_per_person(own))


def together(one: PersonRows, other: PersonRows, until: date) -> PersonRows:
    both = {
        name: pd.concat([getattr(one, name), getattr(other, name)], ignore_index=True)
        for name in ("cases", "measures", "employment")
    }
    return replace(one, **both, untils={"101": UNTIL, "147": until})


@pytest.mark.long
@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(NUMBERS, DAYS, st.integers(0, 900)), min_size=1, max_size=12),
    st.lists(st.tuples(NUMBERS, DAYS, st.integers(0, 900)), min_size=1, max_size=12),
    st.lists(st.tuples(NUMBERS, DAYS), max_size=9),
    st.lists(st.tuples(NUMBERS, DAYS), max_size=9),
    st.sampled_from([date(2015, 12, 31), UNTIL, date(2019, 3, 31)]),
)
def test_what_another_municipality_delivers_moves_no_figure_of_this_one(
    cases: list[tuple[str, date, int]],
    others: list[tuple[str, date, int]],
    jobs: list[tuple[str, date]],
    theirs: list[tuple[str, date]],
    until: date,
) -> None:
    alone = delivered("101", cases, jobs)
    both = together(alone, delivered("147", others, theirs), until)
    counts, with_them = (
        told[told["municipality_code"] == "101"].reset_index(drop=True)
        for told in (newcomers_told(alone), newcomers_told(both))
    )
    pd.testing.assert_frame_equal(counts, with_them)
    columns = ["weeks", "has_job", "first_interval", "interval_count", "has_left"]
    followed = [
        told.loc[told["municipality_code"] == "101", columns].sort_values(columns).reset_index(drop=True)
        for told in (followed_alone(alone), followed_alone(both))
    ]
    pd.testing.assert_frame_equal(*followed)


def test_a_job_too_new_to_be_seen_to_last_waits_for_the_municipality_s_own_next_delivery() -> None:
    """Though another municipality, whose delivery is later, makes the day until which spells are told a later one."""
    alone = delivered("101", [("a", date(2016, 10, 3), 0)], [("a", date(2009, 1, 1))])
    both = together(alone, delivered("147", [("b", date(2014, 1, 1), 0)], []), date(2019, 3, 31))
    for data in (alone, both):
        followed = followed_alone(data)
        assert not followed.set_index("municipality_code").loc["101", "has_job"]


def test_who_is_taken_over_long_after_the_permit_has_moved_in() -> None:
    """Else the time in an unknown municipality would count as time here in which no job could be found."""
    permit = date(2014, 1, 1)
    data = delivered("101", [("a", permit, 20), ("b", permit, 91), ("c", permit, 92)], [])
    entry = case_stays(data, data.cases["person_id"]).set_index("person_id")["entry_date"]
    assert entry.dt.date.to_dict() == {"a": permit, "b": permit, "c": date(2014, 4, 3)}


def test_without_a_job_by_the_end_of_three_years_there_is_none() -> None:
    """Three years are twelve intervals of thirteen weeks; a job on the first day after them came too late."""
    permits = dict.fromkeys("abc", "2012-01-02")
    late = pd.Timestamp("2012-01-02") + pd.to_timedelta([7 * 156 - 1, 7 * 156, 0], unit="D")
    cases, employment = frames([(who, f"{day:%F}", None) for who, day in zip("abc", late, strict=True)], permits)
    out = person_periods(cases, employment, UNTIL).set_index("person_id")
    assert out["has_job"].tolist() == [True, False, True]
    assert out["interval_count"].tolist() == [12, 12, 1]
    assert out.loc["c", "weeks"] == 0


def test_a_job_counts_when_its_ninety_one_days_are_all_within_the_data() -> None:
    """From 2 October to 31 December are 91 days, both included."""
    days = ["2016-10-01", "2016-10-02", "2016-10-03"]
    cases, employment = frames([(who, day, None) for who, day in zip("abc", days, strict=True)],
                               dict.fromkeys("abc", "2016-01-01"))  # fmt: skip
    assert person_periods(cases, employment, UNTIL)["has_job"].tolist() == [True, True, False]


def test_each_municipality_s_own_last_day_and_a_person_of_two() -> None:
    """In both from the permit on; 40 weeks after it less 13 are followed here, until the end of the data there."""
    cases, employment = frames([], {"a": "2015-01-01"})
    both = pd.concat([cases, cases.assign(municipality_code="147")], ignore_index=True)
    both["entry_date"] = both["permit_date"]
    both["last_date"] = [pd.Timestamp("2015-01-01") + pd.Timedelta(weeks=40) - pd.Timedelta(days=1), pd.NaT]
    out = person_periods(both, employment, UNTIL)
    assert out["weeks"].tolist() == pytest.approx([27, 731 / 7 - 13])
    assert out["interval_count"].tolist() == [2, 7]
    with pytest.raises(DataRefused, match="row 3"):
        person_periods(pd.concat([both, both.iloc[:1]], ignore_index=True), employment, UNTIL)


def taken(weeks: list[tuple[str, str, float | None, float | None]]) -> pd.DataFrame:
    return pd.DataFrame(weeks, columns=["person_id", "method_code", "start_week", "end_week"]).astype(
        {"start_week": "float64", "end_week": "float64"}
    )


def told_of(people: list[tuple[str, float, bool]], weeks: list[tuple[str, str, float | None, float | None]]) -> Tally:
    persons = pd.DataFrame(people, columns=["person_id", "weeks", "has_job"]).assign(municipality_code="101")
    return histories(persons.assign(who=persons["person_id"]), taken(weeks), ["who"])[0]


def spans_of(cells: Tally, methods: list[str], variant: Variant = "started") -> dict[str, list[tuple[int, int, int]]]:
    """Return per person first, stop and mask of each span."""
    spans = exposure_spans(cells, methods, variant).frame().sort_values(["who", "first"])
    rows = spans[["first", "stop", "mask"]].itertuples(index=False, name=None)
    out: dict[str, list[tuple[int, int, int]]] = {}
    for who, row in zip(spans["who"], rows, strict=True):
        out.setdefault(who, []).append(row)
    return out


def test_measures_begin_and_end_on_the_clock_of_the_person() -> None:
    cases = pd.DataFrame({"person_id": ["a", "b"], "permit_date": pd.to_datetime(["2016-01-01", "2016-02-05"])})
    measures = pd.DataFrame({
        "person_id": ["a", "b", "x"], "method_code": "igu", "start_date": ["2016-01-29", "2016-02-01", "2016-01-01"],
        "end_date": ["2016-02-09", None, None],
    })  # fmt: skip
    out = measure_weeks(cases, measures)
    assert out["start_week"].tolist() == pytest.approx([4, -4 / 7])
    assert out["end_week"].tolist()[:1] == pytest.approx([39 / 7])
    assert np.isnan(out["end_week"].tolist()[1])


def test_steps_of_four_weeks_by_hand() -> None:
    """A step counts as exposed when the measure had begun by its first day: in week 4 by step 1, in week 4.1 by 2."""
    people = [("a", 20.0, False), ("b", 20.0, False), ("c", 20.0, False), ("d", 23.9, True), ("e", 20.0, False),
              ("f", 24.0, False)]  # fmt: skip
    weeks = [("a", "igu", 4.0, 8.0), ("b", "igu", 4.1, None), ("c", "igu", -3.0, 1.0), ("d", "igu", 19.9, None),
             ("d", "igu", 6.0, 7.0), ("e", "igu", 19.0, None), ("x", "igu", 1.0, None),
             ("f", "igu", 7.0, None)]  # fmt: skip
    cells = told_of(people, weeks)
    assert spans_of(cells, ["igu"]) == {
        "a": [(0, 1, 0), (1, 5, 1)], "b": [(0, 2, 0), (2, 5, 1)], "c": [(0, 5, 1)],
        "d": [(0, 2, 0), (2, 6, 1)],  # followed five steps, and the job is found in the sixth; the first start counts
        "e": [(0, 5, 0)],  # begun in the last step, so never by the first day of one
        "f": [(0, 2, 0), (2, 6, 1)],
    }  # fmt: skip
    # Thirteen weeks later: week 17 is by step 5 of five, week 10 by step 3, weeks 19 and 20 by step 5 of six.
    assert spans_of(cells, ["igu"], "lagged") == {
        "a": [(0, 5, 0)], "b": [(0, 5, 0)], "c": [(0, 3, 0), (3, 5, 1)], "d": [(0, 5, 0), (5, 6, 1)], "e": [(0, 5, 0)],
        "f": [(0, 5, 0), (5, 6, 1)],
    }  # fmt: skip
    assert spans_of(cells, ["igu"], "phases") == {
        "a": [(0, 1, 0), (1, 2, 1), (2, 5, 2)], "b": [(0, 2, 0), (2, 5, 1)], "c": [(0, 1, 1), (1, 5, 2)],
        "d": [(0, 2, 0), (2, 6, 2)], "e": [(0, 5, 0)], "f": [(0, 2, 0), (2, 6, 1)],
    }  # fmt: skip
    assert spans_of(cells, ["igu"], "first_weeks") == {
        "a": [(0, 1, 0), (1, 2, 1), (2, 5, 2)], "b": [(0, 2, 0), (2, 3, 1), (3, 5, 2)], "c": [(0, 1, 1), (1, 5, 2)],
        "d": [(0, 2, 0), (2, 3, 1), (3, 6, 2)], "e": [(0, 5, 0)],
        "f": [(0, 2, 0), (2, 3, 1), (3, 6, 2)],
    }  # fmt: skip
    told = exposure_spans(cells, ["igu"]).frame()
    assert told.loc[told["has_event"], ["who", "stop"]].to_numpy().tolist() == [["d", 6]]


def test_two_methods_have_a_bit_each_and_two_where_they_have_two_parts() -> None:
    people = [("a", 20.0, False), ("b", 8.0, False)]
    weeks = [("a", "igu", 4.0, 12.0), ("a", "mentor", 8.0, 16.0), ("b", "mentor", 0.0, 4.0)]
    cells = told_of(people, weeks)
    assert spans_of(cells, ["igu", "mentor", "nobody's"]) == {
        "a": [(0, 1, 0), (1, 2, 1), (2, 5, 3)], "b": [(0, 2, 2)],
    }  # fmt: skip
    assert spans_of(cells, ["igu", "mentor"], "phases") == {
        "a": [(0, 1, 0), (1, 2, 1), (2, 3, 1 + 2), (3, 4, 4 + 2), (4, 5, 4 + 8)], "b": [(0, 1, 2), (1, 2, 8)],
    }  # fmt: skip
    assert spans_of(cells, []) == {"a": [(0, 5, 0)], "b": [(0, 2, 0)]}


def test_who_is_followed_for_a_step_or_finds_a_job_is_counted() -> None:
    people = [("a", 3.9, False), ("b", 4.0, False), ("c", 2.0, True), ("d", 0.0, True)]
    weeks = [("b", "igu", 4.0, None), ("c", "igu", 1.9, None), ("d", "igu", 0.0, None), ("a", "igu", 0.0, None),
             ("c", "mentor", 2.0, None), ("c", "course", None, None)]  # fmt: skip
    cells = told_of(people, weeks)
    stop = dict(zip(cells.values("who"), cells.values("stop"), strict=True))
    assert stop == {"b": 1, "c": 1, "d": 1}
    persons = pd.DataFrame(people, columns=["person_id", "weeks", "has_job"]).assign(municipality_code="101")
    # Begun before the job: a measure that starts on the day the job does has not been waited in.
    assert histories(persons, taken(weeks), [])[1] == {"course": 0, "igu": 1, "mentor": 0}

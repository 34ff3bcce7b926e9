"""Person rows in memory, for the models alone: what leaves this module is counts and shares under disclosure control.

The rows come from the restricted database and are never written to a published file, a snapshot or a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transforms.disclosure import Cell, Gate
from transforms.errors import DataRefused

if TYPE_CHECKING:
    import pandas as pd


COHORT_YEARS = 8
"""Permits of so many years back are followed: enough persons per municipality, recent enough to speak of today."""
NEWCOMER_YEARS = 3
"""Newcomers are persons whose permit is at most so old: the length of the programme's follow-up (KORA 2017)."""
TRAITS = [
    "sex_code", "age_group", "education_code", "basis_group", "origin_group", "danish_track_code", "has_partner",
    "has_children", "cohort",
]  # fmt: skip
"""What a person brings along (KORA 2017's list as far as deliveries hold it); nothing the municipality decides."""
JUDGED_TRAITS = ["match_category_code"]
"""What the municipality has judged: it steers who is offered what, so methods are compared given it."""
LEAVING = ("left_denmark",)
"""Ends of a case after which no job can follow. Other ends (death among them) only end what is known."""
FAMILY = ("family_refugee", "family_other")
TOP_ORIGINS = 8


@dataclass(frozen=True)
class PersonData:
    """The deliveries that count: cases, measures, employment, organisation, and the day they tell until.

    `state` and `states` say which draw of the rounding the country's figures and each municipality's get; its own last
    day is in `untils`, and `deliveries` are their ids. `rounding_key` is the secret that figures are rounded with.
    """

    cases: pd.DataFrame = field(repr=False)
    measures: pd.DataFrame = field(repr=False)
    employment: pd.DataFrame = field(repr=False)
    organisation: pd.DataFrame = field(repr=False)
    until: date
    state: str
    states: Mapping[str, str] = field(default_factory=dict, repr=False)
    untils: Mapping[str, date] = field(default_factory=dict, repr=False)
    deliveries: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    rounding_key: bytes = field(default=b"", repr=False)

    @property
    def period(self) -> str:
        """Return the years of permit the durations speak of, e.g. `2018-2025`."""
        newest = max(self.untils.values(), default=self.until)
        return f"{newest.year - COHORT_YEARS + 1}-{newest.year}"


def own_rows(data: PersonData) -> PersonData:
    """Return the same rows with a person of two municipalities taken for two.

    Figures of a municipality are made of its own rows alone: else what another one delivers would move them by the one
    or two persons who have lived in both.
    """

    def own(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(person_id=rows["municipality_code"].astype(str) + ":" + rows["person_id"].astype(str))

    return replace(data, cases=own(data.cases), measures=own(data.measures), employment=own(data.employment))


def one_case_per_person(data: PersonData) -> pd.DataFrame:
    """Return one case per person: the first permit, at the municipality that took over first. Traits as groups."""
    import numpy as np
    import pandas as pd

    cases = data.cases.sort_values(["person_id", "permit_date", "takeover_date", "municipality_code"])
    cases = cases.drop_duplicates("person_id").copy()
    ages = cases["age_at_permit_years"].astype("float64")
    labels = ["18-24", "25-29", "30-39", "40-49", "50-64"]
    cases["age_group"] = pd.cut(ages, [17, 24, 29, 39, 49, 64], labels=labels).astype("str")
    cases["education_code"] = cases["education_code"].fillna("unknown")
    cases["basis_group"] = np.where(cases["residence_basis_code"].isin(FAMILY), "family", "refugee")
    cases["danish_track_code"] = cases["danish_track_code"].fillna("none")
    cases["match_category_code"] = cases["match_category_code"].fillna("not_assessed")
    cases["has_partner"] = cases["has_partner"].map({True: "yes", False: "no"}).fillna("unknown")
    children = cases["children_count"].astype("float64")
    cases["has_children"] = np.select([children > 0, children == 0], ["yes", "no"], "unknown")
    common = cases["origin_country_code"].value_counts().sort_index().nlargest(TOP_ORIGINS).index
    cases["origin_group"] = cases["origin_country_code"].where(cases["origin_country_code"].isin(common), "other")
    years = pd.to_datetime(cases["permit_date"]).dt.year
    cases["cohort"] = ((years - data.until.year) // 2).astype("str")
    adults = ages.between(18, 64)
    return pd.DataFrame(cases[adults].reset_index(drop=True))


def followed_persons(data: PersonData, conditions: pd.DataFrame) -> pd.DataFrame:
    """Return time to the first ordinary job of 13 weeks per person and municipality of the cohorts, with traits.

    Who moved is counted where they were: one row per municipality, at risk there from the day it took over to the day
    the case moved on, each followed to the municipality's own last delivery. `conditions`: municipality_code, year and
    one numeric column per condition of the commuting area; a person meets those of the year of the permit, or of the
    nearest year that is known.
    """
    import pandas as pd

    newest = pd.Timestamp(max(data.untils.values(), default=data.until))
    traits = one_case_per_person(data)
    until = pd.to_datetime(traits["municipality_code"].map(data.untils).fillna(newest))
    recent = traits[pd.to_datetime(traits["permit_date"]).dt.year > until.dt.year - COHORT_YEARS]
    stays = case_stays(data, recent["person_id"])
    columns = ["person_id", "permit_date", *TRAITS, *JUDGED_TRAITS]
    cases = stays.merge(recent[columns], on="person_id", how="inner")
    ordinary = data.employment[~data.employment["is_subsidised"].astype("bool")]
    spells = ordinary.loc[ordinary["person_id"].isin(recent["person_id"]), ["person_id", "start_date", "end_date"]]
    last = cases["municipality_code"].map(dict(data.untils))
    followed = person_periods(cases.assign(last_date=pd.to_datetime(last)), spells, newest.date())
    return _with_conditions(followed.drop(columns="last_date"), conditions)


def case_stays(data: PersonData, wanted: pd.Series[str]) -> pd.DataFrame:
    """Return one row per person and municipality: entry_date, end_date (empty: still there), has_left.

    The first case begins with the permit, a later one in another municipality when that one takes over, which also
    ends the one before; so does a case taken over more than one interval after the permit, wherever the person was.
    `has_left`: the country was left; then no job can follow. A case closed because of a job goes on: the employment
    tells what came of it.
    """
    import pandas as pd

    cases = data.cases[data.cases["person_id"].isin(wanted)].copy()
    for name in ("permit_date", "takeover_date", "end_date"):
        cases[name] = pd.to_datetime(cases[name])
    cases = cases.sort_values(["person_id", "permit_date", "takeover_date", "municipality_code"], kind="stable")
    cases = cases.drop_duplicates(["person_id", "municipality_code"])
    late = cases["takeover_date"] - cases["permit_date"] > pd.Timedelta(weeks=INTERVAL_WEEKS)
    again = cases["person_id"].duplicated() | late
    entry = cases["permit_date"].where(~again, cases["takeover_date"].fillna(cases["permit_date"]))
    moved_on = entry.shift(-1).where(cases["person_id"].shift(-1) == cases["person_id"]) - pd.Timedelta(days=1)
    reason = cases["end_reason_code"].fillna("") if "end_reason_code" in cases else pd.Series("", index=cases.index)
    ended = cases["end_date"].where(reason != "employed")
    end = ended.where(ended <= moved_on.fillna(pd.Timestamp.max), moved_on)
    gone = reason.isin(LEAVING) & ended.notna() & (ended <= moved_on.fillna(pd.Timestamp.max))
    out = cases[["person_id", "municipality_code"]].assign(entry_date=entry, end_date=end, has_left=gone)
    return pd.DataFrame(out.reset_index(drop=True))


def _with_conditions(followed: pd.DataFrame, conditions: pd.DataFrame) -> pd.DataFrame:
    """Return the persons with the conditions of their municipality in the year of the permit, or the nearest known."""
    import pandas as pd

    if "year" not in conditions:
        return followed.merge(conditions, on="municipality_code", how="left")
    years = np.array(sorted(conditions["year"].unique()))
    permit = np.asarray(pd.to_datetime(followed["permit_date"]).dt.year)
    nearest = years[np.abs(permit[:, None] - years[None, :]).argmin(axis=1)]
    return followed.assign(year=nearest).merge(conditions, on=["municipality_code", "year"], how="left")


def newcomers(data: PersonData) -> pd.DataFrame:
    """Return the newcomers, one row per person: permit within NEWCOMER_YEARS of the day the municipality tells until.

    Its own day, not that of all: else a quarter that passes would move the figures of a municipality by the one or two
    whose permit has grown too old, though nothing came from it.
    """
    import pandas as pd

    cases = one_case_per_person(data)
    until = pd.to_datetime(cases["municipality_code"].map(data.untils).fillna(pd.Timestamp(data.until)))
    oldest = until - pd.DateOffset(years=NEWCOMER_YEARS)
    return pd.DataFrame(cases[pd.to_datetime(cases["permit_date"]) > oldest])


def newcomer_counts(data: PersonData) -> pd.DataFrame:
    """Return exact counts of newcomers, never to be published: municipality_code, indicator_id, k, n.

    One row per municipality that delivered and indicator, k of its n newcomers; `newcomers_count` has k = n. Who has
    cases in two municipalities is a newcomer of both, with what each has given (`own_rows`).
    """
    import pandas as pd

    data = own_rows(data)
    new = newcomers(data)
    taken = data.measures[data.measures["person_id"].isin(new["person_id"])]
    used = {kind: set(rows["person_id"]) for kind, rows in taken.groupby("measure_kind_code")}
    flags = {
        "newcomers_count": new["sex_code"].notna() | new["sex_code"].isna(),
        "women_newcomers_pct": new["sex_code"] == "K",
        "basic_education_newcomers_pct": new["education_code"].isin(["none", "primary"]),
        "family_newcomers_pct": new["basis_group"] == "family",
        "activity_ready_newcomers_pct": new["match_category_code"] == "activity_ready",
        **{indicator: new["person_id"].isin(used.get(kind, set())) for indicator, kind in USE_INDICATORS.items()},
    }
    wide = pd.DataFrame({"municipality_code": new["municipality_code"], **flags}).groupby("municipality_code").sum()
    wide = wide.reindex(sorted(data.cases["municipality_code"].unique()), fill_value=0)
    long = wide.rename_axis("municipality_code").reset_index().melt("municipality_code", None, "indicator_id", "k")
    return long.assign(n=long["municipality_code"].map(wide["newcomers_count"]))


def newcomer_shares(data: PersonData, gate: Gate) -> pd.DataFrame:
    """Return the number of newcomers and shares among them per municipality, as the gate lets them out.

    Columns: SHARE_COLUMNS; shares in pct, counts rounded.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for code, indicator, k, n in newcomer_counts(data).itertuples(index=False):
        state = f"{code}:{data.states.get(code, data.state)}"
        if indicator == "newcomers_count":
            cell = gate.count(indicator, state, int(k))
        else:
            cell = gate.share(indicator, state, int(k), int(n), "newcomers_count")
        rows.append(_row(code, indicator, cell, data))
    return pd.DataFrame(rows, columns=SHARE_COLUMNS)


USE_INDICATORS = {
    "use_placement_private_pct": "placement_private",
    "use_placement_public_pct": "placement_public",
    "use_subsidy_private_pct": "subsidy_private",
    "use_subsidy_public_pct": "subsidy_public",
    "use_igu_pct": "igu",
    "use_mentor_pct": "mentor",
}
SHARE_COLUMNS = [
    "municipality_code", "indicator_id", "period", "reference_date", "value", "numerator", "denominator",
    "value_status",
]  # fmt: skip


def _row(code: str, indicator: str, cell: Cell, data: PersonData) -> dict[str, Any]:
    return {
        "municipality_code": code, "indicator_id": indicator, "period": f"{data.until.year}",
        "reference_date": data.until.isoformat(), "value": cell.value, "numerator": cell.numerator,
        "denominator": cell.denominator, "value_status": cell.status,
    }  # fmt: skip


PLACEMENTS = ("placement_private", "placement_public", "subsidy_private", "subsidy_public", "igu", "industry_package")
FOLLOWED_WITHIN_DAYS = 182


def placements(data: PersonData, crosswalk: pd.DataFrame) -> pd.DataFrame:
    """Return placements with an industry: municipality_code, industry_code (37 groups), followed_by_job (bool).

    Followed by a job: an ordinary job of the same person that starts within half a year after the placement's end.
    """
    import pandas as pd

    from transforms.models.industries import to_level

    wanted = data.measures["measure_kind_code"].isin(PLACEMENTS)
    rows = data.measures[wanted & data.measures["industry_code"].notna() & data.measures["end_date"].notna()].copy()
    if rows.empty:
        return pd.DataFrame({"municipality_code": [], "industry_code": [], "followed_by_job": []})
    rows["industry_code"] = to_level(rows["industry_code"], "db07_6", "db07_37_code", crosswalk)
    rows["placement"] = range(len(rows))
    jobs = data.employment.loc[~data.employment["is_subsidised"].astype("bool"), ["person_id", "start_date"]]
    both = rows[["placement", "person_id", "end_date"]].merge(jobs, on="person_id")
    waited = (pd.to_datetime(both["start_date"]) - pd.to_datetime(both["end_date"])).dt.days
    followed = set(both.loc[waited.between(0, FOLLOWED_WITHIN_DAYS), "placement"])
    rows["followed_by_job"] = rows["placement"].isin(followed)
    return pd.DataFrame(rows[["municipality_code", "industry_code", "followed_by_job"]])


ROLE_ORDER = {"joint": 0, "leader": 1}
RATINGS = ["leadership", "targeting", "firm", "danish", "family_health", "data_use"]


def organisation_rows(data: PersonData) -> pd.DataFrame:
    """Return one row per municipality and reference date: facts of the first respondent, ratings with their spread.

    Facts come from the joint answer or the leader's where there are several; judgements are the mean of all, with
    the lowest and highest, since the spread is part of what they say.
    """
    import pandas as pd

    rows = data.organisation.copy()
    rows["_order"] = rows["respondent_role_code"].map(ROLE_ORDER).fillna(9)
    rows = rows.sort_values(["municipality_code", "reference_date", "_order", "_row_number"])
    keys = ["municipality_code", "reference_date"]
    facts = rows.groupby(keys, as_index=False).first()
    counts = rows.groupby(keys, as_index=False).size().rename(columns={"size": "respondent_count"})
    out = facts.merge(counts, on=keys)
    for theme in RATINGS:
        column = f"rating_{theme}"
        spread = rows.groupby(keys)[column].agg(["mean", "min", "max"]).astype("float64").reset_index()
        spread.columns = pd.Index([*keys, f"{column}_mean", f"{column}_lowest", f"{column}_highest"])
        out = out.drop(columns=column).merge(spread, on=keys)
    return pd.DataFrame(out)


PERSON_SHARES = ("contract_within_1_month_pct", "started_within_14d_pct", "started_within_30d_pct")
PERSON_DAYS = ("start_firm_directed_days_median", "health_assessment_days")
"""Answers that are shares of, or days over, the municipality's newcomers."""


def guarded_organisation(data: PersonData, gate: Gate) -> pd.DataFrame:
    """Return `organisation_rows` with the answers that count persons as the gate lets them out, and `is_withheld`.

    A share answered is taken to be of the newcomers, so it is turned into a count of them, rounded and turned back;
    days over too few newcomers are empty (`is_withheld`). The number of respondents is rounded, and empty where it may
    be below the threshold; so are the lowest and highest of their judgements then, which would be single persons'.
    """
    import pandas as pd

    counts = newcomer_counts(data).query("indicator_id == 'newcomers_count'").set_index("municipality_code")["n"]
    out = organisation_rows(data)
    withheld = []
    for index, row in out.iterrows():
        code = str(row["municipality_code"])
        state, n = f"{code}:{data.states.get(code, data.state)}", int(counts.get(code, 0))
        withheld.append((gate.rounded("newcomers_count", state, n) or 0) < gate.least)
        for column in PERSON_SHARES:
            if pd.notna(row[column]) and n:
                figure = f"{column}:{row['reference_date']}"
                cell = gate.share(figure, state, round(float(row[column]) * n / 100), n, "newcomers_count")
                out.loc[index, column] = cell.value
    out["is_withheld"] = withheld
    for column in (*PERSON_SHARES, *PERSON_DAYS):
        out[column] = out[column].astype("Float64").mask(out["is_withheld"])
    asked = zip(out["municipality_code"], out["reference_date"], out["respondent_count"], strict=True)
    answers = [(f"respondent_count:{day}", str(code), int(n)) for code, day, n in asked]
    few = pd.Series([gate.is_few(*each) for each in answers], index=out.index, dtype="bool")
    for theme in RATINGS:
        for end in ("lowest", "highest"):
            out[f"rating_{theme}_{end}"] = out[f"rating_{theme}_{end}"].mask(few)
    told = pd.Series([gate.rounded(*each) for each in answers], index=out.index, dtype="Int64")
    return out.assign(respondent_count=told.mask(few))


def placement_counts(data: PersonData, crosswalk: pd.DataFrame, gate: Gate) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return placements by municipality and industry, and by industry with those followed by a job, all rounded.

    First frame: municipality_code, industry_code, placements_count; second: industry_code, placements_count,
    followed_by_job_count. A count that is withheld is empty. The country is rounded for itself.
    """
    import pandas as pd

    rows = placements(data, crosswalk)
    # Every industry has a row everywhere: a nought among those that are told may be none or a few.
    places = sorted({*data.cases["municipality_code"], *rows["municipality_code"]})
    every = pd.MultiIndex.from_product(
        [places, sorted(crosswalk["db07_37_code"].unique())], names=["municipality_code", "industry_code"]
    )
    counted = rows.groupby(["municipality_code", "industry_code"])["followed_by_job"].size()
    local = counted.reindex(every, fill_value=0).reset_index(name="k")
    national = rows.groupby("industry_code")["followed_by_job"].agg(["size", "sum"]).reset_index()
    local["placements_count"] = [
        gate.part(f"placements_count:{industry}", f"{code}:{data.states.get(code, data.state)}", k)
        for code, industry, k in local.itertuples(index=False)
    ]
    whole = "national_placements_count:{}".format
    told = [
        (
            gate.part(whole(industry), data.state, int(n)),
            gate.share(
                f"national_followed_by_job_count:{industry}", data.state, int(k), int(n), whole(industry)
            ).numerator,
        )
        for industry, n, k in national.itertuples(index=False)
    ]
    national[["placements_count", "followed_by_job_count"]] = pd.DataFrame(told, index=national.index, columns=[0, 1])
    return (
        local[["municipality_code", "industry_code", "placements_count"]].astype({"placements_count": "Float64"}),
        national[["industry_code", "placements_count", "followed_by_job_count"]].astype(
            {"placements_count": "Float64", "followed_by_job_count": "Float64"}
        ),
    )


# From permits and employment spells to one time-to-job record per person, and Kaplan-Meier figures of them.


JOB_WEEKS = 13
FOLLOW_UP_WEEKS = 156
INTERVAL_WEEKS = 13


def first_jobs(cases: pd.DataFrame, employment: pd.DataFrame, until: date, job_weeks: int = JOB_WEEKS) -> pd.DataFrame:
    """Return per person the start of the first job of at least `job_weeks` weeks after the permit.

    Spells that overlap or follow one another without a free day are one job (the length of employment counts,
    not the employer); days before the permit do not count, nor does a job with wage subsidy where that is told. Input:
    cases (person_id, permit_date), employment (person_id, start_date, end_date; empty end = still running at
    `until`; optional is_subsidised). Output: person_id, job_start_date.
    """
    import pandas as pd

    if "is_subsidised" in employment:
        employment = employment[~employment["is_subsidised"].fillna(False).astype(bool)]
    people = pd.Index(cases["person_id"])
    who = people.get_indexer(employment["person_id"])
    frame = pd.DataFrame({"who": who})
    last_day = pd.Timestamp(until)
    frame["start"] = _days(employment["start_date"]).to_numpy()
    frame["end"] = _days(employment["end_date"].fillna(last_day)).clip(upper=_day(last_day)).to_numpy()
    frame = frame[(frame["who"] >= 0) & (frame["end"] >= frame["start"])]
    frame = frame.sort_values(["who", "start"], kind="stable", ignore_index=True)
    reach = frame.groupby("who")["end"].cummax()
    follows = (frame["who"].shift() == frame["who"]) & (frame["start"] <= reach.shift() + 1)
    frame["job"] = (~follows).cumsum()
    jobs = frame.groupby("job", as_index=False).agg(who=("who", "first"), start=("start", "min"), end=("end", "max"))
    permit = _days(cases["permit_date"]).to_numpy()
    jobs["start"] = np.maximum(jobs["start"].to_numpy(), permit[jobs["who"].to_numpy()])
    jobs = jobs[jobs["end"] - jobs["start"] + 1 >= 7 * job_weeks]
    first = jobs.groupby("who")["start"].min()
    return pd.DataFrame({
        "person_id": people[first.index.to_numpy()],
        "job_start_date": pd.to_datetime(first.to_numpy(), unit="D", origin="unix"),
    })  # fmt: skip


def _days(dates: pd.Series[pd.Timestamp]) -> pd.Series[int]:
    import pandas as pd

    return (pd.to_datetime(dates) - pd.Timestamp("1970-01-01")).dt.days


def _day(moment: pd.Timestamp) -> int:
    import pandas as pd

    return (moment - pd.Timestamp("1970-01-01")).days


def person_periods(
    cases: pd.DataFrame, employment: pd.DataFrame, until: date, *,
    job_weeks: int = JOB_WEEKS, follow_up_weeks: int = FOLLOW_UP_WEEKS, interval_weeks: int = INTERVAL_WEEKS,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per case: weeks from permit to first job of >= 13 weeks, censored at three years.

    The outcome of KORA 2017. A job that starts less than 13 weeks before the end of the data, or before the person
    left, cannot be seen to last, so the person counts as followed only until 13 weeks before that day; counting
    such starts as "no job yet" would bias every late cohort.

    Input `cases`: person_id (unique within a municipality), municipality_code, permit_date, end_date (left, died or
    got another status; may be empty), optional entry_date (moved in: at risk here only from then on) and last_date
    (the municipality's own last day), and any covariates, which are passed through. `employment`: see `first_jobs`.
    Output: the cases plus weeks (to job or censoring), has_job, interval_count (whole intervals at risk, the one
    with the job included; 0 = not followed for one interval), job_interval (has_job within those intervals) and
    first_interval (the first whole one here; at or above interval_count when the person was never at risk here).
    Raises DataRefused on a repeated person.
    """
    import pandas as pd

    keys = ["person_id", "municipality_code"] if "entry_date" in cases else ["person_id"]
    repeated = cases.duplicated(keys)
    if repeated.any():
        row = int(np.flatnonzero(repeated.to_numpy())[0]) + 1
        raise DataRefused(
            f"cases: row {row}: the same person occurs twice; rule: one row per person; keep the first permit"
        )
    permit = _days(cases["permit_date"]).to_numpy(np.float64)
    last = pd.Timestamp(until)
    own = _days(cases["last_date"].fillna(last)) if "last_date" in cases else pd.Series(_day(last), index=cases.index)
    end = _days(cases["end_date"]).fillna(own).clip(upper=own).to_numpy(np.float64)
    one_each = cases.drop_duplicates("person_id")
    jobs = first_jobs(one_each, employment, until, job_weeks).set_index("person_id")["job_start_date"]
    # Not `map`, which takes an empty series of dates for one of numbers and fails where nobody has a job.
    job = (_days(jobs.reindex(cases["person_id"])).to_numpy(np.float64) - permit) / 7
    seen = (end + 1 - permit) / 7 - job_weeks
    followed = np.clip(seen, 0, follow_up_weeks)
    whole = np.floor(followed / interval_weeks + 1e-9)
    # The last followed day itself is included: a job starting on it can be seen to last, if there is such a day.
    has_job = np.isfinite(job) & (job <= seen) & (job < follow_up_weeks)
    in_interval = np.floor(np.where(has_job, job, 0) / interval_weeks)
    job_interval = has_job & (in_interval < whole)
    entry = _days(cases["entry_date"]).to_numpy(np.float64) if "entry_date" in cases else permit
    first = np.ceil(np.maximum(entry - permit, 0) / 7 / interval_weeks - 1e-9)
    return cases.assign(
        first_interval=first.astype(np.int64),
        weeks=np.where(has_job, job, followed),
        has_job=has_job,
        interval_count=np.where(job_interval, in_interval + 1, whole).astype(np.int64),
        job_interval=job_interval,
    )


# Time at risk cut where measures begin and end: a person is exposed from the start of a measure on, never before.


STEP_WEEKS = 4
Variant = Literal["started", "phases", "lagged", "without_first_weeks"]
LAG_WEEKS = 13


def measure_weeks(cases: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """Return measures on the clock of the person: person_id, method_code, start_week, end_week since the permit.

    Input `cases`: person_id, permit_date. Input `measures`: person_id, method_code, start_date, end_date (empty =
    still running). Measures of persons who are not among the cases are left out.
    """
    import pandas as pd

    frame = measures.merge(cases[["person_id", "permit_date"]], on="person_id", how="inner")
    permit = pd.to_datetime(frame["permit_date"])
    for name in ("start", "end"):
        frame[f"{name}_week"] = (pd.to_datetime(frame[f"{name}_date"]) - permit).dt.days / 7
    return frame[["person_id", "method_code", "start_week", "end_week"]]


def exposure_spans(
    persons: pd.DataFrame,
    measures: pd.DataFrame,
    methods: list[str],
    covariates: list[str],
    variant: Variant = "started",
) -> pd.DataFrame:
    """Return the spans of `cells.build_cells`: every person's time until job or censoring, cut at measure starts.

    A step of four weeks counts as exposed when the measure had begun by its first day. Attributing the time before
    the start to the measure would give it weeks in which nobody could have found a job and still have been in it
    (immortal time; Suissa 2008, Am. J. Epidemiol. 167:492). Only the first start of each method counts.

    Input `persons`: person_id, municipality_code, weeks, has_job, `covariates`; `measures`: `measure_weeks` output.
    Output: municipality_code, covariates, first, stop, has_event, mask. Bit k of mask: method k has begun (`started`);
    it began at least LAG_WEEKS ago (`lagged`); `without_first_weeks` drops the first step after any start;
    `phases` uses bit k while the method runs and bit k + len(methods) afterwards.
    """
    import pandas as pd

    weeks, job = persons["weeks"].to_numpy(np.float64), persons["has_job"].to_numpy(bool)
    stop = np.floor(weeks / STEP_WEEKS + 1e-9).astype(np.int64) + job
    who = pd.Index(persons["person_id"]).get_indexer(measures["person_id"])
    frame = pd.DataFrame({"who": who, "k": measures["method_code"].map({m: k for k, m in enumerate(methods)})})
    frame["start"], frame["end"] = measures["start_week"].to_numpy(), measures["end_week"].to_numpy()
    frame = frame[(frame["who"] >= 0) & frame["k"].notna() & frame["start"].notna()]
    frame = frame.sort_values(["who", "k", "start"], kind="stable").drop_duplicates(["who", "k"])
    k = frame["k"].to_numpy(np.int64)
    begun = _step(frame["start"].to_numpy(np.float64) + (LAG_WEEKS if variant == "lagged" else 0))
    person = frame["who"].to_numpy(np.int64)
    base = np.arange(len(persons))
    zero = np.zeros(len(persons), dtype=np.int64)
    cuts = [(base, zero, zero, zero), (person, begun, 1 << k, np.zeros_like(k))]
    if variant == "phases":
        ended = np.maximum(_step(frame["end"].fillna(np.inf).to_numpy(np.float64)), begun)
        cuts.append((person, ended, (1 << (k + len(methods))) - (1 << k), np.zeros_like(k)))
    if variant == "without_first_weeks":
        cuts[1] = (person, begun, 1 << k, np.ones_like(k))
        cuts.append((person, begun + 1, np.zeros_like(k), -np.ones_like(k)))
    joined = [np.concatenate(column) for column in zip(*cuts, strict=True)]
    table = pd.DataFrame(dict(zip(("who", "first", "mask", "fresh"), joined, strict=True)))
    table = table[table["first"] < stop[table["who"].to_numpy()]]
    table = table.groupby(["who", "first"], sort=True)[["mask", "fresh"]].sum().reset_index()
    table[["mask", "fresh"]] = table.groupby("who")[["mask", "fresh"]].cumsum()
    owner = table["who"].to_numpy(np.int64)
    last = np.append(owner[1:] != owner[:-1], True)
    following = np.append(table["first"].to_numpy(np.int64)[1:], 0)
    table["stop"] = np.where(last, stop[owner], following)
    table["has_event"] = last & job[owner]
    columns = ["municipality_code", *covariates]
    people = persons[columns].iloc[owner].reset_index(drop=True)
    spans: pd.DataFrame = pd.concat([people, table], axis=1)
    return spans[spans["fresh"] == 0].drop(columns="fresh")


def _step(week: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the first whole step that begins at or after a week; far beyond any follow-up when never."""
    capped = np.clip(np.nan_to_num(week, nan=1e6, posinf=1e6), 0, 1e6)
    return np.ceil(capped / STEP_WEEKS - 1e-9).astype(np.int64)

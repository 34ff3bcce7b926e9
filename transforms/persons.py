"""Person rows in memory, for the models alone: what leaves this module is counts and shares under disclosure control.

The rows come from the restricted database and are never written to a published file, a snapshot or a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from transforms.disclosure import DEFAULT_K, round_to, safe_rate

if TYPE_CHECKING:
    import pandas as pd

COHORT_YEARS = 8
"""Permits of so many years back are followed: enough persons per municipality, recent enough to speak of today."""
NEWCOMER_YEARS = 3
"""Newcomers are persons whose permit is at most so old: the length of the programme's follow-up (KORA 2017)."""
TRAITS = [
    "sex_code",
    "age_group",
    "education_code",
    "basis_group",
    "origin_group",
    "danish_track_code",
    "has_partner",
    "has_children",
    "cohort",
]
"""What a person brings along (KORA 2017's list as far as deliveries hold it); nothing the municipality decides."""
JUDGED_TRAITS = ["match_category_code"]
"""What the municipality has judged: it steers who is offered what, so methods are compared given it."""
FAMILY = ("family_refugee", "family_other")
TOP_ORIGINS = 8


@dataclass(frozen=True)
class PersonData:
    """The deliveries in force: cases, measures, employment, organisation, and the day they tell until."""

    cases: pd.DataFrame = field(repr=False)
    measures: pd.DataFrame = field(repr=False)
    employment: pd.DataFrame = field(repr=False)
    organisation: pd.DataFrame = field(repr=False)
    until: date
    state: str

    @property
    def period(self) -> str:
        """Return the years of permit the durations speak of, e.g. `2018-2025`."""
        return f"{self.until.year - COHORT_YEARS + 1}-{self.until.year}"


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
    """Return time to the first ordinary job of 13 weeks per person of the cohorts, with traits and labour market.

    `conditions`: municipality_code and one numeric column per condition of the commuting area.
    """
    import pandas as pd

    from transforms.models.spells import person_periods

    cases = one_case_per_person(data)
    start = pd.Timestamp(year=data.until.year - COHORT_YEARS + 1, month=1, day=1)
    recent = cases[pd.to_datetime(cases["permit_date"]) >= start]
    columns = ["person_id", "municipality_code", "permit_date", "end_date", *TRAITS, *JUDGED_TRAITS]
    ordinary = data.employment[~data.employment["is_subsidised"].astype("bool")]
    spells = ordinary.loc[ordinary["person_id"].isin(recent["person_id"]), ["person_id", "start_date", "end_date"]]
    followed = person_periods(recent[columns], spells, data.until)
    return followed.merge(conditions, on="municipality_code", how="left")


def newcomer_shares(data: PersonData, k: int = DEFAULT_K) -> pd.DataFrame:
    """Return shares among newcomers per municipality, under disclosure control.

    Columns: municipality_code, indicator_id, period, reference_date, value, denominator, value_status. The number of
    newcomers is rounded to the nearest five, so that two releases do not tell who came in between.
    """
    import pandas as pd

    cases = one_case_per_person(data)
    oldest = pd.Timestamp(data.until) - pd.DateOffset(years=NEWCOMER_YEARS)
    new = cases[pd.to_datetime(cases["permit_date"]) > oldest]
    taken = data.measures[data.measures["person_id"].isin(new["person_id"])]
    used = {kind: set(rows["person_id"]) for kind, rows in taken.groupby("measure_kind_code")}
    flags = {
        "women_newcomers_pct": new["sex_code"] == "K",
        "basic_education_newcomers_pct": new["education_code"].isin(["none", "primary"]),
        "family_newcomers_pct": new["basis_group"] == "family",
        "activity_ready_newcomers_pct": new["match_category_code"] == "activity_ready",
        **{indicator: new["person_id"].isin(used.get(kind, set())) for indicator, kind in USE_INDICATORS.items()},
    }
    rows: list[dict[str, Any]] = []
    for code, group in new.groupby("municipality_code"):
        n = len(group)
        small = n < k
        rows.append(_row(code, "newcomers_count", None if small else float(round_to(n)), None, data, small))
        for indicator, flag in flags.items():
            share, status = safe_rate(int(flag.loc[group.index].sum()), n, k=k)
            rows.append(_row(code, indicator, share, None if small else round_to(n), data, status == "suppressed"))
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
    "municipality_code",
    "indicator_id",
    "period",
    "reference_date",
    "value",
    "denominator",
    "value_status",
]


def _row(
    code: object, indicator: str, value: float | None, n: float | None, data: PersonData, hidden: bool
) -> dict[str, Any]:
    status = "suppressed" if hidden else "zero" if value == 0 else "observed"
    numbers = {"value": None if hidden else value, "denominator": n}
    period = f"{data.until.year}"
    return {
        "municipality_code": code,
        "indicator_id": indicator,
        "period": period,
        "reference_date": data.until.isoformat(),
        **numbers,
        "value_status": status,
    }


PLACEMENTS = ("placement_private", "placement_public", "subsidy_private", "subsidy_public", "igu", "industry_package")
FOLLOWED_WITHIN_DAYS = 182


def placements(data: PersonData, crosswalk: pd.DataFrame) -> pd.DataFrame:
    """Return placements with an industry: municipality_code, industry_code (37 groups), followed_by_job (bool).

    Followed by a job: an ordinary job of the same person that starts within half a year after the placement's end.
    """
    import pandas as pd

    from transforms.models.crosswalk import to_level

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

"""Person rows in memory: a bucket of them becomes counts, and the counts figures under disclosure control.

The rows come from the restricted database and are never written to a published file, a snapshot or a log; no step after
`counts_of` sees one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transforms.disclosure import Gate
from transforms.models.spells import INTERVAL_WEEKS, histories, measure_weeks, person_periods
from transforms.statistics.tally import Tally, added, tally

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
"""Countries of origin so common that they are a trait of their own."""


@dataclass(frozen=True)
class PersonRows:
    """Rows of persons, all of each: those of one bucket of the pseudonym, or everybody's.

    `until` is the newest day anything is told of, `untils` each municipality's own; `models` is the organisation model
    of each municipality that has answered.
    """

    cases: pd.DataFrame = field(repr=False)
    measures: pd.DataFrame = field(repr=False)
    employment: pd.DataFrame = field(repr=False)
    until: date
    untils: Mapping[str, date] = field(default_factory=dict, repr=False)
    models: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return the rows of cases, measures and employment."""
        return self.cases, self.measures, self.employment

    def with_frames(self, frames: Iterable[pd.DataFrame]) -> PersonRows:
        """Return the same with other rows of cases, measures and employment."""
        cases, measures, employment = frames
        return replace(self, cases=cases, measures=measures, employment=employment)


ROW_COLUMNS = (
    (
        "person_id", "municipality_code", "permit_date", "takeover_date", "end_date", "end_reason_code", "sex_code",
        "age_at_permit_years", "education_code", "residence_basis_code", "origin_country_code", "danish_track_code",
        "match_category_code", "has_partner", "children_count",
    ),
    ("person_id", "municipality_code", "measure_kind_code", "start_date", "end_date", "industry_code"),
    ("person_id", "municipality_code", "start_date", "end_date", "is_subsidised"),
)  # fmt: skip
"""What is counted of the rows of cases, measures and employment."""


@dataclass(frozen=True)
class PersonCounts:
    """What is left of persons: counts per cell, which add up exactly over buckets. Exact, never to be published as is.

    `cases`: municipality_code. `newcomers`: municipality_code, indicator_id. `placements`: municipality_code,
    industry_code (db07_6), followed_by_job. `origins`: is_own, origin_country_code, of one case per person (`is_own`:
    per person and municipality). `durations`: municipality_code, traits, permit_year and the time followed, a person of
    two municipalities taken for two. `first_jobs`: municipality_code, FIRST_JOB_TRAITS and the time followed.
    `first_job_persons`: breakdown_id, breakdown_code, each person once. `histories`: see `spells.histories`. `exposed`:
    method_code.
    """

    cases: Tally
    newcomers: Tally
    placements: Tally
    origins: Tally
    durations: Tally
    first_jobs: Tally
    first_job_persons: Tally
    histories: Tally
    exposed: Tally


@dataclass(frozen=True)
class PersonData:
    """The deliveries that count: persons in cells, the organisation, and the day they tell until.

    `state` and `states` say which draw of the rounding the country's figures and each municipality's get; its own last
    day is in `untils`, and `deliveries` are their ids. `rounding_key` is the secret that figures are rounded with.
    """

    counts: PersonCounts = field(repr=False)
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


# One bucket of persons to counts, and their sum: the only step that sees a person.


FOLLOWED = ["first_interval", "interval_count", "job_interval", "has_left"]
FIRST_JOB_TRAITS = ["sex_code", "education_code", "basis_group", "danish_track_code"]
BROUGHT = ["origin_country_code" if name == "origin_group" else name for name in TRAITS]
"""Traits as they are counted: which countries are groups of their own is known when all are counted."""


def counts_of(rows: PersonRows) -> PersonCounts:
    """Return the counts of a bucket of persons."""
    import pandas as pd

    rows = numbered(rows)
    whole = one_case_per_person(rows)
    followed = followed_persons(rows, whole)
    first = followed[followed["first_interval"] == 0].drop_duplicates("person_id")
    taken = rows.measures.rename(columns={"measure_kind_code": "method_code"})
    weeks = measure_weeks(first[["person_id", "permit_date"]], taken[taken["method_code"] != "other"])
    told, exposed = histories(first, weeks, [*BROUGHT, *JUDGED_TRAITS, "permit_year"])
    # Only who has rows of two municipalities is another when each is taken alone.
    has_moved = _have_moved(rows)
    apart = own_rows(rows.with_frames(frame[has_moved[frame["person_id"]]] for frame in rows.frames))
    alone, each = whole[~has_moved[whole["person_id"]]], one_case_per_person(apart)
    newcomers = [
        tally(new, ["municipality_code", "indicator_id"], new["k"].to_numpy())
        for new in (newcomer_counts(rows, alone), newcomer_counts(apart, each))
    ]
    origins = [
        tally(cases.assign(is_own=is_own), ["is_own", "origin_country_code"])
        for is_own, cases in ((False, whole), (True, alone), (True, each))
    ]
    own = (followed[~has_moved[followed["person_id"]]], followed_persons(apart, each))
    return PersonCounts(
        tally(rows.cases.drop_duplicates(["municipality_code", "person_id"]), ["municipality_code"]),
        added(newcomers),
        tally(placements(rows), ["municipality_code", "industry_code", "followed_by_job"]),
        added(origins),
        added([tally(part, ["municipality_code", *BROUGHT, "permit_year", *FOLLOWED]) for part in own]),
        tally(followed, ["municipality_code", *FIRST_JOB_TRAITS, *FOLLOWED]),
        _first_job_persons(followed, rows.models),
        told,
        tally(
            pd.DataFrame({"method_code": list(exposed)}), ["method_code"], np.array(list(exposed.values()), dtype=int)
        ),
    )


def _have_moved(rows: PersonRows) -> npt.NDArray[np.bool_]:
    """Return of each person, by number, whether there are rows of more than one municipality."""
    seen = [(frame["person_id"].to_numpy(), _municipality_numbers(frame)) for frame in rows.frames]
    home = np.zeros(1 + max(persons.max(initial=0) for persons, _ in seen), dtype=np.int64)
    for persons, numbers in seen:
        home[persons] = numbers
    has_moved = np.zeros(len(home), dtype=np.bool_)
    for persons, numbers in seen:
        has_moved[persons[home[persons] != numbers]] = True
    return has_moved


def _municipality_numbers(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the code of each row's municipality as a number."""
    municipality = frame["municipality_code"].cat
    return np.array(municipality.categories, dtype=np.int64)[municipality.codes]


def add_counts(parts: Sequence[PersonCounts]) -> PersonCounts:
    """Return the sum of the counts of buckets; the same, byte for byte, however persons were put into them."""
    return PersonCounts(
        **{each.name: added([getattr(part, each.name) for part in parts]) for each in fields(PersonCounts)}
    )


def _first_job_persons(followed: pd.DataFrame, models: Mapping[str, str]) -> Tally:
    """Return the persons followed, each once per group, by breakdown_id and breakdown_code."""
    seen = followed[followed["interval_count"] > followed["first_interval"]]
    once = seen.drop_duplicates("person_id").assign(country="000")  # traits are the same wherever somebody was
    by_model = seen.assign(org_model_code=seen["municipality_code"].map(models))
    by_model = by_model.drop_duplicates(["person_id", "org_model_code"])
    parts = []
    for kind in FIRST_JOB_GROUPS:
        persons = (by_model if kind == "org_model_code" else once)[kind].astype("category").value_counts()
        told = persons[persons > 0].rename_axis("breakdown_code").reset_index(name="k").assign(breakdown_id=kind)
        parts.append(tally(told, ["breakdown_id", "breakdown_code"], told["k"].to_numpy()))
    return added(parts)


FIRST_JOB_GROUPS = ("country", "org_model_code", *FIRST_JOB_TRAITS)


def organisation_models(organisation: pd.DataFrame) -> dict[str, str]:
    """Return the organisation model of each municipality by its last answer."""
    answers = organisation.drop_duplicates("municipality_code", keep="last").dropna(subset=["org_model_code"])
    return dict(zip(answers["municipality_code"], answers["org_model_code"], strict=True))


def with_origin_group(cells: Tally, origins: Tally, *, is_own: bool) -> Tally:
    """Return cells with origin_group in place of origin_country_code: the commonest countries, and `other`."""
    import pandas as pd

    of_sort = origins.where(origins.values("is_own") == is_own).frame().dropna()
    common = of_sort.set_index("origin_country_code")["count"].nlargest(TOP_ORIGINS).index
    keep = set(common[pd.notna(common)])
    return cells.renamed("origin_country_code", "origin_group", lambda code: code if code in keep else "other")


def with_conditions(cells: Tally, conditions: pd.DataFrame) -> Tally:
    """Return cells with the conditions of their municipality in the year of the permit, or the nearest that is known.

    `conditions`: municipality_code, year and one numeric column per condition; they stand in the place of permit_year,
    unknown (NaN) where the municipality has none.
    """
    years = np.array(sorted(conditions["year"].unique()))
    nearest = [int(years[np.abs(year - years).argmin()]) for year in cells.levels["permit_year"]]
    table = conditions.set_index(["municipality_code", "year"])
    wanted = [(code, year) for code in cells.levels["municipality_code"] for year in nearest]
    values = table.reindex(wanted).to_numpy(np.float64)
    place = cells.codes["municipality_code"].astype(np.int64) * len(nearest) + cells.codes["permit_year"]
    occurs = np.bincount(place) > 0
    seen, to = np.flatnonzero(occurs), np.cumsum(occurs) - 1
    told = Tally({}, {}, seen).with_columns({str(name): values[seen, j] for j, name in enumerate(table.columns)})
    codes = {name: each[to[place]] for name, each in told.codes.items()}
    kept = cells.only([name for name in cells.levels if name != "permit_year"])
    return Tally({**kept.levels, **told.levels}, {**kept.codes, **codes}, kept.count)


def numbered(rows: PersonRows) -> PersonRows:
    """Return the same rows with a number for each pseudonym, the same for nobody else, and codes as categories.

    Both are shorter to hold and to compare; categories ascend.
    """
    import pandas as pd

    def coded(frame: pd.DataFrame) -> pd.DataFrame:
        codes = {str(name): frame[name].astype("category") for name in frame if str(name).endswith("_code")}
        return frame.assign(**{name: each.cat.set_categories(sorted(each.cat.categories))
                               for name, each in codes.items()})  # fmt: skip

    frames = [coded(frame) for frame in rows.frames]
    codes, _ = pd.factorize(pd.concat([frame["person_id"] for frame in frames], ignore_index=True))
    edges = np.cumsum([len(frame) for frame in frames])[:-1]
    parts = zip(frames, np.split(codes, edges), strict=True)
    return rows.with_frames(frame.assign(person_id=part) for frame, part in parts)


def own_rows(rows: PersonRows) -> PersonRows:
    """Return the same rows with a person of two municipalities taken for two.

    Figures of a municipality are made of its own rows alone: else what another one delivers would move them by the one
    or two persons who have lived in both.
    """

    def own(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(person_id=frame["person_id"] * 1000 + _municipality_numbers(frame))

    rows = numbered(rows)
    return rows.with_frames(map(own, rows.frames))


def one_case_per_person(data: PersonRows) -> pd.DataFrame:
    """Return one case per person: the first permit, at the municipality that took over first. Traits as groups."""
    import pandas as pd

    cases = data.cases.sort_values(["person_id", "permit_date", "takeover_date", "municipality_code"])
    cases = cases.drop_duplicates("person_id").reset_index(drop=True)
    ages, children = (cases[name].astype("float64") for name in ("age_at_permit_years", "children_count"))
    partner = cases["has_partner"]
    years = pd.to_datetime(cases["permit_date"]).dt.year
    cohort, cohorts = pd.factorize((years - data.until.year) // 2, sort=True)
    labels = ["18-24", "25-29", "30-39", "40-49", "50-64"]
    return cases.assign(
        age_group=pd.cut(ages, [17, 24, 29, 39, 49, 64], labels=labels),
        education_code=_filled(cases["education_code"], "unknown"),
        basis_group=_among(["refugee", "family"], cases["residence_basis_code"].isin(FAMILY)),
        danish_track_code=_filled(cases["danish_track_code"], "none"),
        match_category_code=_filled(cases["match_category_code"], "not_assessed"),
        has_partner=_among(["unknown", "yes", "no"], np.select([partner.eq(True), partner.eq(False)], [1, 2])),
        has_children=_among(["unknown", "yes", "no"], np.select([children > 0, children == 0], [1, 2])),
        cohort=_among([str(level) for level in cohorts], cohort),
        is_adult=ages.between(18, 64),
    )


def _among(labels: Sequence[str], places: npt.ArrayLike) -> pd.Categorical[str]:
    """Return for each row the label at its place."""
    import pandas as pd

    return pd.Categorical.from_codes(np.asarray(places, dtype=np.int8), pd.Index(labels))


def _filled(codes: pd.Series[str], missing: str) -> pd.Series[Any]:
    """Return codes as categories, with a code of its own for those that are missing."""
    categories = codes.astype("category")
    return categories.cat.set_categories(sorted({*categories.cat.categories, missing})).fillna(missing)


def last_days(data: PersonRows, municipality: pd.Series[str], otherwise: date | None) -> pd.Series[pd.Timestamp]:
    """Return the last day that the municipality of each row tells of."""
    import pandas as pd

    codes = municipality.astype("category").cat
    days = pd.to_datetime(pd.Series([data.untils.get(code, otherwise) for code in codes.categories], dtype="object"))
    return pd.Series(days.to_numpy()[codes.codes], index=municipality.index)


def followed_persons(data: PersonRows, one_case: pd.DataFrame) -> pd.DataFrame:
    """Return time to the first ordinary job of 13 weeks per person and municipality of the cohorts, with traits.

    Who moved is counted where they were: one row per municipality, at risk there from the day it took over to the day
    the case moved on, each followed to the municipality's own last delivery. `one_case`: `one_case_per_person`.
    """
    import pandas as pd

    newest = max(data.untils.values(), default=data.until)
    traits = one_case[one_case["is_adult"]]
    until = last_days(data, traits["municipality_code"], newest)
    recent = traits[pd.to_datetime(traits["permit_date"]).dt.year > until.dt.year - COHORT_YEARS]
    stays = case_stays(data, recent["person_id"])
    columns = ["person_id", "permit_date", *BROUGHT, *JUDGED_TRAITS]
    cases = stays.merge(recent[columns], on="person_id", how="inner")
    ordinary = data.employment[~data.employment["is_subsidised"].astype("bool")]
    spells = ordinary.loc[ordinary["person_id"].isin(recent["person_id"]), ["person_id", "start_date", "end_date"]]
    last = last_days(data, cases["municipality_code"], None)
    followed = person_periods(cases.assign(last_date=last), spells, newest)
    years = pd.to_datetime(followed["permit_date"]).dt.year
    return followed.drop(columns="last_date").assign(permit_year=years)


def case_stays(data: PersonRows, wanted: pd.Series[str]) -> pd.DataFrame:
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
    reason = cases["end_reason_code"] if "end_reason_code" in cases else pd.Series("", index=cases.index)
    ended = cases["end_date"].where(reason != "employed")
    end = ended.where(ended <= moved_on.fillna(pd.Timestamp.max), moved_on)
    gone = reason.isin(LEAVING) & ended.notna() & (ended <= moved_on.fillna(pd.Timestamp.max))
    out = cases[["person_id", "municipality_code"]].assign(entry_date=entry, end_date=end, has_left=gone)
    return pd.DataFrame(out.reset_index(drop=True))


def newcomers(data: PersonRows, one_case: pd.DataFrame) -> pd.DataFrame:
    """Return the newcomers, one row per person: permit within NEWCOMER_YEARS of the day the municipality tells until.

    Its own day, not that of all: else a quarter that passes would move the figures of a municipality by the one or two
    whose permit has grown too old, though nothing came from it.
    """
    import pandas as pd

    cases = one_case[one_case["is_adult"]]
    until = last_days(data, cases["municipality_code"], data.until)
    oldest = until - pd.DateOffset(years=NEWCOMER_YEARS)
    return pd.DataFrame(cases[pd.to_datetime(cases["permit_date"]) > oldest])


def newcomer_counts(data: PersonRows, one_case: pd.DataFrame) -> pd.DataFrame:
    """Return exact counts of newcomers, never to be published: municipality_code, indicator_id, k.

    One row per municipality that delivered and indicator, all newcomers under `newcomers_count`. Who has cases in two
    municipalities is a newcomer of both, with what each has given: `data` are `own_rows`, `one_case` one of each.
    """
    import pandas as pd

    new = newcomers(data, one_case)
    taken = data.measures[data.measures["person_id"].isin(new["person_id"])]
    used = {kind: rows["person_id"].unique() for kind, rows in taken.groupby("measure_kind_code", observed=True)}
    flags = {
        "newcomers_count": pd.Series(True, index=new.index),
        "women_newcomers_pct": new["sex_code"] == "K",
        "basic_education_newcomers_pct": new["education_code"].isin(["none", "primary"]),
        "family_newcomers_pct": new["basis_group"] == "family",
        "activity_ready_newcomers_pct": new["match_category_code"] == "activity_ready",
        **{indicator: new["person_id"].isin(used.get(kind, [])) for indicator, kind in USE_INDICATORS.items()},
    }
    wide = pd.DataFrame(flags).groupby(new["municipality_code"].astype("object")).sum()
    wide = wide.reindex(sorted(data.cases["municipality_code"].unique()), fill_value=0)
    return wide.rename_axis("municipality_code").reset_index().melt("municipality_code", None, "indicator_id", "k")


def newcomer_shares(data: PersonData, gate: Gate) -> pd.DataFrame:
    """Return the number of newcomers and shares among them per municipality, as the gate lets them out.

    Columns: municipality_code, indicator_id, period, reference_date, value (shares in pct, counts rounded), numerator,
    denominator, value_status.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    counts = newcomers_of(data)
    for (indicator, code), k in sorted(counts.items(), key=lambda each: (SHARES.index(each[0][0]), each[0][1])):
        n = counts["newcomers_count", code]
        state = f"{code}:{data.states.get(code, data.state)}"
        if indicator == "newcomers_count":
            cell = gate.count(indicator, state, int(k))
        else:
            cell = gate.share(indicator, state, int(k), int(n), "newcomers_count")
        rows.append({
            "municipality_code": code, "indicator_id": indicator, "period": f"{data.until.year}",
            "reference_date": data.until.isoformat(), "value": cell.value, "numerator": cell.numerator,
            "denominator": cell.denominator, "value_status": cell.status,
        })  # fmt: skip
    return pd.DataFrame(rows)


def newcomers_of(data: PersonData) -> dict[tuple[str, str], int]:
    """Return (indicator, municipality) -> exact count of newcomers, never to be published."""
    told = data.counts.newcomers.frame("k")
    return {(indicator, code): int(k) for code, indicator, k in told.itertuples(index=False)}


USE_INDICATORS = {
    "use_placement_private_pct": "placement_private",
    "use_placement_public_pct": "placement_public",
    "use_subsidy_private_pct": "subsidy_private",
    "use_subsidy_public_pct": "subsidy_public",
    "use_igu_pct": "igu",
    "use_mentor_pct": "mentor",
}
SHARES = (
    "newcomers_count", "women_newcomers_pct", "basic_education_newcomers_pct", "family_newcomers_pct",
    "activity_ready_newcomers_pct", *USE_INDICATORS,
)  # fmt: skip
"""Indicators of newcomers, in the order they are told."""


PLACEMENTS = ("placement_private", "placement_public", "subsidy_private", "subsidy_public", "igu", "industry_package")
FOLLOWED_WITHIN_DAYS = 182


def placements(data: PersonRows) -> pd.DataFrame:
    """Return placements with an industry: municipality_code, industry_code (db07_6), followed_by_job (bool).

    Followed by a job: an ordinary job of the same person that starts within half a year after the placement's end.
    """
    import pandas as pd

    wanted = data.measures["measure_kind_code"].isin(PLACEMENTS)
    rows = data.measures[wanted & data.measures["industry_code"].notna() & data.measures["end_date"].notna()].copy()
    if rows.empty:
        return pd.DataFrame({"municipality_code": [], "industry_code": [], "followed_by_job": []})
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

    counts = newcomers_of(data)
    out = organisation_rows(data)
    withheld = []
    for index, row in out.iterrows():
        code = str(row["municipality_code"])
        state, n = f"{code}:{data.states.get(code, data.state)}", counts.get(("newcomers_count", code), 0)
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

    from transforms.models.industries import to_level

    rows = data.counts.placements.frame("n")
    rows["industry_code"] = to_level(rows["industry_code"], "db07_6", "db07_37_code", crosswalk)
    rows["followed"] = rows["n"].where(rows["followed_by_job"].astype(bool), 0)
    # Every industry has a row everywhere: a nought among those that are told may be none or a few.
    places = sorted({*data.counts.cases.levels["municipality_code"], *rows["municipality_code"]})
    every = pd.MultiIndex.from_product(
        [places, sorted(crosswalk["db07_37_code"].unique())], names=["municipality_code", "industry_code"]
    )
    counted = rows.groupby(["municipality_code", "industry_code"])["n"].sum()
    local = counted.reindex(every, fill_value=0).reset_index(name="k")
    national = rows.groupby("industry_code")[["n", "followed"]].sum().reset_index()
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

"""The steps that need person rows: durations, newcomers, placements, organisation, methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transforms import frames
from transforms.runner import Model
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from transforms.persons import PersonData

DURATION = "first_job_weeks"
LABOUR_MARKET = ["area_net_unemployed_pct", "area_jobs_share_manufacturing_pct"]
AREA = frozenset({"core.commuting_area_value", "mart.municipality"})
# The deliveries never enter the warehouse; they are named here so that lineage tells what rests on them.
CASES, MEASURES, EMPLOYMENT, ORGANISATION = (
    frozenset({f"raw.delivery_{kind}"}) for kind in ("cases", "measures", "employment", "organisation")
)


def person_models(data: PersonData | None) -> dict[str, Model]:
    """Return the person-level model tables. `data` stays in memory; only guarded results reach the warehouse."""
    return {
        "model.newcomer_share": Model(CASES, lambda warehouse: newcomer_step(data)),
        "model.duration": Model(AREA | CASES | MEASURES | EMPLOYMENT, _with(data, duration_step)),
        "model.method_effect": Model(
            AREA | CASES | MEASURES | EMPLOYMENT | ORGANISATION, _with(data, method_effect_step)
        ),
        "model.placement": Model(MEASURES | EMPLOYMENT | {"reference.industry_crosswalk"}, _with(data, placement_step)),
        "model.organisation": Model(ORGANISATION, lambda warehouse: organisation_step(data)),
    }


def _with(
    data: PersonData | None, step: Callable[[Warehouse, PersonData | None], pd.DataFrame]
) -> Callable[[Warehouse], pd.DataFrame]:
    return lambda warehouse: step(warehouse, data)


def newcomer_step(data: PersonData | None) -> pd.DataFrame:
    """Return the newcomers of each municipality as guarded counts and shares."""
    from transforms.persons import SHARE_COLUMNS, newcomer_shares

    return newcomer_shares(data) if data is not None else frames.empty(SHARE_COLUMNS)


def duration_step(warehouse: Warehouse, data: PersonData | None) -> pd.DataFrame:
    """Return expected against observed weeks to a first lasting job per municipality."""
    from transforms.models.contract import COLUMNS
    from transforms.models.durations import municipal_durations
    from transforms.persons import TRAITS, followed_persons

    market = frames.labour_market(warehouse, LABOUR_MARKET)
    if data is None or market.empty:
        return frames.empty(COLUMNS)
    persons = followed_persons(data, market)
    return municipal_durations(
        persons,
        [*TRAITS, *LABOUR_MARKET],
        outcome_id=DURATION,
        period=data.period,
        municipalities=frames.municipalities(warehouse),
    )


def method_effect_step(warehouse: Warehouse, data: PersonData | None) -> pd.DataFrame:
    """Return how each measure goes together with getting a job, in each organisation and labour market."""
    from transforms.models.exposures import measure_weeks
    from transforms.models.method_effects import method_effects
    from transforms.persons import JUDGED_TRAITS, TRAITS, followed_persons

    market = frames.labour_market(warehouse, LABOUR_MARKET)
    if data is None or market.empty:
        return frames.empty(METHOD_EFFECT_COLUMNS)
    persons = followed_persons(data, market)
    taken = data.measures.rename(columns={"measure_kind_code": "method_code"})
    taken = taken[taken["method_code"] != "other"]
    columns = ["person_id", "method_code", "start_date", "end_date"]
    weeks = measure_weeks(persons[["person_id", "permit_date"]], taken[columns])
    return method_effects(
        persons,
        weeks,
        [*TRAITS, *JUDGED_TRAITS, *LABOUR_MARKET],
        outcome_id=DURATION,
        contexts=contexts(data, market),
    )


METHOD_EFFECT_COLUMNS = [
    "method_code",
    "context_code",
    "outcome_id",
    "hazard_ratio",
    "hazard_ratio_low",
    "hazard_ratio_high",
    "interaction_ratio",
    "interaction_low",
    "interaction_high",
    "n_persons",
    "n_exposed",
    "n_municipalities",
    "heterogeneity",
    "hazard_ratio_lagged",
    "hazard_ratio_without_first_weeks",
    "e_value",
    "value_status",
    "what_it_is_not_da",
    "what_it_is_not_en",
]


def contexts(data: PersonData, market: pd.DataFrame) -> pd.DataFrame:
    """Return the contexts in which methods are compared: organisation from the questionnaire, manufacturing jobs."""
    from transforms.persons import organisation_rows

    newest = organisation_rows(data).sort_values("reference_date").drop_duplicates("municipality_code", keep="last")
    persons = data.cases.groupby("municipality_code")["person_id"].nunique()
    per_hundred = 100 * newest["job_consultants_fte"].astype("float64") / newest["municipality_code"].map(persons)
    told = newest[["municipality_code"]].assign(
        is_colocated=newest["physical_colocation_code"] == "same_site",
        job_consultants_per_100=per_hundred,
        has_danish_parallel=newest["danish_parallel_with_placement_code"].isin(["always", "mostly"]),
    )
    jobs = market[["municipality_code", "area_jobs_share_manufacturing_pct"]]
    return told.merge(jobs, on="municipality_code").dropna()


def placement_step(warehouse: Warehouse, data: PersonData | None) -> pd.DataFrame:
    """Return placements per municipality and industry, and how many were followed by a job; stays in the build."""
    from transforms.persons import placements

    columns = ["municipality_code", "industry_code", "placements_count", "followed_by_job_count"]
    if data is None:
        return frames.empty(columns)
    rows = placements(data, frames.reference_table(warehouse, "industry_crosswalk"))
    grouped = rows.groupby(["municipality_code", "industry_code"])["followed_by_job"].agg(["size", "sum"])
    return grouped.reset_index().set_axis(columns, axis=1)


def organisation_step(data: PersonData | None) -> pd.DataFrame:
    """Return the organisation questionnaire, one row per municipality and reference date."""
    from transforms.persons import organisation_rows

    return organisation_rows(data) if data is not None else frames.empty(ORGANISATION_COLUMNS)


ORGANISATION_FACTS = [
    "org_model_code",
    "physical_colocation_code",
    "family_coordinator_code",
    "contract_responsible_code",
    "contract_within_1_month_pct",
    "start_firm_directed_days_median",
    "started_within_14d_pct",
    "started_within_30d_pct",
    "caseload_per_caseworker_count",
    "job_consultants_fte",
    "has_dedicated_job_consultants",
    "danish_provider_code",
    "danish_parallel_with_placement_code",
    "has_workplace_danish",
    "health_assessment_code",
    "health_assessment_days",
    "has_day1_job_ready_rule",
    "intake_screening_code",
    "political_committee_code",
    "has_political_goal",
    "cooperation_municipality_codes",
    "programme_expenditure_dkk",
    "industry_track_codes",
    "industry_packages_code",
    "firm_partnerships_count",
]
RATING_COLUMNS = [
    f"rating_{theme}_{part}"
    for theme in ("leadership", "targeting", "firm", "danish", "family_health", "data_use")
    for part in ("mean", "lowest", "highest")
]
ORGANISATION_COLUMNS = [
    "municipality_code",
    "reference_date",
    "respondent_role_code",
    "respondent_count",
    "value_source_code",
    "confidence_code",
    *ORGANISATION_FACTS,
    *RATING_COLUMNS,
]

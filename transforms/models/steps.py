"""The tables computed in Python: `model.<name>`, what each reads, and the function that makes it.

Each step takes frames out of the warehouse, hands them to the pure models of `transforms/models`, and returns the frame
that `transforms/mart/<table>.sql` publishes, in the dictionary's types. A step whose sources are missing returns an
empty frame of the right columns, so that a mapping can still be built, and says so by having no rows.

One module, since all steps hand frames on to each other and share how a frame is taken out of the warehouse.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from datetime import date
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from transforms.disclosure import Gate
from transforms.tables import Model
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from transforms.models.expected import Modelled
    from transforms.models.persons import PersonData


# Frames the models read: plain queries from core and mart tables to pandas, one function per frame.


def empty(columns: list[str]) -> pd.DataFrame:
    """Return a frame without rows, every column text, for a step whose sources are missing."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype="str") for name in columns})


def labour_market(warehouse: Warehouse) -> pd.DataFrame:
    """Return the labour market within reach year by year: municipality_code, year and the columns of LABOUR_MARKET.

    A year in which one of them is not known takes the nearest year in which it is. Empty when one is not known at all.
    """
    import pandas as pd

    from transforms.models.commuting import reach_conditions

    long = warehouse.frame(
        """
        SELECT value_row.area_code AS municipality_code, year(reference_date)::INTEGER AS year, indicator_id,
               arg_max(value, reference_date)::DOUBLE AS value
        FROM core.indicator_area_value value_row
        JOIN core.area area ON area.area_code = value_row.area_code AND area.area_level = 'municipality'
        WHERE value IS NOT NULL AND list_contains(?, indicator_id)
        GROUP BY ALL ORDER BY ALL
        """,
        [list(LABOUR_MARKET.values())],
    )
    if set(long["indicator_id"]) != set(LABOUR_MARKET.values()):
        return empty(["municipality_code", "year", *LABOUR_MARKET])
    wide = long.pivot(index=["municipality_code", "year"], columns="indicator_id", values="value")
    keys = ["municipality_code", "year"]
    every = pd.MultiIndex.from_product([sorted(long[key].unique()) for key in keys], names=keys)
    wide = wide.reindex(every).rename(columns={value: name for name, value in LABOUR_MARKET.items()})
    known = wide.groupby(level=0).ffill().groupby(level=0).bfill().reset_index()
    return reach_conditions(known[[*keys, *LABOUR_MARKET]], commuting_flows(warehouse))


def municipalities(warehouse: Warehouse) -> list[str]:
    """Return the codes of the 98 municipalities, ascending."""
    return [str(code) for (code,) in warehouse.rows("SELECT municipality_code FROM mart.municipality ORDER BY 1")]


def commuting_flows(warehouse: Warehouse) -> pd.DataFrame:
    """Return employed persons per year: home_code, work_code, year, employed_count (both sexes)."""
    return warehouse.frame(
        """
        SELECT area_code AS home_code, workplace_area_code AS work_code, left(period, 4)::INTEGER AS year,
               sum(value)::DOUBLE AS employed_count
        FROM staging.statbank_pend100
        WHERE value IS NOT NULL
        GROUP BY ALL ORDER BY ALL
        """
    )


def ratio_parts(warehouse: Warehouse) -> pd.DataFrame:
    """Return numerators and denominators of the indicators that are also told for commuting areas."""
    return warehouse.frame(
        """
        SELECT value_row.area_code AS municipality_code, indicator.indicator_id, value_row.period,
               any_value(value_row.reference_date) AS reference_date,
               any_value(value_row.numerator)::DOUBLE * any_value(base.scale) AS numerator,
               any_value(value_row.denominator)::DOUBLE AS denominator
        FROM core.indicator_area_value value_row
        JOIN mart.indicator indicator
            ON indicator.operation = 'commuting_area' AND indicator.numerator_measure = value_row.indicator_id
        JOIN mart.indicator base ON base.indicator_id = indicator.numerator_measure
        JOIN core.area area ON area.area_code = value_row.area_code AND area.area_level = 'municipality'
        GROUP BY ALL ORDER BY ALL
        """
    )


def labour_cells(warehouse: Warehouse, ancestry_code: str) -> pd.DataFrame:
    """Return employed and persons per municipality, year, age group and sex for one ancestry (RAS201).

    Columns: municipality_code, period, age_code, sex_code, k (employed), n (persons); unknown stays empty.
    """
    return warehouse.frame(
        """
        SELECT area.area_code AS municipality_code, period, age_code, sex_code,
               max(value) FILTER (WHERE labour_status_code = '00')::DOUBLE AS k,
               CASE WHEN count(value) = 3 THEN sum(value) END::DOUBLE AS n
        FROM staging.statbank_ras201 cell
        JOIN core.area area ON area.area_code = cell.area_code AND area.area_level = 'municipality'
        WHERE ancestry_code = ? AND age_code NOT IN ('-15', '65-66', '67-')
        GROUP BY ALL ORDER BY ALL
        """,
        [ancestry_code],
    )


def conditions(warehouse: Warehouse, period: str | None = None) -> pd.DataFrame:
    """Return the framework conditions with a weight: municipality_code, indicator_id, value (DOUBLE, may be empty).

    For a period (a year) the newest value at or before its end; without one the newest value there is. The size of
    the population enters as its natural logarithm, `population_log`.
    """
    return warehouse.frame(
        """
        WITH known AS (
            SELECT municipality_code, indicator_id, value, reference_date
            FROM mart.indicator_value
            WHERE value IS NOT NULL AND reference_date <= make_date(coalesce(?, '9999')::INTEGER, 12, 31)
            UNION ALL
            SELECT municipality_code, 'population_log', ln(value), reference_date
            FROM mart.indicator_value
            WHERE indicator_id IN ('population_january_count', 'population_count') AND value > 0
                AND reference_date <= make_date(coalesce(?, '9999')::INTEGER, 12, 31)
        ),
        newest AS (
            SELECT municipality_code, indicator_id, arg_max(value, reference_date)::DOUBLE AS value
            FROM known GROUP BY ALL
        )
        SELECT municipality.municipality_code, weight.indicator_id, newest.value
        FROM mart.municipality municipality
        CROSS JOIN reference.peer_weights weight
        LEFT JOIN newest USING (municipality_code, indicator_id)
        ORDER BY ALL
        """,
        [period, period],
    )


def reference_table(warehouse: Warehouse, name: str, numbers: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a reference table as text columns, those in `numbers` as numbers."""
    frame = warehouse.frame(f"SELECT * FROM reference.{name} ORDER BY ALL")
    return frame.astype(dict.fromkeys(numbers, "float64"))


def industry_jobs(warehouse: Warehouse) -> pd.DataFrame:
    """Return employed persons by municipality of residence and industry (RAS302, 37 groups), per year.

    StatBank has no jobs by workplace in 37 groups per municipality in the tables used; within a commuting area, which
    most residents work in, the employed residents stand for its jobs.
    """
    return warehouse.frame(
        """
        SELECT cell.area_code AS municipality_code, industry_code, left(period, 4)::INTEGER AS year,
               CASE WHEN count(value) = 8 THEN sum(value) END::DOUBLE AS jobs_count
        FROM staging.statbank_ras302 cell
        JOIN core.area area ON area.area_code = cell.area_code AND area.area_level = 'municipality'
        GROUP BY ALL ORDER BY ALL
        """
    )


def national_industries(warehouse: Warehouse) -> pd.DataFrame:
    """Return the employed of the country by industry in the newest year of RAS308: all, and non-western immigrants."""
    return warehouse.frame(
        """
        WITH newest AS (SELECT max(period) AS period FROM staging.statbank_ras308)
        SELECT industry_code,
               sum(value) FILTER (WHERE origin_country_code = 'TOT')::DOUBLE AS employed_count,
               sum(value) FILTER (WHERE origin_country_code = '34')::DOUBLE AS non_western_count
        FROM staging.statbank_ras308 JOIN newest USING (period)
        WHERE origin_country_code IN ('TOT', '34')
        GROUP BY ALL ORDER BY ALL
        """
    )


def industries(warehouse: Warehouse) -> pd.DataFrame:
    """Return the names of the 37 industry groups: industry_code, text_da, text_en."""
    return warehouse.frame(
        """
        SELECT code AS industry_code, text_da, text_en FROM reference.codelists WHERE codelist = 'db07_37' ORDER BY ALL
        """
    )


def non_western_employment_share(warehouse: Warehouse) -> pd.DataFrame:
    """Return non-western immigrants' share of the employed residents of each municipality, newest year, in pct."""
    return warehouse.frame(
        """
        WITH shares AS (
            SELECT top.area_code AS municipality_code, top.period, top.reference_date,
                   (100 * top.value / nullif(bottom.value, 0))::DOUBLE AS non_western_employment_pct
            FROM core.measure top
            JOIN core.measure bottom USING (area_code, reference_date)
            JOIN core.area area ON area.area_code = top.area_code AND area.area_level = 'municipality'
            WHERE top.measure_id = 'ras_imm_non_western_employed' AND bottom.measure_id = 'residents_employed'
        )
        SELECT municipality_code, period, reference_date, non_western_employment_pct
        FROM shares
        WHERE non_western_employment_pct IS NOT NULL
        QUALIFY reference_date = max(reference_date) OVER ()
        ORDER BY ALL
        """
    )


def facts(warehouse: Warehouse) -> pd.DataFrame:
    """Return what is known of each municipality and indicator, beside its peers, the nation and what is expected.

    One row per municipality and indicator: value, text_value, peer_value (mean of the peers that have a value, at
    least four; where fewer have, of the others of the municipality's official group), nation_value, expected_value,
    assessment, n_count, unit, for shares of delivered persons value_error and peer_gap_error (in percentage points),
    and peer_kind (peers | municipality_group). Outcomes with an expectation are indicators as well.
    """
    return warehouse.frame(
        """
        WITH newest AS (
            SELECT value_row.municipality_code, value_row.indicator_id, value_row.value::DOUBLE AS value,
                   value_row.denominator::DOUBLE AS n_count, indicator.unit,
                   -- Chance in a share of n persons; at the ends as if one more and one less had been counted.
                   CASE WHEN indicator.unit = 'pct' AND indicator.operation = 'delivery' AND value_row.denominator > 0
                        THEN greatest(value_row.value * (100 - value_row.value) / value_row.denominator,
                                      (100 / (value_row.denominator + 2)) ^ 2)::DOUBLE END AS variance
            FROM mart.indicator_value value_row JOIN mart.indicator indicator USING (indicator_id)
            WHERE value_row.is_newest AND value_row.value IS NOT NULL
        ),
        compared AS (
            SELECT municipality_code, peer_code, 1 AS choice FROM mart.peer
            UNION ALL
            SELECT own.municipality_code, other.municipality_code, 2
            FROM mart.municipality own
            JOIN mart.municipality other USING (municipality_group_code)
            WHERE own.municipality_code <> other.municipality_code
        ),
        among_peers AS (
            SELECT compared.municipality_code, newest.indicator_id, avg(newest.value) AS peer_value,
                   if(choice = 1, 'peers', 'municipality_group') AS peer_kind,
                   sum(newest.variance) / count(*) ^ 2 AS peer_variance
            FROM compared JOIN newest ON newest.municipality_code = compared.peer_code
            GROUP BY compared.municipality_code, newest.indicator_id, choice
            -- Whose figure is withheld is not like the others: a mean of few of the peers is no mean of the peers.
            HAVING count(*) >= 4
            QUALIFY choice = min(choice) OVER (PARTITION BY compared.municipality_code, newest.indicator_id)
        ),
        nation AS (
            SELECT indicator_id, value::DOUBLE AS nation_value FROM mart.indicator_national WHERE is_newest
        ),
        judged AS (
            SELECT municipality_code, outcome_id AS indicator_id, expected::DOUBLE AS expected_value, assessment,
                   n_count::DOUBLE AS n_expected, observed::DOUBLE AS observed
            FROM mart.expected
            QUALIFY period = max(period) OVER (PARTITION BY outcome_id)
        ),
        answered AS (
            SELECT * FROM mart.organisation
            QUALIFY reference_date = max(reference_date) OVER (PARTITION BY municipality_code)
        ),
        worded AS (
            UNPIVOT (
                SELECT municipality_code, org_model_code, physical_colocation_code, family_coordinator_code,
                       danish_parallel_with_placement_code, industry_packages_code
                FROM answered
            ) ON COLUMNS(* EXCLUDE municipality_code) INTO NAME indicator_id VALUE text_value
        )
        SELECT
            coalesce(newest.municipality_code, judged.municipality_code) AS municipality_code,
            coalesce(newest.indicator_id, judged.indicator_id) AS indicator_id,
            coalesce(newest.value, judged.observed) AS value,
            NULL::VARCHAR AS text_value,
            among_peers.peer_value, nation.nation_value, judged.expected_value, judged.assessment,
            coalesce(judged.n_expected, newest.n_count) AS n_count,
            coalesce(newest.unit, 'weeks') AS unit,
            sqrt(newest.variance) AS value_error,
            sqrt(newest.variance + coalesce(among_peers.peer_variance, 0)) AS peer_gap_error, among_peers.peer_kind
        FROM newest
        FULL JOIN judged USING (municipality_code, indicator_id)
        LEFT JOIN among_peers USING (municipality_code, indicator_id)
        LEFT JOIN nation USING (indicator_id)
        UNION ALL
        SELECT municipality_code, indicator_id, NULL, text_value, NULL, NULL, NULL, NULL, NULL, 'count', NULL, NULL,
               NULL
        FROM worded
        ORDER BY 1, 2
        """
    )


# The steps that need person rows: durations, newcomers, placements, organisation, methods.


Fits = dict[str, "Modelled"]
"""What was fitted, by outcome: laid down by the step that fits, read by those that assess and tell. Exact figures of
persons stay here and never enter the warehouse."""
DURATION = "first_job_weeks"
LABOUR_MARKET = {
    "reach_net_unemployed_pct": "net_unemployed_pct",
    "reach_jobs_share_manufacturing_pct": "jobs_share_manufacturing_pct",
}
"""The labour market a newcomer meets, by the indicator whose mean over the places residents work in it is."""
AREA = frozenset({"core.indicator_area_value", "core.area", "staging.statbank_pend100", "mart.municipality"})
# The deliveries never enter the warehouse; they are named here so that lineage tells what rests on them.
CASES, MEASURES, EMPLOYMENT, ORGANISATION = (
    frozenset({f"raw.delivery_{kind}"}) for kind in ("cases", "measures", "employment", "organisation")
)


def person_models(data: PersonData | None, gate: Gate, fits: Fits) -> dict[str, Model]:
    """Return the person-level model tables. Exact counts stay in memory; only what passed the gate is in the tables."""

    @cache
    def placements(warehouse: Warehouse) -> tuple[pd.DataFrame, pd.DataFrame]:
        return placement_step(warehouse, data, gate)

    placed = MEASURES | EMPLOYMENT | {"reference.industry_crosswalk"}
    figures = {
        "model.newcomer_share": Model(CASES | MEASURES, lambda warehouse: newcomer_step(data, gate)),
        "model.duration": Model(
            AREA | CASES | MEASURES | EMPLOYMENT | {"model.commuting_area"},
            lambda warehouse: duration_step(warehouse, data, gate, fits),
        ),
        "model.first_job": Model(CASES | EMPLOYMENT | ORGANISATION, lambda warehouse: first_job_step(data, gate)),
        "model.method_effect": Model(
            AREA | CASES | MEASURES | EMPLOYMENT | ORGANISATION,
            lambda warehouse: method_effect_step(warehouse, data, gate),
        ),
        "model.placement": Model(placed, lambda warehouse: placements(warehouse)[0]),
        "model.placement_industry": Model(placed, lambda warehouse: placements(warehouse)[1]),
        "model.organisation": Model(ORGANISATION | CASES, lambda warehouse: organisation_step(data, gate)),
    }
    return {
        **figures,
        "model.protection": Model(frozenset({*figures, "model.assessment"}), lambda warehouse: protection_step(gate)),
    }


PROTECTION_COLUMNS = ["figure_id", "cells_count", "withheld_count", "mean_error"]


def protection_step(gate: Gate) -> pd.DataFrame:
    """Return what the gate withheld and the mean error it added, per figure; it has nothing to tell without persons."""
    import pandas as pd

    rows = [
        (figure, cost.cells, cost.withheld, cost.error / shown if (shown := cost.cells - cost.withheld) else None)
        for figure, cost in sorted(gate.costs.items())
    ]
    return pd.DataFrame(rows, columns=PROTECTION_COLUMNS) if rows else empty(PROTECTION_COLUMNS)


def newcomer_step(data: PersonData | None, gate: Gate) -> pd.DataFrame:
    """Return the newcomers of each municipality as guarded counts and shares."""
    from transforms.models.persons import SHARE_COLUMNS, newcomer_shares

    return newcomer_shares(data, gate) if data is not None else empty(SHARE_COLUMNS)


DURATION_DIGITS = {
    "observed": 0, "expected": 0, "difference": 0, "standard_error": 0, "single_low": 0, "single_high": 0,
    "difference_low": 0, "difference_high": 0, "shrunk_difference": 0, "explained_share": 2,
}  # fmt: skip
"""Decimals of what is published of durations, in weeks or per cent. One of 15 persons moves a mean within three years
by up to ten weeks, and intervals span tens of them: whole weeks lose nothing, and tell no person."""


def duration_step(warehouse: Warehouse, data: PersonData | None, gate: Gate, fits: Fits) -> pd.DataFrame:
    """Return the observed weeks to a first lasting job per municipality, through the gate; the fit is laid down."""
    from transforms.models.durations import model_durations
    from transforms.models.expected import COLUMNS
    from transforms.models.persons import TRAITS, with_conditions, with_origin_group

    market = labour_market(warehouse)
    if data is None or market.empty:
        return empty(COLUMNS)
    states = states_of(data)
    followed = with_origin_group(data.counts.durations, data.counts.origins, is_own=True)
    fits[DURATION] = modelled = model_durations(
        with_conditions(followed, market),
        [*TRAITS, *LABOUR_MARKET],
        outcome_id=DURATION,
        period=data.period,
        municipalities=municipalities(warehouse),
        areas=areas(warehouse),
        is_few=lambda code, n: gate.is_few(f"{DURATION}: jobs", states.get(code, code), n),
    )
    told = modelled.rows[modelled.rows["outcome_id"] == DURATION]
    return duration_gate(told[COLUMNS], data, replace(gate, costs={}))


def first_job_step(data: PersonData | None, gate: Gate) -> pd.DataFrame:
    """Return the shares with a first job within one to three years, by organisation model and trait, by the gate.

    Shares are made of rounded numbers of persons and their intervals, in whole per cent, move with them.
    """
    import numpy as np
    import pandas as pd

    from transforms.models.durations import FIRST_JOB_COLUMNS, first_job_shares
    from transforms.models.persons import FIRST_JOB_GROUPS, organisation_models

    if data is None:
        return empty(["breakdown_id", *FIRST_JOB_COLUMNS])
    models = organisation_models(data.organisation)
    persons = data.counts.first_jobs
    places = persons.values("municipality_code")
    model = np.array([models.get(code) for code in places], dtype=object)
    persons = persons.with_columns({"country": np.full(len(persons), "000"), "org_model_code": model})
    followed = data.counts.first_job_persons.frame("n").set_index(["breakdown_id", "breakdown_code"])["n"].to_dict()
    parts = []
    for kind in FIRST_JOB_GROUPS:
        groups = {str(code): persons.where(persons.codes[kind] == place)
                  for place, code in enumerate(persons.levels[kind]) if code is not None}  # fmt: skip
        n = {code: int(followed.get((kind, code), 0)) for code in groups}
        shares = first_job_shares(groups, n, is_few=partial(_is_few, gate, f"first_job:{kind}", data.state))
        told = [_first_job_row(row, kind, data.state, gate) for row in shares.to_dict("records")]
        parts.append(pd.DataFrame(told).assign(breakdown_id=kind))
    return pd.DataFrame(pd.concat(parts, ignore_index=True)[["breakdown_id", *FIRST_JOB_COLUMNS]])


def _is_few(gate: Gate, figure: str, state: str, name: str, count: int) -> bool:
    return (gate.rounded(f"{figure}: {name}", state, count) or 0) < gate.least


def _first_job_row(row: dict[Hashable, Any], kind: str, state: str, gate: Gate) -> dict[Hashable, Any]:
    """Return one row of `first_job_shares` with its share of rounded numbers of persons; empty where it is withheld."""
    names = ("first_job_share_pct", "first_job_share_low_pct", "first_job_share_high_pct")
    share, low, high = (row[name] for name in names)
    figure, n = f"first_job:{kind}: {row['breakdown_code']}", int(row["n_count"])
    if row["value_status"] == "suppressed":
        gate.note(figure, None)
        return row | dict.fromkeys((*names, "n_count"))
    cell = gate.share(f"{figure}: {row['within_years']}", state, round(share * n / 100), n, figure)
    if cell.value is None:
        return row | dict.fromkeys((*names, "n_count")) | {"value_status": "suppressed"}
    moved = cell.value - share
    ends = (float(max(round(low + moved), 0)), float(min(round(high + moved), 100)))
    return row | dict(zip(names, (cell.value, *ends), strict=True)) | {"n_count": cell.denominator}


def duration_gate(rows: pd.DataFrame, data: PersonData, gate: Gate) -> pd.DataFrame:
    """Return rows of durations as they may be published; who is called on a limit that rounds to nought is not.

    Shares are made of rounded numbers of persons, weeks are whole.
    """
    outcome = str(rows["outcome_id"].iloc[0]) if len(rows) else DURATION
    if outcome.endswith("_pct"):
        return gate.estimated_shares(rows, outcome, states_of(data), f"{DURATION}: persons")
    told = gate.estimates(rows, DURATION, states_of(data), DURATION_DIGITS, outcome)
    for _ in range(int((told["value_status"] == "not_applicable").sum())):
        gate.note(outcome, 0.0)  # that fewer than half got a job is told, and as it is
    low, high = told["difference_low"].astype("Float64"), told["difference_high"].astype("Float64")
    called = told["assessment"].isin(["better", "worse"])
    unclear = (called & ((low <= 0) & (high >= 0))).fillna(False).astype(bool)
    told["assessment"] = told["assessment"].mask(unclear, "as_expected")
    return told


def areas(warehouse: Warehouse, *, with_unknown: bool = False) -> pd.DataFrame:
    """Return the labour market of each municipality: municipality_code, commuting_area_code.

    With those of which nothing is known, too: each is then a labour market of its own.
    """
    return warehouse.frame(
        "SELECT municipality_code, commuting_area_code FROM model.commuting_area "
        "WHERE ? OR value_status <> 'missing' ORDER BY 1",
        [with_unknown],
    )


def states_of(data: PersonData) -> dict[str, str]:
    """Return what stands for the deliveries of each municipality, its code included."""
    return {code: f"{code}:{state}" for code, state in data.states.items()}


def method_effect_step(warehouse: Warehouse, data: PersonData | None, gate: Gate) -> pd.DataFrame:
    """Return how each measure goes together with getting a job, in each organisation and labour market.

    The numbers of persons are rounded; the ratios are of the whole country and published with two decimals.
    """
    import pandas as pd

    from transforms.models.methods import method_effects
    from transforms.models.persons import JUDGED_TRAITS, TRAITS, with_conditions, with_origin_group

    market = labour_market(warehouse)
    if data is None or market.empty:
        return empty(METHOD_EFFECT_COLUMNS)
    followed = with_origin_group(data.counts.histories, data.counts.origins, is_own=False)
    told = method_effects(
        with_conditions(followed, market),
        {str(code): int(n) for code, n in data.counts.exposed.frame("n").itertuples(index=False)},
        [*TRAITS, *JUDGED_TRAITS, *LABOUR_MARKET],
        outcome_id=DURATION,
        contexts=contexts(data, market),
    )
    exposed = zip(told["method_code"], told["n_exposed"], strict=True)
    told["n_persons"] = [gate.rounded("followed", data.state, int(n)) or pd.NA for n in told["n_persons"]]
    told["n_exposed"] = [
        pd.NA if pd.isna(n) else gate.rounded(f"exposed:{code}", data.state, int(n)) or pd.NA for code, n in exposed
    ]
    return told


METHOD_EFFECT_COLUMNS = [
    "method_code", "context_code", "outcome_id", "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high",
    "interaction_ratio", "interaction_low", "interaction_high", "interaction_stands", "prediction_low",
    "prediction_high", "n_persons", "n_exposed", "n_municipalities", "heterogeneity", "hazard_ratio_lagged",
    "hazard_ratio_without_first_weeks", "e_value", "value_status", "what_it_is_not_da", "what_it_is_not_en",
]  # fmt: skip


def contexts(data: PersonData, market: pd.DataFrame) -> pd.DataFrame:
    """Return the contexts in which methods are compared: organisation from the questionnaire, manufacturing jobs."""
    from transforms.models.persons import organisation_rows

    newest = organisation_rows(data).sort_values("reference_date").drop_duplicates("municipality_code", keep="last")
    persons = data.counts.cases.frame("n").set_index("municipality_code")["n"]
    per_hundred = 100 * newest["job_consultants_fte"].astype("float64") / newest["municipality_code"].map(persons)
    told = newest[["municipality_code"]].assign(
        is_colocated=newest["physical_colocation_code"] == "same_site",
        job_consultants_per_100=per_hundred,
        has_danish_parallel=newest["danish_parallel_with_placement_code"].isin(["always", "mostly"]),
    )
    newest_market = market.sort_values("year").drop_duplicates("municipality_code", keep="last")
    jobs = newest_market[["municipality_code", "reach_jobs_share_manufacturing_pct"]]
    return told.merge(jobs, on="municipality_code").dropna()


def placement_step(warehouse: Warehouse, data: PersonData | None, gate: Gate) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rounded placements per municipality and industry, and the country's per industry."""
    from transforms.models.persons import placement_counts

    if data is None:
        local = ["municipality_code", "industry_code", "placements_count"]
        return empty(local), empty(["industry_code", "placements_count", "followed_by_job_count"])
    return placement_counts(data, reference_table(warehouse, "industry_crosswalk"), gate)


def organisation_step(data: PersonData | None, gate: Gate) -> pd.DataFrame:
    """Return the organisation questionnaire, one row per municipality and reference date."""
    from transforms.models.persons import guarded_organisation

    return guarded_organisation(data, gate) if data is not None else empty(ORGANISATION_COLUMNS)


ORGANISATION_FACTS = [
    "org_model_code", "physical_colocation_code", "family_coordinator_code", "contract_responsible_code",
    "contract_within_1_month_pct", "start_firm_directed_days_median", "started_within_14d_pct",
    "started_within_30d_pct", "caseload_per_caseworker_count", "job_consultants_fte", "has_dedicated_job_consultants",
    "danish_provider_code", "danish_parallel_with_placement_code", "has_workplace_danish", "health_assessment_code",
    "health_assessment_days", "has_day1_job_ready_rule", "intake_screening_code", "political_committee_code",
    "has_political_goal", "cooperation_municipality_codes", "programme_expenditure_dkk", "industry_track_codes",
    "industry_packages_code", "firm_partnerships_count",
]  # fmt: skip
RATING_COLUMNS = [
    f"rating_{theme}_{part}"
    for theme in ("leadership", "targeting", "firm", "danish", "family_health", "data_use")
    for part in ("mean", "lowest", "highest")
]
ORGANISATION_COLUMNS = [
    "municipality_code", "reference_date", "respondent_role_code", "respondent_count", "value_source_code",
    "confidence_code", *ORGANISATION_FACTS, *RATING_COLUMNS, "is_withheld",
]  # fmt: skip

# The step that matches industries to municipalities, and the frames only it reads.


INDUSTRY_TABLES = frozenset({
    "model.commuting_area", "model.placement", "model.placement_industry", "run.release",
    "staging.statbank_ras302", "staging.statbank_ras308", "core.area", "core.openings", "core.industry_shortage",
    "reference.codelists",
})  # fmt: skip
"""What `industry_step` reads."""


def industry_step(warehouse: Warehouse, gate: Gate) -> pd.DataFrame:
    """Return how each industry fits each municipality: jobs and openings in reach, growth, absorption and shortage."""
    from transforms.models.industries import (
        jobs_in_reach,
        match_industries,
        national_absorption,
        openings_in_reach,
        placement_to_job,
        present_use,
    )

    jobs = industry_jobs(warehouse)
    employed = national_industries(warehouse)
    if jobs.empty or employed.empty:
        return empty(INDUSTRY_COLUMNS)
    within = areas(warehouse, with_unknown=True)
    taken = warehouse.frame("SELECT * FROM model.placement ORDER BY 1, 2")
    followed = warehouse.frame(
        "SELECT * FROM model.placement_industry WHERE followed_by_job_count IS NOT NULL ORDER BY 1"
    )
    posted, entered = openings(warehouse), shortage(warehouse)
    return match_industries(
        jobs_in_reach(jobs, within, int(jobs["year"].max())),
        national_absorption(employed, least_rate_denominator(warehouse)),
        industries(warehouse),
        openings=None if posted.empty else openings_in_reach(posted, within),
        shortage=None if entered.empty else entered,
        to_job=None if followed.empty else placement_to_job(followed, gate.least),
        use=None if taken.empty else present_use(taken, gate.least),
    )


INDUSTRY_COLUMNS = [
    "municipality_code", "industry_code", "jobs_in_reach_count", "jobs_growth_pct", "absorption_pct",
    "openings_count", "openings_status", "shortage_class", "shortage_class_status", "placement_to_job_pct",
    "placement_to_job_status", "present_use_pct", "present_use_status", "score", "score_rank", "score_factors",
    "is_estimated", "value_status", "reason_da", "reason_en",
]  # fmt: skip


def openings(warehouse: Warehouse) -> pd.DataFrame:
    """Return openings posted over twelve months per municipality and industry (37 groups), each with its status."""
    return warehouse.frame(
        """
        SELECT municipality_code, industry_code, openings_posted_count::DOUBLE AS openings_posted_count, value_status
        FROM core.openings ORDER BY ALL
        """
    )


def shortage(warehouse: Warehouse) -> pd.DataFrame:
    """Return the shortage class in force per municipality and industry, where one has been entered."""
    return warehouse.frame(
        "SELECT municipality_code, industry_code, shortage_class FROM core.industry_shortage ORDER BY ALL"
    )


OUTCOME = "employment_rate_non_western_pct"
NON_WESTERN = "25"


def python_models(as_of: date, persons: PersonData | None = None, gate: Gate | None = None) -> dict[str, Model]:
    """Return model table -> how it is computed.

    `as_of` is the day deadlines are judged on; `persons` the deliveries in force, None when there are none; `gate` what
    figures made of them pass.
    """
    gate = gate or Gate()
    indicator_tables = frozenset({"mart.indicator_value", "mart.indicator", "mart.municipality"})
    fits: Fits = {}
    return person_models(persons, gate, fits) | {
        "model.commuting_area": Model(
            frozenset({"staging.statbank_pend100", "mart.municipality"}), commuting_area_step
        ),
        "model.area_condition": Model(
            frozenset({"model.commuting_area", "core.indicator_area_value", "mart.indicator", "core.area"}),
            area_condition_step,
        ),
        "model.expected": Model(
            indicator_tables
            | {"staging.statbank_ras201", "core.area", "reference.peer_weights", "model.commuting_area", "run.release"},
            lambda warehouse: expected_step(warehouse, fits),
        ),
        "model.assessment": Model(
            frozenset({"model.expected", "model.duration"}), lambda warehouse: assessment_step(persons, gate, fits)
        ),
        "model.card": Model(
            frozenset({"model.expected", "model.duration"}), lambda warehouse: card_step(fits, gate, persons)
        ),
        "model.peer": Model(indicator_tables | {"reference.peer_weights"}, peer_step),
        "model.industry_match": Model(INDUSTRY_TABLES, lambda warehouse: industry_step(warehouse, gate)),
        "model.absorption": Model(ABSORPTION_TABLES, absorption_step),
        "model.finding": Model(FACT_TABLES | {"reference.finding_rules"}, finding_step),
        "model.method_candidate": Model(FACT_TABLES | {"reference.methods", "reference.method_rules"}, method_step),
        "model.eligibility": Model(
            frozenset({"mart.municipality", "reference.programmes", "reference.programme_participants"}),
            lambda warehouse: eligibility_step(warehouse, as_of),
        ),
    }


ABSORPTION_TABLES = frozenset({
    "model.commuting_area", "staging.statbank_ras302", "staging.statbank_ras308", "core.area", "core.measure",
    "reference.industry_crosswalk", "run.release",
})  # fmt: skip
FACT_TABLES = frozenset({
    "mart.indicator_value", "mart.indicator", "mart.indicator_national", "mart.municipality", "mart.expected",
    "mart.organisation", "mart.peer",
})  # fmt: skip


def commuting_area_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the commuting area of every municipality; without PEND100 each is an area of its own, status missing."""
    import pandas as pd

    from transforms.models.commuting import commuting_areas

    codes = municipalities(warehouse)
    flows = commuting_flows(warehouse)
    if flows.empty:
        alone = pd.DataFrame({"municipality_code": codes, "commuting_area_code": codes})
        return alone.assign(
            commuting_area_size=1,
            self_containment_share=float("nan"),
            employed_count=float("nan"),
            is_cut_off=False,
            value_status="missing",
        )
    return commuting_areas(flows, codes, int(flows["year"].max()))


def area_condition_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return each ratio indicator over the whole commuting area, per municipality and period."""
    from transforms.models.commuting import area_conditions

    parts = ratio_parts(warehouse)
    within = areas(warehouse)
    if parts.empty or within.empty:
        return empty(AREA_VALUE_COLUMNS)
    dates = parts.groupby(["indicator_id", "period"], as_index=False)["reference_date"].first()
    told = area_conditions(parts.drop(columns="reference_date"), within)
    return told.merge(dates, on=["indicator_id", "period"])


def least_rate_denominator(warehouse: Warehouse) -> int:
    """Return the fewest a rate of a register's counts may rest on, by the setting: over fewer it is noise."""
    return int(warehouse.scalar("SELECT least_rate_denominator FROM run.release"))


def expected_step(warehouse: Warehouse, fits: Fits) -> pd.DataFrame:
    """Return expected against observed employment of non-western immigrants for every year of RAS201, not yet assessed.

    A year before the framework conditions begin has no expectation and no rows.
    """
    from transforms.models.expected import COLUMNS, indirect_standardisation, model_shares

    cells = labour_cells(warehouse, NON_WESTERN)
    years = {}
    for period in sorted(cells["period"].unique()):
        known = wide_conditions(warehouse, period)
        if known.drop(columns="municipality_code").isna().all(axis=None):
            continue
        now = cells[cells["period"] == period].drop(columns="period")
        years[str(period)] = indirect_standardisation(now, ["age_code", "sex_code"]), known
    if not years:
        return empty(COLUMNS)
    least = least_rate_denominator(warehouse)
    fits[OUTCOME] = model_shares(years, outcome_id=OUTCOME, least=least, areas=areas(warehouse))
    return fits[OUTCOME].rows[COLUMNS]


def assessment_step(data: PersonData | None, gate: Gate, fits: Fits) -> pd.DataFrame:
    """Return every outcome assessed: the newest period of all headline outcomes in one comparison, each other alone.

    What rests on person rows passes the gate after it was compared.
    """
    import pandas as pd

    from transforms.models.expected import COLUMNS, assess

    if not fits:
        return empty(COLUMNS)
    both = pd.concat([fit.rows for fit in fits.values()], ignore_index=True)
    newest = both.groupby("outcome_id")["period"].transform("max") == both["period"]
    both["family"] = both["family"].mask(both["family"].notna() & newest, "newest of all outcomes")
    told = assess(both)[COLUMNS]
    registered = told["outcome_id"] == OUTCOME
    parts = [told[registered]]
    if data is not None:
        parts += [duration_gate(part, data, gate) for _, part in told[~registered].groupby("outcome_id", sort=True)]
    return pd.concat(parts, ignore_index=True)


def card_step(fits: Fits, gate: Gate, data: PersonData | None) -> pd.DataFrame:
    """Return the model cards of the models that were fitted in this build.

    Those of persons tell their number rounded, checks in whole weeks, and the rest with three decimals.
    """
    import pandas as pd

    from transforms.models.expected import CARD

    cards = []
    for outcome, fit in fits.items():
        card = fit.card.copy()
        if outcome != OUTCOME and data is not None:
            digits = card["kind"].map({"check": 0}).fillna(3).where(card["term"] != "explained_out_of_sample", 2)
            for column in ("value", "standard_error"):
                told = [round(x, int(d)) if x == x else x for x, d in zip(card[column], digits, strict=True)]
                card[column] = pd.array(told, dtype="Float64")
            people = card["term"] == "persons"
            card.loc[people, "value"] = [
                gate.rounded(f"{DURATION}: all persons", data.state, int(n)) for n in card.loc[people, "value"]
            ]
        cards.append(card)
    return pd.concat(cards, ignore_index=True) if cards else empty(CARD)


def wide_conditions(warehouse: Warehouse, period: str) -> pd.DataFrame:
    """Return one column per framework condition, gaps included: the model fills them and tells.

    The employment rate of persons of Danish origin is left out: it shares its November with the outcome.
    """
    import pandas as pd

    long = conditions(warehouse, period)
    wide = long.pivot(index="municipality_code", columns="indicator_id", values="value").astype("float64")
    known = wide.dropna(axis="columns", how="all").drop(columns="employment_rate_danish_pct", errors="ignore")
    return pd.DataFrame(known.reset_index())


def peer_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the seven nearest municipalities of each on the newest framework conditions."""
    from transforms.models.peers import COLUMNS, find_peers

    long = conditions(warehouse)
    if long["value"].isna().all():
        return empty(COLUMNS)
    weights = reference_table(warehouse, "peer_weights", ("weight",))
    groups = warehouse.frame(
        "SELECT municipality_code, municipality_group_code AS municipality_group FROM mart.municipality ORDER BY 1"
    )
    return find_peers(long, weights, groups)


def absorption_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the absorption to be expected from the industries in reach, and the gap to what is observed.

    One row per municipality and indicator: municipality_code, indicator_id, period, reference_date, value,
    denominator (none: it is a model's), value_status.
    """
    from transforms.models.industries import expected_absorption, jobs_in_reach

    jobs = industry_jobs(warehouse)
    employed = national_industries(warehouse)
    observed = non_western_employment_share(warehouse)
    if jobs.empty or employed.empty or observed.empty:
        return empty(AREA_VALUE_COLUMNS)
    reach = jobs_in_reach(jobs, areas(warehouse, with_unknown=True), int(jobs["year"].max()))
    crosswalk = reference_table(warehouse, "industry_crosswalk")
    share = observed[["municipality_code", "non_western_employment_pct"]]
    told = expected_absorption(reach, employed, share, crosswalk, least_rate_denominator(warehouse))
    long = told.rename(columns={"absorption_gap_pct_points": "absorption_gap_pp"}).melt(
        ["municipality_code", "value_status"], ["expected_absorption_pct", "absorption_gap_pp"], "indicator_id", "value"
    )
    day = observed["reference_date"].iloc[0]
    return long.assign(period=observed["period"].iloc[0], reference_date=day, denominator=None)


AREA_VALUE_COLUMNS = [
    "municipality_code", "indicator_id", "period", "reference_date", "value", "denominator", "value_status",
]  # fmt: skip


def finding_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return challenges and potentials: the rules of `finding_rules.csv` that the figures meet."""
    from transforms.models.findings import find

    rules = reference_table(warehouse, "finding_rules", ("medium_from", "strong_from"))
    names = warehouse.frame(
        "SELECT municipality_code, municipality_name AS name_da, municipality_name_en AS name_en "
        "FROM mart.municipality ORDER BY 1"
    )
    return find(facts(warehouse), rules, names)


def method_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the methods each municipality's figures point to, by the rules of `method_rules.csv`."""
    from transforms.models.methods import method_candidates

    methods, rules = (reference_table(warehouse, name) for name in ("methods", "method_rules"))
    return method_candidates(facts(warehouse), methods, rules)


def eligibility_step(warehouse: Warehouse, as_of: date) -> pd.DataFrame:
    """Return who takes part in and who may apply to each programme."""
    from transforms.models.eligibility import eligibility

    programmes = reference_table(warehouse, "programmes")
    participants = reference_table(warehouse, "programme_participants")
    return eligibility(municipalities(warehouse), programmes, participants, as_of)

"""For each written rule the rows that keep it and the rows that break it: table -> rows, as the rule reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]


@dataclass(frozen=True)
class Case:
    """Rows that keep a rule, the changes to the first row of a table that break it, and how often then."""

    good: Tables
    bad: dict[str, Row]
    violations: int = 1


def cells(table: str, *rows: Row, **same: Any) -> Tables:
    """Return one table whose rows share the values of `same`."""
    return {table: [{**same, **row} for row in rows]}


FOLK1A = cells(
    "staging.statbank_folk1a", {"value": 5_700_000}, area_code="000", sex_code="TOT", age_code="IALT",
    marital_status_code="TOT", period="2016K1",
)  # fmt: skip
FOLK1E = cells(
    "staging.statbank_folk1e",
    {"ancestry_code": "TOT", "value": 5_700_000}, {"ancestry_code": "1", "value": 5_000_000},
    {"ancestry_code": "24", "value": 300_000}, {"ancestry_code": "25", "value": 400_000},
    area_code="000", sex_code="TOT", age_code="IALT", period="2016K1",
)  # fmt: skip
RAS201 = cells(
    "staging.statbank_ras201", {"labour_status_code": "00", "value": 50}, {"labour_status_code": "55", "value": 50},
    area_code="000", ancestry_code="25", period="2015",
)  # fmt: skip
RAS200 = cells(
    "staging.statbank_ras200", {"value": 50.0},
    area_code="000", ancestry_code="25", age_code="16-64", sex_code="TOT", period="2015",
)  # fmt: skip
RAS302 = cells(
    "staging.statbank_ras302", {"value": 100},
    area_code="000", industry_code="A", socio_code="35", age_code="_ALL", sex_code="_ALL", period="2015",
)  # fmt: skip
PEND101 = cells(
    "staging.statbank_pend101",
    {"commuting_code": "NAT", "value": 100}, {"commuting_code": "IND", "value": 40},
    {"commuting_code": "UD", "value": 30}, {"commuting_code": "DAG", "value": 110},
    area_code="101", industry_code="TOT", sex_code="M", period="2015",
)  # fmt: skip
PEND100 = cells(
    "staging.statbank_pend100",
    {"workplace_area_code": "101", "value": 100}, {"workplace_area_code": "084", "value": 9},
    area_code="101", sex_code="M", period="2015",
)  # fmt: skip
AREAS = {"reference.areas": [{"code": "101", "level": "municipality"}, {"code": "084", "level": "region"}]}
HFUDD11 = cells(
    "staging.statbank_hfudd11", {"ancestry_code": "4", "value": 5}, {"ancestry_code": "TOT", "value": 9},
    area_code="101", education_code="H10", age_code="TOT", sex_code="TOT", period="2015",
)  # fmt: skip
AUK01 = cells(
    "staging.statbank_auk01", {"benefit_code": "KH", "value": 5}, {"benefit_code": "TOTUSU", "value": 9},
    area_code="101", sex_code="TOT", age_code="TOT", period="2015K1",
)  # fmt: skip
KY038 = cells(
    "staging.statbank_ky038", {"benefit_code": "10020", "ancestry_code": "20", "value": 5},
    {"benefit_code": "10000", "ancestry_code": "00", "value": 9},
    area_code="101", national_origin_code="TOT", period="2015",
)  # fmt: skip
INDICATOR = {
    "mart.indicator": [
        {
            "indicator_id": "a_pct", "unit": "pct", "operation": "ratio", "scale": 100, "source_id": "s1",
            "producer": "p", "licence": "l", "is_headline": True, "numerator_measure": "n", "denominator_measure": "d",
        }
    ]
}  # fmt: skip
COUNT = {"mart.indicator": [{**INDICATOR["mart.indicator"][0], "indicator_id": "a_pct", "operation": "value"}]}
CODES = [str(code) for code in range(101, 199)]
VALUES = cells(
    "mart.indicator_value", *({"municipality_code": code} for code in CODES), indicator_id="a_pct", period="2015",
    value=25.0, numerator=10.0, denominator=40.0, value_status="observed", is_newest=True,
)  # fmt: skip
MUNICIPALITIES: Tables = {
    "mart.municipality": [
        {
            "municipality_code": code, "municipality_name": code, "population_count": 9, "is_participant": place < 17,
            "project_unit": f"u{min(place, 14)}" if place < 17 else None,
        }
        for place, code in enumerate(CODES)
    ]
}  # fmt: skip
MAPPING = {
    "mart.mapping": [
        {
            "municipality_code": code, "municipality_name": code, "completeness_pct": 99.0,
            "newest_reference_date": "2016-01-01",
        }
        for code in CODES
    ]
}  # fmt: skip
SNAPSHOTS: Tables = {
    "run.snapshot": [
        {
            "snapshot_id": f"{name}/1", "source_id": name, "is_synthetic": True, "origin": "sample",
            "retrieved_at": "2016-12-31",
        }
        for name in ("s1", "s2")
    ],
    "core.measure": [{"measure_id": "n", "value": 1.0}, {"measure_id": "d", "value": 1.0}],
}  # fmt: skip
FOLK1AM = cells(
    "staging.statbank_folk1am", {"value": 5_700_000}, area_code="000", sex_code="TOT", age_code="IALT", period="2016M01"
)
INDOPH1 = cells("staging.statbank_indoph1", {"value": 700_000}, area_code="000", permit_code="0", period="2016")
NATION = cells("mart.indicator_national", {"value": 98 * 25.0}, indicator_id="a_pct", period="2015")
PERSONS = {"mart.indicator": [{**COUNT["mart.indicator"][0], "unit": "persons"}]}

INHABITANTS = {
    "reference.inhabitants": [{"area_code": "000", "inhabitants_from": "5000000", "inhabitants_to": "7000000"}]
}
EDUCATED = cells(
    "staging.statbank_hfudd11", {"value": 3_900_000}, area_code="000", ancestry_code="TOT", education_code="TOT",
    age_code="TOT", sex_code="TOT", period="2016",
)  # fmt: skip
RELEASE = cells(
    "run.release", {"suppression_threshold": 5}, minimum_denominator=15, rounding_base=5, least_rate_denominator=20
)
DELIVERED = RELEASE | {
    "mart.indicator": [
        {"indicator_id": "women_newcomers_pct", "operation": "delivery", "unit": "pct"},
        {"indicator_id": "first_job_weeks", "operation": "delivery", "unit": "weeks"},
    ]
}
MODELLED = (
    "observed",
    "expected",
    "difference",
    "difference_low",
    "difference_high",
    "shrunk_difference",
    "standard_error",
    "single_low",
    "single_high",
)


CASES: dict[str, Case] = {
    "inhabitants_in_bounds_folk1a": Case({**FOLK1A, **INHABITANTS}, {"staging.statbank_folk1a": {"value": 846}}),
    "inhabitants_in_bounds_folk1am": Case({**FOLK1AM, **INHABITANTS}, {"staging.statbank_folk1am": {"value": 8_340}}),
    "inhabitants_in_bounds_folk1e": Case({**FOLK1E, **INHABITANTS}, {"staging.statbank_folk1e": {"value": 700_000}}),
    "population_month_near_quarter": Case(
        {**FOLK1A, **FOLK1AM}, {"staging.statbank_folk1am": {"value": 5_200_000}}
    ),
    "educated_within_population": Case({**FOLK1A, **EDUCATED}, {"staging.statbank_hfudd11": {"value": 700_000}}),
    "population_month_equals_quarter": Case({**FOLK1A, **FOLK1AM}, {"staging.statbank_folk1am": {"value": 5_700_001}}),
    "population_by_ancestry_equals_population": Case(
        {**FOLK1A, **FOLK1E}, {"staging.statbank_folk1a": {"value": 5_700_001}}
    ),
    "ancestries_within_population": Case(FOLK1E, {"staging.statbank_folk1e": {"value": 5_300_000}}),
    "immigrants_equal_residence_bases": Case({**FOLK1E, **INDOPH1}, {"staging.statbank_indoph1": {"value": 600_000}}),
    "employment_rate_matches_counts": Case({**RAS200, **RAS201}, {"staging.statbank_ras200": {"value": 51.6}}),
    "employment_rate_matches_municipal_counts": Case(
        {
            "staging.statbank_ras200": [{**RAS200["staging.statbank_ras200"][0], "area_code": "101"}],
            "staging.statbank_ras201": [{**row, "area_code": "101"} for row in RAS201["staging.statbank_ras201"]],
        },
        {"staging.statbank_ras200": {"value": 50.2}},
    ),
    "labour_counts_near_population": Case(
        {
            **RAS201,
            **cells(
                "staging.statbank_folk1e", {"age_code": "16", "value": 60}, {"age_code": "64", "value": 45},
                {"age_code": "65", "value": 999}, {"age_code": "IALT", "value": 999},
                area_code="000", sex_code="TOT", ancestry_code="25", period="2016K1",
            ),
        },
        {"staging.statbank_ras201": {"value": 150}},
    ),
    "employed_by_country_equal_employed": Case(
        {
            **RAS302,
            "staging.statbank_ras308": [{**RAS302["staging.statbank_ras302"][0], "origin_country_code": "TOT"}],
        },
        {"staging.statbank_ras308": {"value": 99}},
    ),
    "day_population_adds_up": Case(PEND101, {"staging.statbank_pend101": {"value": 101}}),
    "commuters_equal_night_population": Case(
        {**PEND100, **PEND101, **AREAS}, {"staging.statbank_pend100": {"value": 90}}
    ),
    "shares_after_placement_add_up": Case(
        cells(
            "staging.jobindsats_y14d03",
            *(
                {"area_code": area, "measure_name": name, "value": 25.0}
                for area in ("101", "147", "151")
                for name in ("same_firm_pct", "same_industry_pct", "other_industry_pct", "no_job_pct")
            ),
            offer_text="a", target_group_text="b", period="2025QMAT04",
        ),
        {"staging.jobindsats_y14d03": {"value": 12.5}},
    ),
    "benchmark_difference_adds_up": Case(
        cells(
            "staging.jobindsats_y30r21",
            *(
                {"area_code": area, "measure_name": name, "value": value}
                for area in ("101", "147", "151")
                for name, value in (("difference_count", -40), ("actual_count", 160), ("expected_count", 200))
            ),
            period="2025QMAT04",
        ),
        {"staging.jobindsats_y30r21": {"value": 42}},
    ),
    "immigrants_within_educated": Case(HFUDD11, {"staging.statbank_hfudd11": {"value": 10}}),
    "benefits_within_total": Case(AUK01, {"staging.statbank_auk01": {"value": 10}}),
    "benefit_recipients_within_total": Case(KY038, {"staging.statbank_ky038": {"value": 10}}),
    "income_in_kroner": Case(
        cells("staging.statbank_indkp101", {"value": 210_000}, area_code="101", period="2015"),
        {"staging.statbank_indkp101": {"value": 210}},
    ),
    "municipalities_are_98": Case(MUNICIPALITIES, {"mart.municipality": {"municipality_code": "411"}}),
    "participants_are_17": Case(MUNICIPALITIES, {"mart.municipality": {"project_unit": None}}),
    "municipality_has_population": Case(MUNICIPALITIES, {"mart.municipality": {"population_count": None}}),
    "indicator_has_source": Case(INDICATOR, {"mart.indicator": {"licence": None}}),
    "indicator_name_tells_unit": Case(INDICATOR, {"mart.indicator": {"indicator_id": "a_share"}}),
    "indicator_not_empty": Case(
        {**COUNT, **VALUES, **SNAPSHOTS}, {"mart.indicator": {"indicator_id": "b_pct"}}
    ),
    "indicator_covers_all_municipalities": Case(
        VALUES, {"mart.indicator_value": {"municipality_code": "102"}}
    ),
    "value_fits_status": Case(VALUES, {"mart.indicator_value": {"value_status": "suppressed"}}),
    "persons_only_rounded": Case(
        DELIVERED
        | cells(
            "mart.indicator_value", {"value": 25.0, "numerator": 10, "denominator": 40}, municipality_code="101",
            indicator_id="women_newcomers_pct", period="2025",
        ),
        {"mart.indicator_value": {"numerator": 9, "value": 22.5}},
    ),
    "person_models_only_rounded": Case(
        DELIVERED
        | cells(
            "mart.expected", dict.fromkeys(MODELLED, 90.0), municipality_code="101", outcome_id="first_job_weeks",
            period="2018-2025", n_count=85,
        ),
        {"mart.expected": {"observed": 90.25}},
    ),
    "method_effects_only_rounded": Case(
        RELEASE
        | cells(
            "mart.method_effect", {"n_count": 13715}, method_code="igu", context_code="all", exposed_count=655,
            hazard_ratio=1.31, hazard_ratio_low=1.1, hazard_ratio_high=1.5, prediction_low=0.9, prediction_high=1.9,
        ),
        {"mart.method_effect": {"n_count": 13714}},
    ),
    "first_jobs_only_rounded": Case(
        RELEASE
        | cells(
            "mart.first_job", {"first_job_share_pct": 25.0}, breakdown_id="sex_code", breakdown_code="K",
            within_years=1, first_job_share_low_pct=20, first_job_share_high_pct=31, n_count=1200,
        ),
        {"mart.first_job": {"first_job_share_pct": 25.1}},
    ),
    "answers_on_persons_withheld": Case(
        RELEASE
        | cells("mart.indicator_value", {"value": 40}, municipality_code="101", indicator_id="newcomers_count",
                is_newest=True)
        | cells(
            "mart.organisation", {"respondent_count": 5}, municipality_code="101", reference_date="2025-12-31",
            rating_leadership_lowest=1.0, rating_leadership_highest=4.0, contract_within_1_month_pct=50.0,
            started_within_14d_pct=25.0, started_within_30d_pct=50.0, start_firm_directed_days_median=20,
            health_assessment_days=30,
        ),
        {"mart.organisation": {"respondent_count": 2}},
    ),
    "withheld_shares_stay_withheld": Case(
        {
            "reference.complementary_shares": [
                {"source_id": "jobindsats_y14d03", "measure_name": name} for name in ("no_job_pct", "same_firm_pct")
            ]
        }
        | cells(
            "staging.jobindsats_y14d03", {"measure_name": "no_job_pct", "value": 80.0},
            {"measure_name": "same_firm_pct", "value": 20.0}, area_code="101", offer_text="a", target_group_text="b",
            period="2025",
        ),
        {"staging.jobindsats_y14d03": {"value": None}},
    ),
    "withheld_cells_stay_withheld": Case(
        cells("run.covered_table", {"table_name": "staging.statbank_ky038"}, exposed_count=0, cells_text="")
        | cells("core.measure", {"measure_id": "n", "value": 1.0}),
        {"run.covered_table": {"exposed_count": 1}},
    ),
    "withheld_parts_stay_withheld": Case(VALUES, {"mart.indicator_value": {"value_status": "suppressed"}}),
    "ratio_recomputes": Case({**INDICATOR, **VALUES}, {"mart.indicator_value": {"value": 26.0}}),
    "ratio_over_enough": Case({**RELEASE, **INDICATOR, **VALUES}, {"mart.indicator_value": {"denominator": 19.0}}),
    "share_within_100": Case({**INDICATOR, **VALUES}, {"mart.indicator_value": {"value": 100.1}}),
    "newest_period_is_full": Case(
        {**INDICATOR, "mart.indicator_value": VALUES["mart.indicator_value"][:90]},
        {"mart.indicator_value": {"value": None}},
    ),
    "national_is_sum_of_municipalities": Case(
        {**PERSONS, **VALUES, **NATION}, {"mart.indicator_national": {"value": 4900.0}}
    ),
    "mapping_has_98_rows": Case({**MUNICIPALITIES, **MAPPING}, {"mart.mapping": {"municipality_code": "411"}}, 2),
    "mapping_not_mixed": Case({**SNAPSHOTS, **MAPPING}, {"run.snapshot": {"is_synthetic": False}}, 2),
    "mapping_complete_enough": Case(MAPPING, {"mart.mapping": {"completeness_pct": 60.0}}),
    "mapping_not_old": Case({**MAPPING, **SNAPSHOTS}, {"mart.mapping": {"newest_reference_date": "2014-12-30"}}),
}  # fmt: skip

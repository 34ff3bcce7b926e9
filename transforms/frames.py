"""Frames the models read: plain queries from core and mart tables to pandas, one function per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd


def empty(columns: list[str]) -> pd.DataFrame:
    """Return a frame without rows, every column text, for a step whose sources are missing."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype="str") for name in columns})


def labour_market(warehouse: Warehouse, indicators: list[str]) -> pd.DataFrame:
    """Return the newest conditions of the commuting area: municipality_code and a numeric column per indicator.

    Empty when one of them is not known at all.
    """
    import pandas as pd

    long = warehouse.frame(
        """
        SELECT area_code AS municipality_code, indicator_id, arg_max(value, reference_date)::DOUBLE AS value
        FROM core.commuting_area_value WHERE value IS NOT NULL AND list_contains(?, indicator_id)
        GROUP BY ALL ORDER BY ALL
        """,
        [indicators],
    )
    if set(long["indicator_id"]) != set(indicators):
        return empty(["municipality_code", *indicators])
    return pd.DataFrame(long.pivot(index="municipality_code", columns="indicator_id", values="value").reset_index())


def placements(warehouse: Warehouse) -> pd.DataFrame:
    """Return placements per municipality and industry, and how many were followed by a job."""
    return warehouse.frame("SELECT * FROM model.placement ORDER BY 1, 2")


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

    One row per municipality and indicator: value, text_value, peer_value (mean of the peers that have a value),
    nation_value, expected_value, assessment, n_count, unit. Outcomes with an expectation are indicators as well.
    """
    return warehouse.frame(
        """
        WITH newest AS (
            SELECT value_row.municipality_code, value_row.indicator_id, value_row.value::DOUBLE AS value,
                   value_row.denominator::DOUBLE AS n_count, indicator.unit
            FROM mart.indicator_value value_row JOIN mart.indicator indicator USING (indicator_id)
            WHERE value_row.is_newest AND value_row.value IS NOT NULL
        ),
        among_peers AS (
            SELECT peer.municipality_code, newest.indicator_id, avg(newest.value) AS peer_value
            FROM mart.peer peer JOIN newest ON newest.municipality_code = peer.peer_code
            GROUP BY ALL
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
            coalesce(newest.unit, 'weeks') AS unit
        FROM newest
        FULL JOIN judged USING (municipality_code, indicator_id)
        LEFT JOIN among_peers USING (municipality_code, indicator_id)
        LEFT JOIN nation USING (indicator_id)
        UNION ALL
        SELECT municipality_code, indicator_id, NULL, text_value, NULL, NULL, NULL, NULL, NULL, 'count' FROM worded
        ORDER BY 1, 2
        """
    )

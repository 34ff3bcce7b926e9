-- label_da: Kortlægningen
-- label_en: The mapping
-- description: One row per municipality: the headline figures of its starting point and framework conditions, with
--   the dates they are from and how complete the mapping is.
-- grain: municipality_code
WITH newest AS (
    SELECT value_row.*, indicator.is_headline
    FROM mart.indicator_value value_row
    JOIN mart.indicator indicator USING (indicator_id)
    WHERE value_row.is_newest
),
known AS (SELECT count(*) AS total, count(*) FILTER (WHERE is_headline) AS headlines FROM mart.indicator)
SELECT
    municipality.municipality_code,
    municipality.municipality_name,
    municipality.region_name,
    municipality.province_name,
    municipality.municipality_group_da,
    municipality.size_band,
    municipality.is_participant,
    municipality.project_unit,
    municipality.population_count,
    max(newest.value) FILTER (WHERE newest.indicator_id = 'immigrants_non_western_pct') AS non_western_share_pct,
    max(newest.value) FILTER (WHERE newest.indicator_id = 'refugees_and_family_count') AS refugees_and_family_count,
    max(newest.value) FILTER (WHERE newest.indicator_id = 'employment_rate_non_western_pct')
        AS employment_rate_non_western_pct,
    max(newest.value) FILTER (WHERE newest.indicator_id = 'employment_rate_danish_pct') AS employment_rate_danish_pct,
    max(newest.value) FILTER (WHERE newest.indicator_id = 'employment_gap_immigrants_pp') AS employment_gap_pp,
    max(newest.value) FILTER (WHERE newest.indicator_id = 'unemployment_pct') AS unemployment_pct,
    max(newest.value) FILTER (WHERE newest.indicator_id = 'disposable_income_dkk') AS disposable_income_dkk,
    any_value(known.headlines)::INTEGER AS headline_count,
    count(newest.value)::INTEGER AS indicator_count,
    (any_value(known.total) - count(newest.value))::INTEGER AS missing_indicator_count,
    round(100 * count(newest.value) / any_value(known.total), 4)::DECIMAL(18, 4) AS completeness_pct,
    min(newest.reference_date) FILTER (WHERE newest.is_headline AND newest.value IS NOT NULL) AS oldest_reference_date,
    max(newest.reference_date) FILTER (WHERE newest.is_headline AND newest.value IS NOT NULL) AS newest_reference_date
FROM mart.municipality municipality
CROSS JOIN known
LEFT JOIN newest USING (municipality_code)
GROUP BY ALL

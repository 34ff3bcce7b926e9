-- label_da: Måltal af AULKP01
-- label_en: Measures from AULKP01
-- description: Full-time unemployed as a share of the labour force, quarterly average, as published.
-- grain: measure_id, area_code, period
SELECT
    'unemployment_rate' AS measure_id, area_code, period, period_date(period) AS reference_date,
    value, value_status, _snapshot_id
FROM staging.statbank_aulkp01
WHERE age_code = 'TOT' AND sex_code = 'TOT'

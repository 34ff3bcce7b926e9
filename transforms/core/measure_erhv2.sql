-- label_da: Måltal af ERHV2
-- label_en: Measures from ERHV2
-- description: Jobs at workplaces in the area at the end of November.
-- grain: measure_id, area_code, period
SELECT
    'workplace_jobs' AS measure_id, area_code, period, end_of_november(period) AS reference_date,
    value, value_status, _snapshot_id
FROM staging.statbank_erhv2
WHERE industry_code = 'TOT' AND workplace_measure_code = 'ANSATTE'

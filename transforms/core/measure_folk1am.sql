-- label_da: Måltal af FOLK1AM
-- label_en: Measures from FOLK1AM
-- description: Population on the first day of the month.
-- grain: measure_id, area_code, period
SELECT
    'population_month' AS measure_id, area_code, period, period_date(period) AS reference_date,
    value, value_status, _snapshot_id
FROM staging.statbank_folk1am
WHERE sex_code = 'TOT' AND age_code = 'IALT'

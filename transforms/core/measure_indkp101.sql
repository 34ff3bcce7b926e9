-- label_da: Måltal af INDKP101
-- label_en: Measures from INDKP101
-- description: Average disposable income per person over 14 years, as published.
-- grain: measure_id, area_code, period
SELECT
    'disposable_income' AS measure_id, area_code, period, period_date(period) AS reference_date,
    value, value_status, _snapshot_id
FROM staging.statbank_indkp101
WHERE income_unit_code = '116' AND income_type_code = '100' AND sex_code = 'MOK'

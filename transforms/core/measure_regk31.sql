-- label_da: Måltal af REGK31
-- label_en: Measures from REGK31
-- description: Net municipal expenditure on integration, running costs at current prices, in DKK 1,000.
-- grain: measure_id, area_code, period
WITH wanted(account_function_code, measure_id) AS (
    VALUES ('54660', 'spending_integration_programme'), ('54661', 'spending_integration_benefits')
)
SELECT
    measure_id, area_code, period, period_date(period) AS reference_date, value, value_status, _snapshot_id
FROM staging.statbank_regk31 JOIN wanted USING (account_function_code)
WHERE account_dranst_code = '1' AND account_kind_code = 'TOT' AND price_unit_code = 'LOBM'

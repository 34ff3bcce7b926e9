-- label_da: Måltal af KY038
-- label_en: Measures from KY038
-- description: Full-year recipients of cash and integration benefits by origin.
-- grain: measure_id, area_code, period
WITH wanted(benefit_code, national_origin_code, ancestry_code, measure_id) AS (
    VALUES
        ('10000', 'TOT', '00', 'cash_benefit_all'), ('10000', '9', '20', 'cash_benefit_imm_non_western'),
        ('10020', 'TOT', '00', 'integration_benefit_all')
)
SELECT
    measure_id, area_code, period, period_date(period) AS reference_date, value, value_status, _snapshot_id
FROM staging.statbank_ky038 JOIN wanted USING (benefit_code, national_origin_code, ancestry_code)

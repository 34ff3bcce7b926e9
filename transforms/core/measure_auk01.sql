-- label_da: Måltal af AUK01
-- label_en: Measures from AUK01
-- description: Full-time recipients of public benefits, quarterly average. Benefits nest, so no two are added.
-- grain: measure_id, area_code, period
WITH wanted(benefit_code, measure_id) AS (
    VALUES
        ('TOTUSU', 'support_all'), ('TOTLE', 'support_net_unemployed'), ('FP', 'support_disability_pension'),
        ('KH', 'support_social_assistance'), ('SY', 'support_sickness')
)
SELECT
    measure_id, area_code, period, period_date(period) AS reference_date, value, value_status, _snapshot_id
FROM staging.statbank_auk01 JOIN wanted USING (benefit_code)
WHERE sex_code = 'TOT' AND age_code = 'TOT'

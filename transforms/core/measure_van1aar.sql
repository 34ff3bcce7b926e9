-- label_da: Måltal af VAN1AAR
-- label_en: Measures from VAN1AAR
-- description: Immigrations over the year of citizens of the twelve countries most refugees come from.
-- grain: measure_id, area_code, period
SELECT
    'immigration_refugee_countries' AS measure_id, area_code, period, period_date(period) AS reference_date,
    sum_complete(value, value_status, 12) AS value, status_of_sum(value, value_status, 12) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM staging.statbank_van1aar
WHERE sex_code = '_ALL' AND age_code = '_ALL' AND last_residence_code = '_ALL'
    AND citizenship_code IN
        ('5486', '5216', '5404', '5436', '5438', '5289', '5258', '5214', '5278', '5414', '5103', '5704')
GROUP BY area_code, period

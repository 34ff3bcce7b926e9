-- label_da: Måltal af FOLK1A
-- label_en: Measures from FOLK1A
-- description: Population on the first day of the quarter, in all and by sex.
-- grain: measure_id, area_code, period
SELECT
    CASE sex_code WHEN 'TOT' THEN 'population_quarter' WHEN '1' THEN 'men_quarter' ELSE 'women_quarter' END
        AS measure_id,
    area_code, period, period_date(period) AS reference_date, value, value_status, _snapshot_id
FROM staging.statbank_folk1a
WHERE age_code = 'IALT' AND marital_status_code = 'TOT'

-- label_da: Måltal af RAS200
-- label_en: Measures from RAS200
-- description: Employment rates of 16-64-year-olds at the end of November, as published, by ancestry and sex.
-- grain: measure_id, area_code, period
WITH ancestries(ancestry_code, ancestry) AS (
    VALUES
        ('00', 'total'), ('10', 'danish'), ('20', 'immigrants'), ('24', 'imm_western'), ('25', 'imm_non_western'),
        ('34', 'desc_western'), ('35', 'desc_non_western')
),
sexes(sex_code, sex) AS (VALUES ('TOT', ''), ('M', '_men'), ('K', '_women'))
SELECT
    'rate_' || ancestry || sex AS measure_id, area_code, period, end_of_november(period) AS reference_date,
    value, value_status, _snapshot_id
FROM staging.statbank_ras200 JOIN ancestries USING (ancestry_code) JOIN sexes USING (sex_code)
WHERE age_code = '16-64' AND rate_measure_code = 'BFK'

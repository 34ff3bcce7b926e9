-- label_da: Måltal af HFUDD11
-- label_en: Measures from HFUDD11
-- description: Highest completed education of 15-69-year-olds, in all and for immigrants.
-- grain: measure_id, area_code, period
WITH ancestries(ancestry_code, ancestry) AS (VALUES ('TOT', 'population'), ('4', 'immigrants')),
levels(education_codes, level) AS (
    VALUES
        (['TOT'], 'all'), (['H10'], 'basic'), (['H30'], 'vocational'), (['H70'], 'masters'),
        (['H40', 'H50', 'H60', 'H70', 'H80'], 'higher'), (['H90'], 'unknown')
)
SELECT
    'education_' || ancestry || '_' || level AS measure_id, area_code, period, period_date(period) AS reference_date,
    sum_complete(value, value_status, any_value(len(education_codes))) AS value,
    status_of_sum(value, value_status, any_value(len(education_codes))) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM staging.statbank_hfudd11
JOIN ancestries USING (ancestry_code)
JOIN levels ON list_contains(education_codes, education_code)
WHERE age_code = 'TOT' AND sex_code = 'TOT'
GROUP BY ancestry, level, area_code, period

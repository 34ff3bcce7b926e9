-- label_da: Måltal af RAS201
-- label_en: Measures from RAS201
-- description: Persons aged 16-64 at the end of November by labour market status, ancestry and sex.
--   A sum is missing unless all ten age groups and every ancestry, status and sex it is over are there.
-- grain: measure_id, area_code, period
WITH ancestries(ancestry_codes, ancestry) AS (
    VALUES
        (['999', '24', '25', '34', '35'], 'total'), (['999'], 'danish'), (['24', '25'], 'immigrants'),
        (['24'], 'imm_western'), (['25'], 'imm_non_western'), (['35'], 'desc_non_western')
),
statuses(labour_status_codes, status) AS (
    VALUES (['00'], 'employed'), (['50'], 'unemployed'), (['55'], 'outside'), (['00', '50', '55'], 'persons')
),
sexes(sex_codes, sex) AS (VALUES (['M', 'K'], ''), (['M'], '_men'), (['K'], '_women')),
sums AS (
    SELECT *, 10 * len(ancestry_codes) * len(labour_status_codes) * len(sex_codes) AS parts
    FROM ancestries CROSS JOIN statuses CROSS JOIN sexes
),
working_age AS (
    SELECT * FROM staging.statbank_ras201
    WHERE age_code IN ('16-19', '20-24', '25-29', '30-34', '35-39', '40-44', '45-49', '50-54', '55-59', '60-64')
)
SELECT
    'ras_' || ancestry || '_' || status || sex AS measure_id, area_code, period,
    end_of_november(period) AS reference_date,
    sum_complete(value, value_status, any_value(parts)) AS value,
    status_of_sum(value, value_status, any_value(parts)) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM working_age
JOIN sums ON list_contains(ancestry_codes, ancestry_code) AND list_contains(labour_status_codes, labour_status_code)
    AND list_contains(sex_codes, sex_code)
GROUP BY ancestry, status, sex, area_code, period

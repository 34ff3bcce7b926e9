-- label_da: Måltal af FOLK1E
-- label_en: Measures from FOLK1E
-- description: Population on 1 January by ancestry and age. A sum over ages is missing unless every age is there.
-- grain: measure_id, area_code, period
WITH bands(band, age_from, age_to) AS (
    VALUES ('1664', 16, 64), ('1629', 16, 29), ('3049', 30, 49), ('5064', 50, 64)
),
ancestries(ancestry_code, ancestry) AS (
    VALUES ('TOT', 'population'), ('1', 'danish'), ('24', 'imm_western'), ('25', 'imm_non_western')
)
SELECT
    ancestry || '_all' AS measure_id, area_code, period, period_date(period) AS reference_date,
    value, value_status, _snapshot_id
FROM staging.statbank_folk1e JOIN ancestries USING (ancestry_code)
WHERE sex_code = 'TOT' AND age_code = 'IALT' AND period LIKE '%K1'
UNION ALL
SELECT
    ancestry || '_' || band AS measure_id, area_code, period, period_date(period) AS reference_date,
    sum_complete(value, value_status, any_value(age_to - age_from + 1)) AS value,
    status_of_sum(value, value_status, any_value(age_to - age_from + 1)) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM staging.statbank_folk1e
JOIN ancestries USING (ancestry_code)
JOIN bands ON TRY_CAST(age_code AS INTEGER) BETWEEN age_from AND age_to
WHERE sex_code = 'TOT' AND period LIKE '%K1'
GROUP BY ancestry, band, area_code, period

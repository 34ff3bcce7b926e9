-- label_da: Måltal af INDOPH1
-- label_en: Measures from INDOPH1
-- description: Immigrants on 1 January by the residence basis of their first permit.
-- grain: measure_id, area_code, period
WITH bases(measure_id, permit_codes) AS (
    VALUES
        ('permit_all', ['0']), ('permit_asylum', ['13']), ('permit_refugee_family', ['14']),
        ('permit_asylum_and_family', ['13', '14']), ('permit_other_family', ['15', '16']),
        ('permit_work', ['501', '502']), ('permit_study', ['601', '602']), ('permit_ukraine', ['52'])
)
SELECT
    measure_id, area_code, period, period_date(period) AS reference_date,
    sum_complete(value, value_status, any_value(len(permit_codes))) AS value,
    status_of_sum(value, value_status, any_value(len(permit_codes))) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM staging.statbank_indoph1 JOIN bases ON list_contains(permit_codes, permit_code)
GROUP BY measure_id, area_code, period

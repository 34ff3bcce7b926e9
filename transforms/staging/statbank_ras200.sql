-- label_da: Beskæftigelsesfrekvens (ultimo november) efter herkomst (RAS200)
-- label_en: Employment rate (end November) by ancestry (RAS200)
-- description: Employed residents in per cent of the residents aged 16-64 of the same ancestry and sex, end
--   of November.
-- grain: area_code, ancestry_code, age_code, sex_code, rate_measure_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "HERKOMST"             AS ancestry_code,
    "ALDER"                AS age_code,
    "KØN"                  AS sex_code,
    "BEREGNING"            AS rate_measure_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_ras200

-- label_da: Befolkningen den 1. i kvartalet efter herkomst (FOLK1E)
-- label_en: Population at the first day of the quarter by ancestry (FOLK1E)
-- description: Residents aged 16-66 on 1 January by single age and ancestry. There is no code for all
--   immigrants: add 24 and 25.
-- grain: area_code, sex_code, age_code, ancestry_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "KØN"                  AS sex_code,
    "ALDER"                AS age_code,
    "HERKOMST"             AS ancestry_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_folk1e

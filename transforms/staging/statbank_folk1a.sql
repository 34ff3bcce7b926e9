-- label_da: Befolkningen den 1. i kvartalet efter civilstand (FOLK1A)
-- label_en: Population at the first day of the quarter by marital status (FOLK1A)
-- description: Residents on the first day of the quarter; the extract asks for the first quarter only, all
--   ages together.
-- grain: area_code, sex_code, age_code, marital_status_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "KØN"                  AS sex_code,
    "ALDER"                AS age_code,
    "CIVILSTAND"           AS marital_status_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_folk1a

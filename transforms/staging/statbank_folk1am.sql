-- label_da: Befolkningen den 1. i måneden (FOLK1AM)
-- label_en: Population at the first day of the month (FOLK1AM)
-- description: Residents on the first day of the month, all ages and both sexes together.
-- grain: area_code, sex_code, age_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "KØN"                  AS sex_code,
    "ALDER"                AS age_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_folk1am

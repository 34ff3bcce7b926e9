-- label_da: Fuldtidsledige i pct. af arbejdsstyrken (AULKP01)
-- label_en: Full-time unemployed in per cent of the labour force (AULKP01)
-- description: Full-time unemployed in per cent of the labour force, quarter. Rates: never add them.
-- grain: area_code, age_code, sex_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "ALDER"                AS age_code,
    "KØN"                  AS sex_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_aulkp01

-- label_da: Befolkningen (ultimo november) efter arbejdsmarkedsstatus og herkomst (RAS201)
-- label_en: Population (end November) by labour market status and ancestry (RAS201)
-- description: Residents aged 16-64 by labour market status, end of November: the persons behind the rates
--   of RAS200. No dimension has a total.
-- grain: area_code, labour_status_code, ancestry_code, age_code, sex_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "SOCIO"                AS labour_status_code,
    "HERKOMST"             AS ancestry_code,
    "ALDER"                AS age_code,
    "KØN"                  AS sex_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_ras201

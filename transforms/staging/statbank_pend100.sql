-- label_da: Pendling (ultimo november) mellem bopæls- og arbejdsstedsområde (PEND100)
-- label_en: Commuting (end November) between area of residence and area of workplace (PEND100)
-- description: Employed persons by area of residence and area of workplace, end of November. Regions,
--   provinces and municipalities stand on both sides.
-- grain: area_code, workplace_area_code, sex_code, period
SELECT
    "BOPKOM"               AS area_code,
    "ARBEJDSSTED"          AS workplace_area_code,
    "KØN"                  AS sex_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_pend100

-- label_da: Beskæftigede (ultimo november) efter branche og socioøkonomisk status (RAS302)
-- label_en: Employed (end November) by industry and socioeconomic status (RAS302)
-- description: Employed residents (by place of residence) by 37 industries and socioeconomic status, end of
--   November; all ages and both sexes together.
-- grain: area_code, industry_code, socio_code, age_code, sex_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "BRANCHE07"            AS industry_code,
    "SOCIO"                AS socio_code,
    "ALDER"                AS age_code,
    "KØN"                  AS sex_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_ras302

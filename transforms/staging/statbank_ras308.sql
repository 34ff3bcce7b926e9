-- label_da: Beskæftigede (ultimo november) efter oprindelsesland og branche (RAS308)
-- label_en: Employed (end November) by country of origin and industry (RAS308)
-- description: Employed persons in the whole country by origin and 37 industries, end of November. Origin
--   groups and single countries overlap and must not be added.
-- grain: origin_country_code, industry_code, socio_code, age_code, sex_code, period
SELECT
    "OPRINDLAND"           AS origin_country_code,
    "BRANCHE07"            AS industry_code,
    "SOCIO"                AS socio_code,
    "ALDER"                AS age_code,
    "KØN"                  AS sex_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_ras308

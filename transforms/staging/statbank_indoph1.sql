-- label_da: Indvandrere 1. januar efter første opholdsgrundlag (INDOPH1)
-- label_en: Immigrants 1 January by first permit of residence (INDOPH1)
-- description: Immigrants on 1 January by the basis of their first residence permit; 13 asylum and 14
--   family of refugee are the programme's target group.
-- grain: permit_code, area_code, period
SELECT
    "OPHGR1"               AS permit_code,
    "OMRÅDE"               AS area_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_indoph1

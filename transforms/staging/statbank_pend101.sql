-- label_da: Nat- og dagbefolkning (ultimo november) efter branche (PEND101)
-- label_en: Night and day population (end November) by industry (PEND101)
-- description: Employed persons living in, working in and commuting to and from each municipality, end of
--   November. The commuting codes are separate measures.
-- grain: area_code, industry_code, commuting_code, sex_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "BRANCHE07"            AS industry_code,
    "PENDLING"             AS commuting_code,
    "KØN"                  AS sex_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_pend101

-- label_da: Offentligt forsørgede (fuldtidsmodtagere) efter ydelsestype (AUK01)
-- label_en: Persons receiving public benefits (full-time) by type of benefits (AUK01)
-- description: Full-time recipients of public benefits below the pension age, quarter. Subtotals stand
--   among the benefits.
-- grain: area_code, benefit_code, sex_code, age_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "YDELSESTYPE"          AS benefit_code,
    "KØN"                  AS sex_code,
    "ALDER"                AS age_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_auk01

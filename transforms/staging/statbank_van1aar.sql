-- label_da: Indvandringer efter statsborgerskab (VAN1AAR)
-- label_en: Immigrations by citizenship (VAN1AAR)
-- description: Persons who immigrated in the year, by citizenship; both sexes, all ages and all countries
--   of last residence together.
-- grain: area_code, sex_code, age_code, last_residence_code, citizenship_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "KØN"                  AS sex_code,
    "ALDER"                AS age_code,
    "INDVLAND"             AS last_residence_code,
    "STATSB"               AS citizenship_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_van1aar

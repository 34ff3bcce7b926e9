-- label_da: Befolkningens højest fuldførte uddannelse (15-69 år) (HFUDD11)
-- label_en: Educational attainment (15-69 years) (HFUDD11)
-- description: Residents aged 15-69 by highest completed education, 30 September; education from abroad is
--   partly imputed.
-- grain: area_code, ancestry_code, education_code, age_code, sex_code, period
SELECT
    "BOPOMR"               AS area_code,
    "HERKOMST"             AS ancestry_code,
    "HFUDD"                AS education_code,
    "ALDER"                AS age_code,
    "KØN"                  AS sex_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_hfudd11

-- label_da: Stillinger på Jobnet (Jobindsats y25i10)
-- label_en: Openings on Jobnet (Jobindsats y25i10)
-- description: Openings posted on Jobnet by industry, per month.
-- grain: area_code, industry_code, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "INDUSTRY_CODE"        AS industry_code,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_y25i10

-- label_da: Ydelsesmodtagere med ordinære løntimer (Jobindsats otij01)
-- label_en: Benefit recipients with ordinary hours (Jobindsats otij01)
-- description: Benefit recipients with ordinary hours, per month.
-- grain: area_code, benefit_text, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "BENEFIT_TEXT"         AS benefit_text,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_otij01

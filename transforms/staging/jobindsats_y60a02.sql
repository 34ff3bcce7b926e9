-- label_da: Personer på kontanthjælp (Jobindsats y60a02)
-- label_en: Persons on cash assistance (Jobindsats y60a02)
-- description: Persons on cash assistance, per month; since July 2025 with those on the former self-support benefit.
-- grain: area_code, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_y60a02

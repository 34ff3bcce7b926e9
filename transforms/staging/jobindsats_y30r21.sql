-- label_da: Forventet og faktisk andel på offentlig forsørgelse (benchmark) (Jobindsats y30r21)
-- label_en: Expected and actual share on public support (benchmark) (Jobindsats y30r21)
-- description: Expected and actual persons on public support (the ministry's benchmark), over a rolling year.
-- grain: area_code, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_y30r21

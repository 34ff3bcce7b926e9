-- label_da: Personer på offentlig forsørgelse, alle ydelser (Jobindsats ptv_a02)
-- label_en: Persons on public support, all benefits (Jobindsats ptv_a02)
-- description: Persons on public support by benefit, per month. Benefits overlap with their subtotals.
-- grain: area_code, benefit_text, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "BENEFIT_TEXT"         AS benefit_text,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_ptva02

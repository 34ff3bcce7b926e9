-- label_da: Personer på selvforsørgelses- og hjemrejseydelse samt overgangsydelse (Jobindsats y35a02)
-- label_en: Persons on self-support, repatriation and transition benefit (Jobindsats y35a02)
-- description: Persons on self-support, repatriation and transition benefit by ancestry, per month.
-- grain: area_code, ancestry_text, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "ANCESTRY_TEXT"        AS ancestry_text,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_y35a02

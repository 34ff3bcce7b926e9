-- label_da: Kontanthjælp (helårsmodtagere) efter oprindelse og herkomst (KY038)
-- label_en: Cash benefits (full-year recipients) by national origin and ancestry (KY038)
-- description: Full-year recipients of cash benefits by type of benefit, national origin and ancestry.
--   Benefit 10020 covers the integration benefit.
-- grain: area_code, benefit_code, national_origin_code, ancestry_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "YDELSESTYPE"          AS benefit_code,
    "HERKOMST1"            AS national_origin_code,
    "HERKOMST"             AS ancestry_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_ky038

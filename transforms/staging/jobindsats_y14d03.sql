-- label_da: Fra virksomhedsrettet tilbud til beskæftigelse (Jobindsats y14d03)
-- label_en: From firm placement to employment (Jobindsats y14d03)
-- description: Completed firm placements by offer and target group, and what followed, over a rolling year.
-- grain: area_code, offer_text, target_group_text, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "OFFER_TEXT"           AS offer_text,
    "TARGET_GROUP_TEXT"    AS target_group_text,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_y14d03

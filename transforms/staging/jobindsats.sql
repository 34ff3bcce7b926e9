-- label_da: Jobindsats
-- label_en: Jobindsats
-- description: Every cell of the Jobindsats tables in use, in one long table. A withheld cell is suppressed; a cell that
--   only some municipalities have is missing for the others.
-- grain: source_id, measure_name, category_text, area_code, period
SELECT
    source_id, measure_name, coalesce(category_text, '') AS category_text, area_code, period,
    stat_value(value) AS value, status AS value_status, _snapshot_id
FROM raw.jobindsats

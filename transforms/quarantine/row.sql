-- label_da: Rækker i karantæne
-- label_en: Rows in quarantine
-- description: Every delivered row that was not accepted, once per rule it breaks, with the text it was delivered as.
--   A row set aside after loading names its staging table instead of a file. Personal numbers are starred.
-- grain: source_id, _snapshot_id, file_name, row_number, rule_id
SELECT
    NULL AS source_id, NULL AS _snapshot_id, NULL AS file_name, NULL AS row_number, NULL AS rule_id, NULL AS row_text
WHERE false

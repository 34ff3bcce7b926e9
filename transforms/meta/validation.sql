-- label_da: Validering
-- label_en: Validation
-- description: Every rule this build was held to, and how it went. A build is only published when every critical
--   rule holds.
-- grain: table_name, rule_id
SELECT
    run_id, table_name, rule_id, severity, action, description, success, n_violations, rows_scanned, examples, engine
FROM run.validation

-- label_da: Validering
-- label_en: Validation
-- description: Every rule this build was held to, and how it went. A build is only published when every critical
--   rule holds.
-- grain: table_name, rule_id
SELECT
    run_id::VARCHAR                             AS run_id,
    table_name::VARCHAR                         AS table_name,
    rule_id::VARCHAR                            AS rule_id,
    severity::VARCHAR                           AS severity,
    action::VARCHAR                             AS action,
    description::VARCHAR                        AS description,
    success::BOOLEAN                            AS success,
    n_violations::BIGINT                        AS n_violations,
    rows_scanned::BIGINT                        AS rows_scanned,
    examples::VARCHAR                           AS examples,
    engine::VARCHAR                             AS engine
FROM run.validation

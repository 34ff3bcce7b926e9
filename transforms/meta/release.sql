-- label_da: Udgivelse
-- label_en: Release
-- description: What this database is, in one row: fingerprint of data and code, suppression threshold, synthetic mark.
-- grain: run_id
SELECT
    run_id, fingerprint, code_version, suppression_threshold::INTEGER AS suppression_threshold_count,
    is_synthetic, data_mark
FROM run.release

-- label_da: Udgivelse
-- label_en: Release
-- description: What this database is, in one row: fingerprint of data and code, settings of disclosure
--   control, synthetic mark.
-- grain: run_id
SELECT
    run_id, fingerprint, code_version, suppression_threshold AS suppression_threshold_count,
    minimum_denominator AS minimum_denominator_count, rounding_base AS rounding_base_count,
    least_rate_denominator AS least_rate_denominator_count, is_synthetic, data_mark
FROM run.release

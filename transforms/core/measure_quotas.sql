-- label_da: Måltal af flygtningekvoter
-- label_en: Measures from refugee quotas
-- description: The quota announced for a municipality and year, as it was last announced by the day the build looks
--   from; a preliminary one is provisional. A quota is what a municipality was told to receive, not its intake. The
--   figures are real and stay out of a build of invented data.
-- grain: measure_id, area_code, period
SELECT
    'refugee_quota' AS measure_id, municipality_code AS area_code, quota_year AS period,
    period_date(quota_year) AS reference_date, quota AS value,
    CASE WHEN status = 'preliminary' THEN 'provisional' WHEN quota::INTEGER = 0 THEN 'zero' ELSE 'observed' END
        AS value_status,
    NULL AS _snapshot_id
FROM reference.quotas, run.run
-- A quota without a known day of announcement was known before its year.
WHERE
    NOT run.is_synthetic
    AND coalesce(announced_on::DATE, period_date(quota_year)) <= coalesce(run.as_of, run.started_at)::DATE
QUALIFY row_number() OVER (
    PARTITION BY municipality_code, quota_year ORDER BY coalesce(announced_on::DATE, period_date(quota_year)) DESC
) = 1

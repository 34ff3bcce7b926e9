-- label_da: Måltal af Jobindsats
-- label_en: Measures from Jobindsats
-- description: Refugees and family-reunified in employment by month, and the ministry's expected and actual share on
--   public benefits over a rolling year.
-- grain: measure_id, area_code, period
WITH wanted(measure_name, measure_id) AS (
    VALUES
        ('population_count', 'jobindsats_refugees'), ('any_job_pct', 'jobindsats_any_job_rate'),
        ('hours190_pct', 'jobindsats_190h_rate'), ('any_job_count', 'jobindsats_any_job'),
        ('hours190_count', 'jobindsats_190h'), ('expected_pct', 'jobindsats_benefit_expected'),
        ('actual_pct', 'jobindsats_benefit_actual')
)
SELECT
    measure_id, area_code, period,
    CASE
        -- A rolling year is told by its last day.
        WHEN period LIKE '____QMAT__' THEN last_day(make_date(left(period, 4)::INTEGER, 3 * right(period, 2)::INTEGER, 1))
        ELSE period_date(period)
    END AS reference_date,
    value, value_status, _snapshot_id
FROM (FROM staging.jobindsats_refugees UNION ALL BY NAME FROM staging.jobindsats_y30r21) JOIN wanted USING (measure_name)

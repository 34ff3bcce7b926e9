-- table: staging.statbank_erhv2
-- severity: warning
-- action: report
-- reason: The country has about as many jobs (ERHV2) as employed persons (RAS302) in the same November.
-- owner: data-team
WITH employed AS (
    SELECT period, sum(value) AS persons FROM staging.statbank_ras302 WHERE area_code = '000' GROUP BY ALL
)
SELECT period, jobs.value AS erhv2, employed.persons AS ras302
FROM staging.statbank_erhv2 AS jobs
JOIN employed USING (period)
WHERE jobs.area_code = '000' AND jobs.industry_code = 'TOT'
  AND jobs.value NOT BETWEEN 0.8 * employed.persons AND 1.5 * employed.persons

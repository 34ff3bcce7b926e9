-- table: mart.first_job
-- severity: critical
-- action: stop
-- reason: A share with a first job is made of two rounded numbers of persons over at least the minimum denominator, and
--   its interval has no decimals that single persons could be told from.
-- owner: data-team
SELECT breakdown_id, breakdown_code, within_years, first_job_share_pct, n_count
FROM mart.first_job
CROSS JOIN run.release AS release
CROSS JOIN LATERAL (SELECT first_job_share_pct * n_count / 100 AS jobs) AS found
WHERE n_count % rounding_base <> 0
   OR n_count < greatest(minimum_denominator, suppression_threshold)
   OR (n_count IS NULL AND first_job_share_pct IS NOT NULL)
   OR round(jobs) BETWEEN 1 AND suppression_threshold - 1
   OR abs(jobs - rounding_base * round(jobs / rounding_base)) > 0.01 + n_count / 1000000
   -- A municipality's interval is that of mart.expected, which has a rule of its own.
   OR (breakdown_id <> 'municipality_code' AND first_job_share_low_pct <> round(first_job_share_low_pct))
   OR (breakdown_id <> 'municipality_code' AND first_job_share_high_pct <> round(first_job_share_high_pct))

-- table: mart.mapping
-- severity: warning
-- action: report
-- reason: The newest headline figure of a municipality should not be more than two years older than the newest
--   extract.
-- owner: data-team
SELECT municipality_code, newest_reference_date
FROM mart.mapping
WHERE newest_reference_date < (SELECT max(retrieved_at::TIMESTAMP)::DATE FROM run.snapshot) - INTERVAL 2 YEAR

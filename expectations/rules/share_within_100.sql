-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: A share is between 0 and 100 per cent. Growth is no share, and jobs per resident may exceed 100.
-- owner: data-team
SELECT municipality_code, indicator_id, period, held.value
FROM mart.indicator_value AS held
JOIN mart.indicator AS indicator USING (indicator_id)
WHERE indicator.unit = 'pct' AND indicator.operation IN ('ratio', 'value')
  AND indicator_id <> 'jobs_per_employed_resident_pct' AND held.value NOT BETWEEN 0 AND 100

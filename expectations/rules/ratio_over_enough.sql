-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: A share over fewer than KOMMUNEKORT_LEAST_RATE_DENOMINATOR is noise, and may point to single persons.
-- owner: data-team
SELECT municipality_code, indicator_id, period, denominator
FROM mart.indicator_value AS held
JOIN mart.indicator AS indicator USING (indicator_id)
CROSS JOIN run.release AS release
WHERE indicator.operation = 'ratio' AND held.value IS NOT NULL AND denominator < release.least_rate_denominator

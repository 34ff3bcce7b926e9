-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: A share over fewer than 20 is noise, and may point to single persons.
-- owner: data-team
SELECT municipality_code, indicator_id, period, denominator
FROM mart.indicator_value AS held
JOIN mart.indicator AS indicator USING (indicator_id)
WHERE indicator.operation = 'ratio' AND held.value IS NOT NULL AND denominator < 20

-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: A share is its numerator over its denominator, times its scale.
-- owner: data-team
SELECT municipality_code, indicator_id, period, held.value, numerator, denominator
FROM mart.indicator_value AS held
JOIN mart.indicator AS indicator USING (indicator_id)
WHERE indicator.operation = 'ratio' AND held.value IS NOT NULL
  AND (numerator IS NULL OR coalesce(denominator, 0) <= 0
       OR abs(held.value - indicator.scale * numerator / denominator) > 0.0001)

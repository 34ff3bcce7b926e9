-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: A withheld share must not be recomputable from the numerator and denominator beside it.
-- owner: data-team
SELECT municipality_code, indicator_id, period
FROM mart.indicator_value
WHERE value_status = 'suppressed' AND numerator IS NOT NULL AND denominator IS NOT NULL

-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: Counts from person rows are published as multiples of the rounding base at or above the threshold, and
--   shares as the quotient of two such counts over at least the minimum denominator.
-- owner: data-team
WITH delivered AS (
    SELECT held.*, indicator.unit, release.*
    FROM mart.indicator_value AS held
    JOIN mart.indicator AS indicator USING (indicator_id)
    CROSS JOIN run.release AS release
    WHERE indicator.operation = 'delivery' AND held.value IS NOT NULL
)
SELECT municipality_code, indicator_id, period, value, numerator, denominator
FROM delivered
WHERE (numerator IS NULL AND denominator IS NOT NULL AND unit <> 'weeks')
   OR numerator % rounding_base <> 0 OR denominator % rounding_base <> 0
   OR numerator BETWEEN 1 AND suppression_threshold - 1
   OR denominator < greatest(minimum_denominator, suppression_threshold)
   OR abs(value - 100 * numerator / denominator) > 0.0001
   OR (unit = 'persons' AND (value % rounding_base <> 0 OR value < suppression_threshold))
   OR (unit = 'weeks' AND value <> round(value))

-- The framework conditions with a weight: municipality_code, indicator_id, value (DOUBLE, may be empty).
-- For a period (a year, $1) the newest value at or before its end; without one the newest value there is. The size of the
-- population enters as its natural logarithm, `population_log`.
WITH known AS (
    SELECT municipality_code, indicator_id, value, reference_date
    FROM mart.indicator_value
    WHERE value IS NOT NULL AND reference_date <= make_date(coalesce($1, '9999')::INTEGER, 12, 31)
    UNION ALL
    SELECT municipality_code, 'population_log', ln(value), reference_date
    FROM mart.indicator_value
    WHERE indicator_id IN ('population_january_count', 'population_count') AND value > 0
        AND reference_date <= make_date(coalesce($1, '9999')::INTEGER, 12, 31)
),
newest AS (
    SELECT municipality_code, indicator_id, arg_max(value, reference_date)::DOUBLE AS value
    FROM known GROUP BY ALL
)
SELECT municipality.municipality_code, weight.indicator_id, newest.value
FROM mart.municipality municipality
CROSS JOIN reference.peer_weights weight
LEFT JOIN newest USING (municipality_code, indicator_id)
ORDER BY ALL

-- The newest known value of each weighted condition by municipality, as the peers are found on.
WITH known AS (
    SELECT municipality_code, indicator_id, value::DOUBLE AS value, reference_date
    FROM mart.indicator_value WHERE value IS NOT NULL
    UNION ALL
    SELECT municipality_code, 'population_log', ln(value), reference_date FROM mart.indicator_value
    WHERE indicator_id IN ('population_january_count', 'population_count') AND value > 0
)
SELECT municipality_code, indicator_id, arg_max(value, reference_date)
FROM known JOIN reference.peer_weights USING (indicator_id) GROUP BY ALL ORDER BY ALL

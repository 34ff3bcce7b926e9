-- severity: critical
-- reason: a municipality must not lose all its published values of an indicator
{% import "macros.sql" as macros %}
SELECT indicator_id, municipality_code FROM {{ macros.still }}
WHERE {{ macros.defined }} GROUP BY ALL HAVING bool_and(is_lost)

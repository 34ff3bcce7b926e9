-- severity: critical
-- reason: a published period must not disappear, unless a query for the latest periods moved on
{% import "macros.sql" as macros %}
SELECT indicator_id, period FROM {{ macros.still }}
WHERE {{ macros.defined }} GROUP BY ALL HAVING bool_and(is_lost)

-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: Every indicator has a row for each of the 98 municipalities in every period it has; what is missing says so.
-- owner: data-team
SELECT indicator_id, period, count(DISTINCT municipality_code) AS municipalities
FROM mart.indicator_value
GROUP BY ALL
HAVING municipalities <> 98

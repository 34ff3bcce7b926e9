-- table: mart.indicator_national
-- severity: critical
-- action: stop
-- reason: The country is the sum of its municipalities, but for Christiansø and the unknown; further off means a
--   region was counted with them.
-- owner: data-team
SELECT indicator_id, period, nation.value AS national, sum(held.value) AS municipalities
FROM mart.indicator_national AS nation
JOIN mart.indicator AS indicator USING (indicator_id)
JOIN mart.indicator_value AS held USING (indicator_id, period)
WHERE indicator.operation = 'value' AND indicator.unit IN ('persons', 'jobs', 'dwellings', 'count')
GROUP BY ALL
HAVING count(held.value) = 98 AND abs(national - municipalities) > greatest(0.02 * national, 200)

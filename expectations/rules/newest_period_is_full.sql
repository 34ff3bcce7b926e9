-- table: mart.indicator_value
-- severity: warning
-- action: report
-- reason: In the newest period at least 90 municipalities should have a value of a headline indicator; fewer means a
--   late or cut extract.
-- owner: data-team
SELECT indicator_id, period, count(held.value) AS municipalities
FROM mart.indicator_value AS held
JOIN mart.indicator AS indicator USING (indicator_id)
WHERE indicator.is_headline AND is_newest
GROUP BY ALL
HAVING municipalities < 90

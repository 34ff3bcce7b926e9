-- severity: critical
-- reason: a published period must not disappear, unless a query for the latest periods moved on
WITH past AS (SELECT DISTINCT period FROM {{ series.past }} WHERE period NOT IN ({{ series.accepted }}))
SELECT period FROM past ANTI JOIN history_period USING (period)
WHERE {{ series.is_asked_for }}

-- The periods to judge: new ones, and those that differ in 1.5 per cent from what was published. Those that the source
-- file accepts are left out.
SELECT number, period, coalesce(years, 1) AS years,
       number = (SELECT max(number) FROM history_period) AS is_newest
FROM history_period
WHERE (NOT is_known OR number IN (
        SELECT number FROM history_step WHERE step = 0 GROUP BY number
        HAVING avg((now IS DISTINCT FROM before)::INTEGER) > 0.015))
  AND period NOT IN ({{ series.accepted }})

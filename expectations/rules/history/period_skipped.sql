-- severity: critical
-- reason: a new period must follow those published without a hole
WITH step AS (SELECT *, {{ series.ordinal }} - lag({{ series.ordinal }}) OVER (ORDER BY period) AS length
              FROM history_period)
SELECT period, length FROM step WHERE NOT is_known AND length > (SELECT min(length) FROM step)

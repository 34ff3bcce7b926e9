-- severity: warning
-- reason: published figures, however small, must not be zero or absent now in more than one of two thousand
SELECT count_if(is_gone) AS gone, count(*) AS figures, min(period) FILTER (WHERE is_gone) AS first_period
FROM (SELECT *, coalesce(now, 0) = 0 AND status_now IS DISTINCT FROM 'suppressed' AS is_gone
      FROM history_step JOIN history_period USING (number) WHERE step = 0 AND before <> 0)
HAVING gone >= 3 AND gone > 0.0005 * figures

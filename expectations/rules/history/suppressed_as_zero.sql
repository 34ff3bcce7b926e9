-- severity: critical
-- reason: figures that were withheld must not all be zero now
-- What is published withholds cells, noughts among them, that were hidden here: to cover others, of which the publisher
-- still withholds one, and shares, which are therefore held against their own table alone.
SELECT period, count_if(now = 0) AS zeros, count(*) AS withheld
FROM history_step JOIN history_period USING (number)
WHERE status_before = 'suppressed'
  AND (step = 0 AND {{ not series.is_hidden_here }} OR step = 1 AND number IN (SELECT number FROM history_judged))
GROUP BY step, period HAVING withheld >= 5 AND zeros > 0.5 * withheld
  AND (step = 1 OR count_if(status_now = 'suppressed') = 0)

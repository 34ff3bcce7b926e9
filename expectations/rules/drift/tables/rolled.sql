-- The periods that a query such as «the last six years» drops when a new one arrives: that is no loss.
SELECT indicator_id, old.period
FROM (SELECT DISTINCT indicator_id, period FROM drift_cell) AS old
JOIN (SELECT indicator_id, min(period) AS oldest, count(DISTINCT period) AS periods
      FROM mart.indicator_value WHERE value IS NOT NULL GROUP BY ALL) AS new USING (indicator_id)
WHERE old.period < new.oldest
  AND new.periods >= (SELECT count(DISTINCT period) FROM drift_cell AS c WHERE c.indicator_id = old.indicator_id)

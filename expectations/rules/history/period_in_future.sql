-- severity: critical
-- reason: a period must not lie in a year after the one in which its figures were received
SELECT period, figures FROM history_period
WHERE period[1:4] > (SELECT split_part(_snapshot_id, '/', 2)[1:4] FROM {{ series.table }} LIMIT 1)

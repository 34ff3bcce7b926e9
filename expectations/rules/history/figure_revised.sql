-- severity: critical
-- reason: a large published figure must not be corrected to five times or to a fifth
SELECT {{ series.columns }}, period, before, now
FROM history_step JOIN history_period USING (number)
WHERE step = 0 AND (abs(change) > {{ log(5) }} OR before = 0)
  AND greatest(abs(now), abs(before)) >= {{ LARGE }} * {{ series.least }}

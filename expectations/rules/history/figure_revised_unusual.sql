-- severity: warning
-- reason: a published figure was corrected by more than a fifth
SELECT {{ series.columns }}, period, before, now
FROM history_step JOIN history_period USING (number)
WHERE step = 0 AND is_told AND abs(change) > {{ log(1.2) }}

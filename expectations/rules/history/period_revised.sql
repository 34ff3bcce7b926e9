-- severity: critical
-- reason: not a tenth of the published figures of a period may change by more than a twentieth
-- Revisions move single figures a little: a tenth of them by more than a twentieth is something else.
SELECT period, count(*) AS figures, count_if(coalesce(abs(change) > {{ REVISED }}, true)) AS moved
FROM history_step JOIN history_judged USING (number)
WHERE step = 0 AND is_told AND now IS NOT NULL AND before IS NOT NULL
GROUP BY period HAVING moved > 0.1 * figures AND moved >= 3

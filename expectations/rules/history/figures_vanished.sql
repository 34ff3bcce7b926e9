-- severity: critical
-- reason: figures of some size must not vanish from one period to the next, or from what was published
WITH gone AS (SELECT step, number, period, count(*) AS gone FROM history_gone GROUP BY ALL),
held AS (SELECT step, number, count(*) AS figures FROM history_step
         WHERE abs(before) >= {{ SOME }} * {{ series.least }}
           AND {{ series.complete }} GROUP BY ALL),
share AS (SELECT *, gone / figures AS share FROM gone JOIN held USING (step, number))
SELECT period, step = 0 AS was_published, gone, figures FROM share
WHERE gone >= 3 AND share > greatest(0.01, 2 * (
    SELECT coalesce(max(o.share), 0) FROM share AS o
    WHERE o.step = share.step AND o.number <> share.number))

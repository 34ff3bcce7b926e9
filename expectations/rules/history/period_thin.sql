-- severity: warning
-- reason: figures must not be absent or withheld, however small, where the last period, or what was published, has them
WITH lost AS (SELECT step, number, {{ series.measure }} AS measure, count(*) AS figures,
                count_if(now IS NULL AND status_now IS DISTINCT FROM 'not_applicable') AS lost
              FROM history_step WHERE step <= 1 AND before IS NOT NULL AND {{ series.is_still_there }}
              GROUP BY ALL),
share AS (SELECT *, lost / figures AS share FROM lost)
SELECT period, step = 0 AS was_published, lost, figures FROM share JOIN history_judged USING (number)
WHERE lost >= 3 AND figures >= {{ FEWEST }} AND share > greatest(0.02, 2 * (
    SELECT coalesce(max(o.share), 0) FROM share AS o
    WHERE o.step = 1 AND o.measure = share.measure AND o.number <> share.number))

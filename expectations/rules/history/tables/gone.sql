-- The figures of some size that are absent, zero, missing or withheld now. Against the period before, the newest period
-- counts, and an earlier one where the figure comes back after it: a code that ends is no loss. Against what was
-- published every period counts.
SELECT step.*, history_period.period
FROM (SELECT *, {{ series.least }} AS least FROM history_step
      WHERE step <= 1 AND coalesce(now, 0) = 0 AND status_now IS DISTINCT FROM 'not_applicable'
        AND {{ series.is_still_there }} AND {{ series.complete }}
        AND abs(before) >= {{ SOME }} * {{ series.least }}) AS step
JOIN history_period USING (number)
LEFT JOIN history_cell AS later ON later.number = step.number + 1 AND {{ same("later", "step", series.keys) }}
WHERE step = 0
   OR (step.number IN (SELECT number FROM history_judged)
       AND (step.number = (SELECT max(number) FROM history_period) OR abs(later.value) >= 0.2 * abs(before)))

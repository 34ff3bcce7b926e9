-- severity: warning
-- reason: a table that withholds nothing in its other periods must not begin to
WITH held AS (SELECT number, period, count_if(value_status = 'suppressed') AS withheld
              FROM history_cell GROUP BY ALL)
SELECT period, withheld FROM held JOIN history_judged USING (number, period)
WHERE withheld > 0 AND (SELECT max(o.withheld) FROM held AS o WHERE o.number <> held.number) = 0

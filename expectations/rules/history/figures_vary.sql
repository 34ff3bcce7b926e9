-- severity: critical
-- reason: the figures of a period must not all be the same
SELECT period, count(*) AS figures, any_value(value) AS value
FROM history_cell SEMI JOIN history_judged USING (period) WHERE NOT _is_filled
GROUP BY period HAVING figures >= {{ FEWEST }} AND count(DISTINCT value) <= 1

-- severity: critical
-- reason: a period must not be a copy of an earlier one
SELECT period, step AS periods_back, round(100 * equal_share, 1) AS equal_pct
FROM history_middle JOIN history_judged USING (number)
WHERE column_name = '' AND step > 0 AND NOT is_first AND figures >= {{ FEWEST }} AND equal_share > 0.9

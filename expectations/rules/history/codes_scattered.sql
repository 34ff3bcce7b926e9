-- severity: critical
-- reason: the figures of many areas or categories must not jump in different directions at once
SELECT period, step = 0 AS was_published, column_name, count(*) AS codes,
       count_if(abs(out_of_line) > CASE WHEN step = 0 THEN {{ REVISED }}
           WHEN other_changes >= {{ ENOUGH }} THEN greatest({{ log(1.05) }}, 2 * others)
           ELSE {{ log(1.3) }} * years END) AS out_of_line
FROM history_middle JOIN history_judged USING (number)
WHERE column_name <> '' AND step <= 1 AND NOT is_first AND figures > 0
GROUP BY ALL HAVING codes >= 20 AND out_of_line > 0.2 * codes

-- The figures of the newest change and of those published, as logarithms beside each other.
{% import "macros.sql" as macros %}
SELECT step, number, is_told, {{ series.columns }},
       {{ macros.started_log("now", series) }} AS log_now,
       {{ macros.started_log("before", series) }} + middle AS log_before
FROM history_step
JOIN (SELECT step, number, middle FROM history_middle WHERE column_name = '' AND NOT is_first)
    USING (step, number)
JOIN history_judged USING (number)
WHERE (step = 0 OR (step = 1 AND is_newest)) AND now IS NOT NULL AND before IS NOT NULL

-- severity: critical
-- reason: the published figures of one period must not come back under another
SELECT cell.period, past.period AS published_as, count(*) AS figures
FROM history_cell AS cell SEMI JOIN history_judged USING (period)
JOIN {{ series.past }} AS past ON past.period <> cell.period
     AND {{ same("past", "cell", series.keys) }}
WHERE abs(past.value) >= {{ series.least | replace("measure_name", "past.measure_name") }}
GROUP BY ALL HAVING count_if(cell.value = past.value) > 0.9 * figures AND figures >= {{ FEWEST }}

-- severity: critical
-- reason: figures do not all end in 0: all in tens or thousands is another unit, or decimals that were lost
{% set in_last_digit = 10 ** series.source.decimals %}
SELECT period, round(100 * avg((round(abs(value) * {{ in_last_digit }}) % 10 = 0)::INTEGER), 1) AS ending_in_0_pct
FROM history_cell SEMI JOIN history_judged USING (period)
WHERE abs(value) >= greatest({{ series.least }}, {{ 100 / in_last_digit }}) AND {{ series.complete }}
GROUP BY period HAVING count(*) >= {{ FEWEST }} AND ending_in_0_pct > 80

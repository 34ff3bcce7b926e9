-- severity: critical
-- reason: the middle figure of an area or category must not jump to a third or to three times, beside the others
{% import "macros.sql" as macros %}
SELECT period, column_name, code, round(exp(abs(out_of_line)), 2) AS times, figures
FROM history_middle JOIN history_judged USING (number)
WHERE column_name <> '' AND step = 1 AND (figures >= 5 OR (figures > 0 AND other_changes >= {{ ENOUGH }}))
  AND abs(out_of_line) > greatest(
      if(figures >= 5, {{ log(3) }}, {{ log(6) }}) * if(other_changes >= {{ ENOUGH }}, 1, years),
      if(figures >= 5, 1, 1.5) * {{ macros.usual }})

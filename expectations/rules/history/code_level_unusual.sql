-- severity: warning
-- reason: an area or category moved more than it usually does, beside the others
{% import "macros.sql" as macros %}
SELECT period, column_name, code, round(exp(abs(out_of_line)), 2) AS times, figures
FROM history_middle JOIN history_judged USING (number)
WHERE column_name <> '' AND step = 1 AND figures > 0
  AND (figures >= 5 OR other_changes >= {{ LONG }})
  AND (number, column_name, code) NOT IN (  -- judged when it was published
      SELECT (number, column_name, code) FROM history_middle WHERE step = 0 AND abs(middle) < {{ log(1.01) }})
  AND abs(out_of_line) > greatest(
      if(other_changes >= 5, {{ log(1.1) }}, {{ log(1.15) }} * years), 1.25 * {{ macros.usual }})

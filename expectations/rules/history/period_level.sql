-- severity: critical
-- reason: the middle figure of a period must not lie out of line with the periods around it
{% import "macros.sql" as macros %}
{# The middle figure of a period may move by a tenth whatever the table's past. #}
{% set floor, unknown = log(1.1), log(series.source.expectations.yearly_change) %}
SELECT period, step AS periods_back, round(exp(abs(out_of_line)), 2) AS times, figures
FROM history_middle JOIN history_judged USING (number)
WHERE column_name = '' AND figures >= {{ FEWEST }}
  AND (step = 1 OR (is_newest AND step > 1 AND other_changes >= {{ LONG }}))
  AND abs(out_of_line) >
      CASE WHEN is_first THEN greatest({{ 2 * unknown }}, {{ 2 * USUAL }} * others)
           WHEN other_changes >= {{ ENOUGH }} THEN
               greatest({{ floor }} + {{ [unknown - floor, 0] | max }} * {{ macros.few }},
                        {{ USUAL }} * (1 + {{ macros.few }}) * others)
           ELSE greatest({{ unknown }} * years, {{ USUAL }} * others) END

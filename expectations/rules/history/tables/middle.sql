-- The middle change by period, and by period and code: `column_name` '' is the period itself.
-- `beyond` is a code's middle beside the period's. `out_of_line` is how far it stands out: in the newest period by the
-- change alone, in an earlier one only as far as the next change takes it back. `others` is the largest of the other
-- changes, this one and the next apart. The first period has only the change that leads away from it.
{% import "macros.sql" as macros %}
{% set spread = "quantile_cont(change, 0.75) FILTER (WHERE is_told)"
             ~ " - quantile_cont(change, 0.25) FILTER (WHERE is_told)" %}
{% set same = "o.step = f.step AND o.column_name = f.column_name AND o.code = f.code AND o.number > f.number" %}
WITH middle AS (
    {% for name in ("",) + series.keys %}
    SELECT step, number, {{ name | literal }} AS column_name, {{ name | identifier if name else "''" }} AS code,
           median(change) FILTER (WHERE is_told) AS middle, count(change) FILTER (WHERE is_told) AS figures,
           avg((now = before)::INTEGER) FILTER (WHERE is_told AND change IS NOT NULL) AS equal_share,
           {{ "NULL" if name else spread }} AS spread
    FROM history_step GROUP BY ALL
    {{ "UNION ALL" if not loop.last }}
    {% endfor %}
),
excess AS (
    SELECT part.*, part.middle - if(part.column_name = '', 0, whole.middle) AS beyond
    FROM middle AS part
    LEFT JOIN (SELECT step, number, middle FROM middle WHERE column_name = '') AS whole USING (step, number)
),
around AS ({{ macros.around("excess", "PARTITION BY step, column_name, code ORDER BY number") }})
SELECT *, false AS is_first,
       CASE WHEN next_beyond IS NULL OR step = 0 THEN beyond
            WHEN beyond * next_beyond < 0 THEN sign(beyond) * least(abs(beyond), abs(next_beyond))
            ELSE 0 END AS out_of_line
FROM around
UNION ALL
SELECT * REPLACE (number - 1 AS number, -beyond AS beyond,
                  (SELECT coalesce(max(abs(o.beyond)), 0) FROM around AS o WHERE {{ same }}) AS others,
                  (SELECT count(*) FROM around AS o WHERE {{ same }}) AS other_changes),
       true, -beyond
FROM around AS f
WHERE step = 1 AND number = (SELECT min(number) + 1 FROM history_cell) AND next_beyond IS NOT NULL

-- severity: critical
-- reason: the figures of one area or category must not be those of another while they usually differ
-- Pairs of codes whose figures are the same in one period and in no other. They usually differ where their sums do, or
-- where now the one, now the other has the larger figure: a total is never below its parts, and may come to equal the
-- only one that is left.
WITH print AS (
    {% for name in series.keys %}
    {% set column, others = name | identifier, series.keys | reject("equalto", name) | list %}
    SELECT {{ name | literal }} AS column_name, {{ column }} AS code, number, count(*) AS figures,
           sum(value) AS whole, sum(hash({{ (["value"] + others | map("identifier") | list) | join(", ") }})) AS print
    FROM history_cell WHERE abs(value) >= {{ series.least }} GROUP BY ALL HAVING figures >= {{ FEWEST }}
    {{ "UNION ALL" if not loop.last }}
    {% endfor %}
),
pair AS (SELECT column_name, a.code AS one, b.code AS other, number, a.figures, a.print = b.print AS is_same,
                abs(a.whole - b.whole) > 0.02 * abs(a.whole) AS is_apart
         FROM print AS a JOIN print AS b USING (column_name, number) WHERE a.code < b.code),
once AS (SELECT column_name, one, other, count_if(is_apart) AS apart FROM pair
         GROUP BY ALL HAVING count_if(is_same) = 1 AND count_if(NOT is_same) >= {{ ENOUGH }}),
crossing AS (
    {% for name in series.keys %}
    {% set column, others = name | identifier, series.keys | reject("equalto", name) | list %}
    SELECT column_name, one, other,
           least(count_if(a.value > b.value), count_if(a.value < b.value)) / count(*) AS crossed
    FROM once JOIN history_cell AS a ON column_name = {{ name | literal }} AND a.{{ column }} = one
    JOIN history_cell AS b ON b.{{ column }} = other AND {{ same("a", "b", ["number"] + others) }} GROUP BY ALL
    {{ "UNION ALL" if not loop.last }}
    {% endfor %}
)
SELECT period, column_name, one, other, figures FROM pair JOIN history_judged USING (number)
JOIN once USING (column_name, one, other) LEFT JOIN crossing USING (column_name, one, other)
WHERE is_same AND (apart >= {{ ENOUGH }} OR crossed > 0.2)

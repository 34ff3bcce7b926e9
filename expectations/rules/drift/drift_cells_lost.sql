-- severity: critical
-- reason: an indicator must not lose more than 1 % of its published cells
-- Publishers withdraw single cells; more than one in a hundred is a loss.
{% import "macros.sql" as macros %}
SELECT indicator_id, count(*) AS cells, count_if(is_lost) AS lost FROM {{ macros.still }}
WHERE {{ macros.defined }} GROUP BY ALL HAVING lost > 0.01 * cells

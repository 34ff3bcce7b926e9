-- severity: warning
-- reason: the figures of an area or category must not stand still where they usually move
-- That figures of three periods stand still by chance: as often as the code's own did before, or as figures of the
-- table do.
{% set series_of_code = "PARTITION BY column_name, code ORDER BY number" %}
{% set last = "OVER (" ~ series_of_code ~ " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)" %}
{% set earlier = "OVER (" ~ series_of_code ~ " ROWS BETWEEN UNBOUNDED PRECEDING AND 3 PRECEDING)" %}
WITH usual AS (SELECT sum(equal_share * figures) / sum(figures) AS share FROM history_middle
               WHERE column_name = '' AND step = 1 AND NOT is_first),
still AS (SELECT *, sum(figures) {{ last }} AS told, min(equal_share) {{ last }} AS least,
                 sum(equal_share * figures) {{ earlier }} / sum(figures) {{ earlier }} AS own
          FROM history_middle WHERE column_name <> '' AND step = 1 AND NOT is_first AND figures > 0)
SELECT period, column_name, code, told AS figures FROM still JOIN usual ON true
JOIN history_judged USING (number)
WHERE least > 0.95 AND own IS NOT NULL AND told * ln(greatest(own, share, 0.0001)) < ln(1.5e-12)

-- The periods the source brought, numbered in order. `is_known`: published before. `years`: how long after the period
-- before, at least 1 (files by hand leave some out).
SELECT period, row_number() OVER (ORDER BY period) AS number,
       {{ "period IN (SELECT period FROM " ~ series.past ~ ")" if series.past else "false" }} AS is_known, figures,
       sum(figures) OVER (ORDER BY period DESC) AS figures_since,
       greatest(period[1:4]::DOUBLE - lag(period[1:4]::DOUBLE) OVER (ORDER BY period), 1) AS years
FROM (SELECT period, count(*) AS figures FROM {{ series.table }} WHERE NOT _is_filled GROUP BY period)

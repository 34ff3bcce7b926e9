-- severity: warning
-- reason: the series of periods has no hole
-- No step is longer than the shortest one (a year, in a `*K1` query).
{% set period = column | identifier %}
WITH periods AS (SELECT DISTINCT {{ period }} FROM {{ table }} WHERE NOT _is_filled),
steps AS (SELECT {{ period }}, {{ number }} - lag({{ number }}) OVER (ORDER BY {{ number }}) AS step FROM periods)
SELECT {{ period }}, step FROM steps WHERE step > (SELECT min(step) FROM steps)

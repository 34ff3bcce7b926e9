-- severity: warning
-- reason: a municipality that is delivered for one period is delivered for all
{% set name = column | identifier %}
WITH cells AS (SELECT DISTINCT {{ name }}, {{ period }} FROM {{ table }} WHERE NOT _is_filled)
SELECT {{ name }}, {{ period }} FROM (SELECT DISTINCT {{ name }} FROM cells
WHERE {{ name }} IN ({{ codes | literals }})) CROSS JOIN (SELECT DISTINCT {{ period }} FROM cells)
ANTI JOIN cells USING ({{ name }}, {{ period }})

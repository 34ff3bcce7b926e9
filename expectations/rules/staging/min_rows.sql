{% set minimum = source.expectations.min_rows %}
-- severity: critical
-- reason: a complete delivery has at least {{ minimum }} rows
SELECT count(*) AS rows_delivered FROM {{ table }} WHERE NOT _is_filled HAVING count(*) < {{ minimum }}

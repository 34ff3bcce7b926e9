{% set half, name = codes | length // 2, column | identifier %}
-- severity: critical
-- reason: more than {{ half }} municipalities must be delivered
SELECT count(DISTINCT {{ name }}) AS municipalities FROM {{ table }}
WHERE NOT _is_filled AND {{ name }} IN ({{ codes | literals }})
HAVING count(DISTINCT {{ name }}) <= {{ half }}

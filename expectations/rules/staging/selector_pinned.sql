-- severity: critical
-- reason: {{ column }} must be {{ code }} alone, or every figure is counted once per code
{% set name = column | identifier %}
SELECT {{ name }}, count(*) AS rows_found FROM {{ table }}
WHERE {{ name }} IS DISTINCT FROM {{ code | literal }} GROUP BY {{ name }}

-- severity: critical
-- reason: {{ file.grain | join(", ") }} must name one figure; here it has several
SELECT {{ keys }}, count(*) AS copies FROM {{ table }} GROUP BY {{ keys }} HAVING count(*) > 1

-- severity: warning
-- reason: a reference file has other lines than in the last publication
{% macro lines(catalog, name) %}(SELECT line::VARCHAR FROM {{ catalog }}reference.{{ name }} AS line){% endmacro %}
SELECT * FROM (
    SELECT NULL AS file, 0 AS gone, 0 AS new
    {% for name in reference_files %}
    {% set before, now = lines(old ~ ".", name), lines("", name) %}
    UNION ALL
    SELECT '{{ name }}', (SELECT count(*) FROM ({{ before }} EXCEPT ALL {{ now }})),
           (SELECT count(*) FROM ({{ now }} EXCEPT ALL {{ before }}))
    {% endfor %}
) WHERE gone + new > 0

{% set name = column | identifier %}
SELECT {{ name }} FROM (SELECT unnest([{{ codes | literals }}]) AS {{ name }})
ANTI JOIN (SELECT DISTINCT {{ name }} FROM {{ table }} WHERE NOT _is_filled) USING ({{ name }})

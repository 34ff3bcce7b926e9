-- severity: warning
-- reason: a row delivered twice counts once; the copy is set aside
SELECT rowid AS row_id FROM {{ table }}
QUALIFY row_number() OVER (PARTITION BY {{ keys }}, value, value_status ORDER BY rowid) > 1

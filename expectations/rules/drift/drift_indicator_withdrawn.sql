-- severity: warning
-- reason: an indicator of the last build is no longer defined
{% import "macros.sql" as macros %}
SELECT DISTINCT indicator_id FROM drift_cell WHERE NOT ({{ macros.defined }})

-- severity: critical
-- reason: an indicator must not lose all its published values
{% import "macros.sql" as macros %}
{{ macros.lost_wholly }}

-- severity: warning
-- reason: all {{ codes | length }} areas asked for must be delivered
{% include "areas_absent.sql" %}

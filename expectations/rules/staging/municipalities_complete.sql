-- severity: {{ "critical" if source.jobindsats is none else "warning" }}
-- reason: all {{ codes | length }} areas asked for must be delivered
-- Jobindsats has no row for a municipality where nobody is counted.
{% include "areas_absent.sql" %}

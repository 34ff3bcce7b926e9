-- severity: {{ "critical" if certain else "warning" }}
-- reason: a total of {{ column }} must equal the sum of its parts
{% include "total_sums.sql" %}
WHERE abs(difference) > {{ half }}

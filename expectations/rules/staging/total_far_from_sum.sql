-- severity: critical
-- reason: a total of {{ column }} must be near the sum of its parts; only the unknown lies between
{% include "total_sums.sql" %}
WHERE abs(difference) > 0.03 * abs(value) + 100

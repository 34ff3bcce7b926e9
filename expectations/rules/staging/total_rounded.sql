-- severity: warning
-- reason: a total of {{ column }} differs from the sum of its parts by no more than rounding explains
{% include "total_sums.sql" %}
WHERE difference <> 0 AND abs(difference) <= {{ half }}

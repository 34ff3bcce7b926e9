-- severity: critical
-- reason: where absent cells mean zero, a line that could not be read would be counted as zero
{% include "rows_counted.sql" %}
WHERE rows_rejected + rows_unreadable > 0 AND {{ count.absent_are_zero | lower }}

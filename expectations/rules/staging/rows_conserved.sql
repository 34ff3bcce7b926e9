-- severity: critical
-- reason: every row of the files is loaded, in quarantine, or says what another row says
{% include "rows_counted.sql" %}
WHERE rows_in + rows_filled <> rows_kept + rows_quarantined + rows_rejected + {{ count.rows_repeated }}

{% set share = source.expectations.quarantine_max_share %}
-- severity: critical
-- reason: at most {{ "%g" | format(share * 100) }} % of the rows may go to quarantine
{% include "rows_counted.sql" %}
WHERE rows_quarantined + rows_rejected > {{ share }} * rows_in

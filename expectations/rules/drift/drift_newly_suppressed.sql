-- severity: warning
-- reason: a figure published before is now withheld
SELECT indicator_id, count(*) AS cells FROM drift_cell WHERE new_status = 'suppressed' GROUP BY ALL

{% set is_count = series.source.unit in ("persons", "jobs", "dwellings") and series.source.jobindsats is none %}
-- severity: {{ "critical" if is_count else "warning" }}
-- reason: a large figure must not be absent, missing or zero where the period before has one
SELECT {{ series.columns }}, period, before, status_now FROM history_gone
WHERE abs(before) >= {{ LARGE }} * least AND status_now IS DISTINCT FROM 'suppressed'
  AND ({{ series.amounts }} OR ({{ series.whole_area }}))

-- table: staging.statbank_folk1e
-- severity: critical
-- action: stop
-- reason: FOLK1E and FOLK1A count the same people on the first day of the quarter; only a stale extract makes them
--   differ.
-- owner: data-team
SELECT ancestry.area_code, ancestry.period, ancestry.value AS folk1e, everybody.value AS folk1a
FROM staging.statbank_folk1e AS ancestry
JOIN staging.statbank_folk1a AS everybody USING (area_code, sex_code, age_code, period)
WHERE ancestry.ancestry_code = 'TOT' AND everybody.marital_status_code = 'TOT'
  AND ancestry.value <> everybody.value

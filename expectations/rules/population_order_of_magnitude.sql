-- table: staging.statbank_folk1a
-- severity: critical
-- action: stop
-- reason: Denmark has had 5.4 to 6.1 million inhabitants since 2008; outside 5 to 7 million the extract has another
--   unit or selection.
-- owner: data-team
SELECT period, value
FROM staging.statbank_folk1a
WHERE area_code = '000' AND sex_code = 'TOT' AND age_code = 'IALT' AND marital_status_code = 'TOT'
  AND value NOT BETWEEN 5000000 AND 7000000

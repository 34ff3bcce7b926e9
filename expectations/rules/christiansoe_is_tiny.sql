-- table: staging.statbank_folk1a
-- severity: critical
-- action: stop
-- reason: Christiansø (411) has about 90 inhabitants; more means that area codes have slipped by a row.
-- owner: data-team
SELECT area_code, period, value
FROM staging.statbank_folk1a
WHERE area_code = '411' AND value > 500

-- table: staging.statbank_indkp101
-- severity: critical
-- action: stop
-- reason: Average disposable income is 50,000 to 2,000,000 kroner a person; anything else is thousands, a sum, or
--   another unit.
-- owner: data-team
SELECT area_code, period, value
FROM staging.statbank_indkp101
WHERE value NOT BETWEEN 50000 AND 2000000

-- table: mart.indicator
-- severity: critical
-- action: stop
-- reason: No number without its source and licence.
-- owner: data-team
SELECT indicator_id, source_id
FROM mart.indicator
WHERE producer IS NULL OR licence IS NULL

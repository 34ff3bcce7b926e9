-- table: mart.indicator_value
-- severity: critical
-- action: stop
-- reason: A suppressed, missing or impossible figure has no value and every other one has: `..` is never 0. An
--   estimated figure may round to 0.
-- owner: data-team
SELECT municipality_code, indicator_id, period, value_status
FROM mart.indicator_value
WHERE (value IS NULL) <> (value_status IN ('suppressed', 'missing', 'not_applicable'))
   OR (value = 0) <> (value_status = 'zero') AND NOT (value = 0 AND value_status = 'estimated')

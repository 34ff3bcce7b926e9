-- table: mart.indicator
-- severity: critical
-- action: stop
-- reason: The ending of an indicator's name is its unit, so that nobody has to look it up.
-- owner: data-team
SELECT indicator_id, unit
FROM mart.indicator
WHERE NOT CASE
    WHEN unit IN ('persons', 'jobs', 'dwellings', 'count') THEN ends_with(indicator_id, '_count')
    ELSE ends_with(indicator_id, '_' || unit)
END

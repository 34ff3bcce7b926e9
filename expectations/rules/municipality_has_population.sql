-- table: mart.municipality
-- severity: critical
-- action: stop
-- reason: A municipality without inhabitants has no size band and no rates per inhabitant.
-- owner: data-team
SELECT municipality_code, population_count
FROM mart.municipality
WHERE population_count IS NULL OR population_count <= 0

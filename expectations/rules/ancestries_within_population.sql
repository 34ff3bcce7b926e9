-- table: staging.statbank_folk1e
-- severity: critical
-- action: stop
-- reason: Persons of Danish origin and immigrants are parts of the population; parts 5 % above the whole mean mixed
--   codes.
-- owner: data-team
SELECT area_code, sex_code, age_code, period, max(value) FILTER (WHERE ancestry_code = 'TOT') AS everybody,
       sum(value) FILTER (WHERE ancestry_code IN ('1', '24', '25')) AS parts
FROM staging.statbank_folk1e
GROUP BY ALL
HAVING parts > 1.05 * everybody + 10

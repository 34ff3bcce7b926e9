-- table: staging.statbank_pend100
-- severity: critical
-- action: stop
-- reason: Everybody employed works somewhere: the workplaces of a municipality's residents (PEND100) sum to its night
--   population (PEND101); more than 1 % off in more than 2 of 100 comparisons is another extract or selection.
-- owner: data-team
WITH flows AS (
    SELECT commuter.area_code, commuter.sex_code, commuter.period, sum(commuter.value) AS persons
    FROM staging.statbank_pend100 AS commuter
    JOIN reference.areas AS workplace ON workplace.code = commuter.workplace_area_code
    WHERE workplace.level IN ('municipality', 'christiansoe', 'abroad')
    GROUP BY ALL
),
compared AS (
    SELECT area_code, sex_code, period, flows.persons AS pend100, night.value AS pend101,
           abs(flows.persons - night.value) > 0.01 * night.value AS differs
    FROM flows
    JOIN staging.statbank_pend101 AS night USING (area_code, sex_code, period)
    WHERE night.industry_code = 'TOT' AND night.commuting_code = 'NAT'
)
SELECT area_code, sex_code, period, pend100, pend101
FROM compared
WHERE differs AND (SELECT avg(differs::INTEGER) FROM compared) > 0.02

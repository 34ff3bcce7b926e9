-- table: staging.statbank_folk1e
-- severity: critical
-- action: stop
-- reason: FOLK1E and FOLK1A count the same people on the first day of the quarter; a difference in more than 3 of 100
--   comparisons means one of the extracts is stale.
-- owner: data-team
WITH compared AS (
    SELECT ancestry.area_code, ancestry.period, ancestry.value AS folk1e, everybody.value AS folk1a,
           ancestry.value <> everybody.value AS differs
    FROM staging.statbank_folk1e AS ancestry
    JOIN staging.statbank_folk1a AS everybody USING (area_code, sex_code, age_code, period)
    WHERE ancestry.ancestry_code = 'TOT' AND everybody.marital_status_code = 'TOT'
)
SELECT area_code, period, folk1e, folk1a
FROM compared
WHERE differs AND (SELECT avg(differs::INTEGER) FROM compared) > 0.03

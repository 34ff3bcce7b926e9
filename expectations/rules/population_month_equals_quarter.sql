-- table: staging.statbank_folk1am
-- severity: critical
-- action: stop
-- reason: FOLK1AM and FOLK1A count the same people on 1 January; a difference in more than 10 of 100 comparisons means one
--   of the extracts is stale.
-- owner: data-team
WITH compared AS (
    SELECT monthly.area_code, monthly.period, monthly.value AS folk1am, quarterly.value AS folk1a,
           monthly.value <> quarterly.value AS differs
    FROM staging.statbank_folk1am AS monthly
    JOIN staging.statbank_folk1a AS quarterly
        ON quarterly.area_code = monthly.area_code AND quarterly.sex_code = monthly.sex_code
        AND quarterly.age_code = monthly.age_code AND quarterly.marital_status_code = 'TOT'
        AND quarterly.period = left(monthly.period, 4) || 'K1'
    WHERE right(monthly.period, 3) = 'M01'
)
SELECT area_code, period, folk1am, folk1a
FROM compared
WHERE differs AND (SELECT avg(differs::INTEGER) FROM compared) > 0.1

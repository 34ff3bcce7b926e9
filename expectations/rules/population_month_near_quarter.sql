-- table: staging.statbank_folk1am
-- severity: critical
-- action: stop
-- reason: FOLK1AM and FOLK1A count the same people; a month more than 5 % from the quarter it lies in, in more than 2 of
--   100 comparisons, is another table or another selection.
-- owner: data-team
WITH compared AS (
    SELECT monthly.area_code, monthly.period, monthly.value AS folk1am, quarterly.value AS folk1a,
           abs(monthly.value - quarterly.value) > 0.05 * quarterly.value AS is_far
    FROM staging.statbank_folk1am AS monthly
    JOIN staging.statbank_folk1a AS quarterly
        ON quarterly.area_code = monthly.area_code AND quarterly.sex_code = monthly.sex_code
        AND quarterly.age_code = monthly.age_code AND quarterly.marital_status_code = 'TOT'
        AND quarterly.period = left(monthly.period, 4) || 'K' || ((right(monthly.period, 2)::INTEGER + 2) // 3)
    WHERE monthly.sex_code = 'TOT' AND monthly.age_code = 'IALT' AND monthly.value + quarterly.value >= 1000
)
SELECT area_code, period, folk1am, folk1a
FROM compared
WHERE is_far AND (SELECT avg(is_far::INTEGER) FROM compared) > 0.02

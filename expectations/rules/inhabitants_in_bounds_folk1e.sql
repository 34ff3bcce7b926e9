-- table: staging.statbank_folk1e
-- severity: critical
-- action: stop
-- reason: No area has more or fewer inhabitants than its wide bounds in reference.inhabitants; more than 2 in 100 beyond
--   them are other persons than the population, or of other areas.
-- owner: data-team
WITH judged AS (
    SELECT area_code, period, value,
           value NOT BETWEEN inhabitants_from::DECIMAL(18, 4) AND inhabitants_to::DECIMAL(18, 4) AS is_strange
    FROM staging.statbank_folk1e
    JOIN reference.inhabitants USING (area_code)
    WHERE sex_code = 'TOT' AND age_code = 'IALT' AND ancestry_code = 'TOT' AND value IS NOT NULL
)
SELECT area_code, period, value
FROM judged
WHERE is_strange AND (SELECT avg(is_strange::INTEGER) FROM judged) > 0.02

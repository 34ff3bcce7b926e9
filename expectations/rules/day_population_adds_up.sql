-- table: staging.statbank_pend101
-- severity: critical
-- action: stop
-- reason: Day population is by definition night population plus those who come in less those who go out; a difference in
--   more than 10 of 100 comparisons means codes that are mixed.
-- owner: data-team
WITH counted AS (
    SELECT area_code, industry_code, sex_code, period,
           max(value) FILTER (WHERE commuting_code = 'DAG') AS day_population,
           max(value) FILTER (WHERE commuting_code = 'NAT') + max(value) FILTER (WHERE commuting_code = 'IND')
               - max(value) FILTER (WHERE commuting_code = 'UD') AS expected
    FROM staging.statbank_pend101
    WHERE industry_code = 'TOT'
    GROUP BY ALL
)
SELECT *
FROM counted
WHERE day_population <> expected AND (SELECT avg((day_population <> expected)::INTEGER) FROM counted) > 0.1

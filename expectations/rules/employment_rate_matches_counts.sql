-- table: staging.statbank_ras200
-- severity: critical
-- action: stop
-- reason: For the country RAS200 must be the employed share of RAS201; a gap of a point and a half means the activity rate
--   was fetched instead of the employment rate, or other ages.
-- owner: data-team
WITH counted AS (
    SELECT period, ancestry_code,
           100 * sum(value) FILTER (WHERE labour_status_code = '00') / nullif(sum(value), 0) AS rate
    FROM staging.statbank_ras201
    WHERE area_code = '000'
    GROUP BY ALL
    HAVING count(value) = count(*)
)
SELECT published.period, published.ancestry_code, published.value AS ras200, round(counted.rate, 2) AS ras201
FROM staging.statbank_ras200 AS published
JOIN counted ON counted.period = published.period
    AND counted.ancestry_code = if(published.ancestry_code = '10', '999', published.ancestry_code)
WHERE published.area_code = '000' AND published.sex_code = 'TOT' AND published.age_code = '16-64'
  AND abs(published.value - counted.rate) > 1.5

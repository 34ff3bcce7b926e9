-- table: staging.statbank_ras200
-- severity: warning
-- action: report
-- reason: RAS200 is RAS201 divided and rounded to a tenth; a wider gap in more than 2 of 100 municipal rates means revised
--   counts.
-- owner: data-team
WITH counted AS (
    SELECT area_code, period, ancestry_code,
           100 * sum(value) FILTER (WHERE labour_status_code = '00') / nullif(sum(value), 0) AS rate
    FROM staging.statbank_ras201
    WHERE area_code <> '000'
    GROUP BY ALL
    HAVING count(value) = count(*)
),
compared AS (
    SELECT published.area_code, published.period, published.ancestry_code, published.value AS ras200,
           round(counted.rate, 2) AS ras201, abs(published.value - counted.rate) > 0.06 AS differs
    FROM staging.statbank_ras200 AS published
    JOIN counted ON counted.area_code = published.area_code AND counted.period = published.period
        AND counted.ancestry_code = if(published.ancestry_code = '10', '999', published.ancestry_code)
    WHERE published.sex_code = 'TOT' AND published.age_code = '16-64'
)
SELECT area_code, period, ancestry_code, ras200, ras201
FROM compared
WHERE differs AND (SELECT avg(differs::INTEGER) FROM compared) > 0.02

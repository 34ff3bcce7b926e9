-- table: staging.statbank_hfudd11
-- severity: critical
-- action: stop
-- reason: The 15-69-year-olds are 55 to 85 % of all inhabitants of a municipality; beyond half and nine tenths, in more
--   than 2 of 100 comparisons, the figures are other persons than HFUDD11 counts.
-- owner: data-team
WITH compared AS (
    SELECT educated.area_code, educated.period, educated.value AS hfudd11, folk1a.value AS folk1a,
           educated.value NOT BETWEEN 0.5 * folk1a.value AND 0.9 * folk1a.value AS is_strange
    FROM staging.statbank_hfudd11 AS educated
    JOIN staging.statbank_folk1a AS folk1a
        ON folk1a.area_code = educated.area_code AND folk1a.period = educated.period || 'K1'
        AND folk1a.sex_code = 'TOT' AND folk1a.age_code = 'IALT' AND folk1a.marital_status_code = 'TOT'
    WHERE educated.ancestry_code = 'TOT' AND educated.education_code = 'TOT' AND educated.age_code = 'TOT'
      AND educated.sex_code = 'TOT' AND folk1a.value >= 1000
)
SELECT area_code, period, hfudd11, folk1a
FROM compared
WHERE is_strange AND (SELECT avg(is_strange::INTEGER) FROM compared) > 0.02

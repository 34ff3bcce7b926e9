-- table: staging.statbank_ras308
-- severity: critical
-- action: stop
-- reason: RAS308 and RAS302 count the same employed persons of the whole country by industry and position; a difference
--   in more than 3 of 100 comparisons means that one of the extracts is stale or of another selection.
-- owner: data-team
WITH compared AS (
    SELECT industry_code, socio_code, period, country.value AS ras308, everywhere.value AS ras302,
           country.value <> everywhere.value AS differs
    FROM staging.statbank_ras308 AS country
    JOIN staging.statbank_ras302 AS everywhere USING (industry_code, socio_code, age_code, sex_code, period)
    WHERE country.origin_country_code = 'TOT' AND everywhere.area_code = '000'
)
SELECT industry_code, socio_code, period, ras308, ras302
FROM compared
WHERE differs AND (SELECT avg(differs::INTEGER) FROM compared) > 0.03

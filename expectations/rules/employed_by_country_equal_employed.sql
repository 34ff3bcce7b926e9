-- table: staging.statbank_ras308
-- severity: warning
-- action: report
-- reason: RAS308 and RAS302 count the same employed persons of the whole country by industry and position.
-- owner: data-team
SELECT industry_code, socio_code, period, country.value AS ras308, everywhere.value AS ras302
FROM staging.statbank_ras308 AS country
JOIN staging.statbank_ras302 AS everywhere USING (industry_code, socio_code, age_code, sex_code, period)
WHERE country.origin_country_code = 'TOT' AND everywhere.area_code = '000' AND country.value <> everywhere.value

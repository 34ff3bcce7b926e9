-- The employed of the country by industry in the newest year of RAS308: all, and non-western immigrants.
WITH newest AS (SELECT max(period) AS period FROM staging.statbank_ras308)
SELECT industry_code,
       sum(value) FILTER (WHERE origin_country_code = 'TOT')::DOUBLE AS employed_count,
       sum(value) FILTER (WHERE origin_country_code = '34')::DOUBLE AS non_western_count
FROM staging.statbank_ras308 JOIN newest USING (period)
WHERE origin_country_code IN ('TOT', '34')
GROUP BY ALL ORDER BY ALL

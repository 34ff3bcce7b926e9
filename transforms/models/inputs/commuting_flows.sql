-- Employed persons per year: home_code, work_code, year, employed_count (both sexes).
SELECT area_code AS home_code, workplace_area_code AS work_code, left(period, 4)::INTEGER AS year,
       sum(value)::DOUBLE AS employed_count
FROM staging.statbank_pend100
WHERE value IS NOT NULL
GROUP BY ALL ORDER BY ALL

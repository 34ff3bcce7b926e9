-- Employed and persons per municipality, year, age group and sex for one ancestry, $1 (RAS201).
-- Columns: municipality_code, period, age_code, sex_code, k (employed), n (persons); unknown stays empty.
SELECT area.area_code AS municipality_code, period, age_code, sex_code,
       max(value) FILTER (WHERE labour_status_code = '00')::DOUBLE AS k,
       CASE WHEN count(value) = 3 THEN sum(value) END::DOUBLE AS n
FROM staging.statbank_ras201 cell
JOIN core.area area ON area.area_code = cell.area_code AND area.area_level = 'municipality'
WHERE ancestry_code = $1 AND age_code NOT IN ('-15', '65-66', '67-')
GROUP BY ALL ORDER BY ALL

-- The newest value of each year of the indicators $1: municipality_code, year, indicator_id, value.
SELECT value_row.area_code AS municipality_code, year(reference_date)::INTEGER AS year, indicator_id,
       arg_max(value, reference_date)::DOUBLE AS value
FROM core.indicator_area_value value_row
JOIN core.area area ON area.area_code = value_row.area_code AND area.area_level = 'municipality'
WHERE value IS NOT NULL AND list_contains($1, indicator_id)
GROUP BY ALL ORDER BY ALL

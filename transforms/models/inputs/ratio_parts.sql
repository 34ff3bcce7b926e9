-- Numerators and denominators of the indicators that are also told for commuting areas.
SELECT value_row.area_code AS municipality_code, indicator.indicator_id, value_row.period,
       any_value(value_row.reference_date) AS reference_date,
       any_value(value_row.numerator)::DOUBLE * any_value(base.scale) AS numerator,
       any_value(value_row.denominator)::DOUBLE AS denominator
FROM core.indicator_area_value value_row
JOIN mart.indicator indicator
    ON indicator.operation = 'commuting_area' AND indicator.numerator_measure = value_row.indicator_id
JOIN mart.indicator base ON base.indicator_id = indicator.numerator_measure
JOIN core.area area ON area.area_code = value_row.area_code AND area.area_level = 'municipality'
GROUP BY ALL ORDER BY ALL

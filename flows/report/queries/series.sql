-- The known figures of every indicator and municipality over the years, of the same month and day as the newest.
WITH newest AS (
    SELECT indicator_id, max(reference_date) AS day FROM mart.indicator_value WHERE is_newest GROUP BY ALL
)
SELECT figure.indicator_id, indicator.label_da, indicator.unit, figure.municipality_code,
    municipality.municipality_name, year(figure.reference_date), figure.value::DOUBLE
FROM mart.indicator_value figure
JOIN newest USING (indicator_id)
JOIN mart.indicator indicator USING (indicator_id)
JOIN mart.municipality municipality USING (municipality_code)
WHERE figure.value IS NOT NULL
    AND (month(figure.reference_date), day(figure.reference_date)) = (month(newest.day), day(newest.day))
ORDER BY indicator.dimension, indicator.label_da, figure.indicator_id, figure.municipality_code

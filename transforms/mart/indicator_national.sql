-- label_da: Indikatorværdier for hele landet
-- label_en: National indicator values
-- description: Every indicator for the whole country, from the publisher's own national figures.
-- grain: indicator_id, period
SELECT
    indicator_id, period, reference_date, value, numerator, denominator, value_status,
    value IS NOT NULL
        AND reference_date = max(reference_date) FILTER (WHERE value IS NOT NULL) OVER (PARTITION BY indicator_id)
        AS is_newest,
    _snapshot_id
FROM core.indicator_area_value
WHERE area_code = '000'

-- label_da: Indikatorværdier
-- label_en: Indicator values
-- description: Every indicator for every municipality and every period any municipality has it for. A value that is
--   not there is a row with status missing or suppressed, never an absent row and never 0.
-- grain: municipality_code, indicator_id, period
WITH held AS (
    SELECT value_row.*
    FROM core.indicator_area_value value_row
    JOIN mart.municipality municipality ON municipality.municipality_code = value_row.area_code
    UNION ALL BY NAME
    FROM core.commuting_area_value
    UNION ALL BY NAME
    FROM core.delivery_value
),
spans AS (
    SELECT
        indicator_id, period, any_value(reference_date) AS reference_date,
        -- The newest period is the newest one in which somebody has a value.
        reference_date = max(reference_date) FILTER (WHERE bool_or(value IS NOT NULL)) OVER (PARTITION BY indicator_id)
            AS is_newest
    FROM held
    GROUP BY indicator_id, period, reference_date
)
SELECT
    municipality.municipality_code,
    spans.indicator_id,
    spans.period,
    spans.reference_date,
    held.value,
    held.numerator,
    held.denominator,
    coalesce(held.value_status, 'missing') AS value_status,
    coalesce(spans.is_newest, false) AS is_newest,
    held._snapshot_id
FROM spans
CROSS JOIN mart.municipality municipality
LEFT JOIN held
    ON held.area_code = municipality.municipality_code
    AND held.indicator_id = spans.indicator_id AND held.period = spans.period

-- label_da: Indikatorværdier for hele landet
-- label_en: National indicator values
-- description: Every indicator for the whole country, from the publisher's own national figures. An indicator of
--   commuting areas is set against the national figure of the indicator it is made from.
-- grain: indicator_id, period
WITH national AS (
    SELECT indicator_id, period, reference_date, value, numerator, denominator, value_status, _snapshot_id
    FROM core.indicator_area_value
    WHERE area_code = '000'
    UNION ALL
    SELECT
        area_indicator.indicator_id, base.period, base.reference_date, base.value, base.numerator, base.denominator,
        base.value_status, base._snapshot_id
    FROM core.indicator_area_value base
    JOIN mart.indicator area_indicator
        ON area_indicator.operation = 'commuting_area' AND area_indicator.numerator_measure = base.indicator_id
    WHERE base.area_code = '000'
)
SELECT
    indicator_id, period, reference_date, value, numerator, denominator, value_status,
    value IS NOT NULL
        AND reference_date = max(reference_date) FILTER (WHERE value IS NOT NULL) OVER (PARTITION BY indicator_id)
        AS is_newest,
    _snapshot_id
FROM national

-- label_da: Indikatorværdier for alle områder
-- label_en: Indicator values for all areas
-- description: Each indicator made of its measures, for the country and every municipality. Both measures must have
--   the same reference date. A rate over fewer than KOMMUNEKORT_LEAST_RATE_DENOMINATOR is withheld. A published rate has the counts it is made of
--   beside it where they are published too (or only the number it is over); a count and a difference of rates have neither numerator nor denominator.
-- grain: indicator_id, area_code, period
WITH paired AS (
    SELECT
        indicator.indicator_id, indicator.operation, indicator.unit, indicator.scale,
        indicator.denominator_measure,
        top.area_code, top.period, top.reference_date, top._snapshot_id,
        top.value AS numerator, top.value_status AS numerator_status,
        bottom.value AS denominator, bottom.value_status AS denominator_status,
        counted.value AS counted, counted_of.value AS counted_of
    FROM mart.indicator indicator
    JOIN core.measure top ON top.measure_id = indicator.numerator_measure
    LEFT JOIN core.measure bottom
        ON bottom.area_code = top.area_code
        AND bottom.measure_id = coalesce(indicator.denominator_measure, top.measure_id)
        AND bottom.reference_date = CASE indicator.operation
            WHEN 'growth_5y' THEN (top.reference_date - INTERVAL 5 YEAR)::DATE ELSE top.reference_date END
    LEFT JOIN core.measure counted
        ON counted.measure_id = indicator.counted_numerator_measure
        AND counted.area_code = top.area_code AND counted.reference_date = top.reference_date
    LEFT JOIN core.measure counted_of
        ON counted_of.measure_id = indicator.counted_denominator_measure
        AND counted_of.area_code = top.area_code AND counted_of.reference_date = top.reference_date
    WHERE indicator.operation IN ('value', 'ratio', 'difference', 'growth_5y')
    UNION ALL
    -- What an extract holds the whole of, but not the part: the share is missing there, and told to be.
    SELECT
        indicator.indicator_id, indicator.operation, indicator.unit, indicator.scale,
        indicator.denominator_measure,
        bottom.area_code, bottom.period, bottom.reference_date, bottom._snapshot_id,
        NULL, NULL, bottom.value, bottom.value_status, NULL, NULL
    FROM mart.indicator indicator
    JOIN core.measure bottom ON bottom.measure_id = indicator.denominator_measure
    SEMI JOIN core.measure elsewhere
        ON elsewhere.measure_id = indicator.numerator_measure AND elsewhere._snapshot_id = bottom._snapshot_id
    SEMI JOIN core.area area ON area.area_code = bottom.area_code AND area.area_level = 'municipality'
    ANTI JOIN core.measure top
        ON top.measure_id = indicator.numerator_measure AND top.area_code = bottom.area_code
        AND top.reference_date = bottom.reference_date
    WHERE indicator.operation = 'ratio'
),
judged AS (
    SELECT
        *,
        CASE
            WHEN operation = 'value' THEN numerator_status
            WHEN 'suppressed' IN (numerator_status, denominator_status) THEN 'suppressed'
            WHEN numerator IS NULL OR denominator IS NULL THEN 'missing'
            WHEN operation = 'ratio' AND denominator = 0 THEN 'not_applicable'
            WHEN operation = 'growth_5y' AND denominator = 0 THEN 'not_applicable'
            WHEN operation = 'ratio' AND denominator < release.least_rate_denominator THEN 'suppressed'
            ELSE numerator_status
        END AS status
    FROM paired CROSS JOIN run.release AS release
),
computed AS (
    SELECT
        *,
        CASE
            WHEN status IN ('suppressed', 'missing', 'not_applicable') THEN NULL
            WHEN operation = 'value' THEN numerator
            WHEN operation = 'difference' THEN numerator - denominator
            WHEN operation = 'ratio' THEN (scale * numerator / denominator)
            WHEN operation = 'growth_5y' THEN (100 * (numerator - denominator) / denominator)
        END AS computed
    FROM judged
)
SELECT
    indicator_id, area_code, period, reference_date,
    round(computed, 4) AS value,
    CASE
        WHEN status = 'suppressed' THEN NULL
        WHEN operation = 'value' THEN if(counted_of IS NULL, NULL, counted)
        WHEN operation <> 'difference' THEN numerator
    END AS numerator,
    CASE
        WHEN status = 'suppressed' THEN NULL
        WHEN operation = 'value' THEN counted_of
        WHEN operation <> 'difference' THEN denominator
    END AS denominator,
    CASE WHEN status IN ('observed', 'zero') THEN if(computed = 0, 'zero', 'observed') ELSE status END
        AS value_status,
    _snapshot_id
FROM computed
-- Growth is only told once there is a value five years earlier to grow from.
WHERE operation <> 'growth_5y' OR denominator_status IS NOT NULL

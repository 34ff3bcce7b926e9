-- label_da: Tal med alt ved siden af
-- label_en: Figures with everything beside them
-- description: Every indicator value of every municipality with names, labels, unit, status, source and date, for those
--   who read the mart without joining; the same values as mart.indicator_value.
-- grain: municipality_code, indicator_id, period
SELECT
    held.municipality_code, municipality.municipality_name, municipality.region_name, municipality.province_name,
    municipality.is_participant,
    held.indicator_id, indicator.dimension, indicator.label_da, indicator.label_en, indicator.unit, indicator.direction,
    held.period, held.reference_date, held.value, held.numerator, held.denominator, held.value_status, held.is_newest,
    indicator.source_id, indicator.producer, snapshot.published_at
FROM mart.indicator_value held
JOIN mart.municipality municipality USING (municipality_code)
JOIN mart.indicator indicator USING (indicator_id)
LEFT JOIN meta.snapshot snapshot ON snapshot._snapshot_id = held._snapshot_id

-- label_da: Indikatorer
-- label_en: Indicators
-- description: Every indicator with its full definition. Two may only be compared when population, ages, residence
--   basis, job definition and period type agree.
-- grain: indicator_id
SELECT
    indicator.indicator_id, indicator.dimension, indicator.label_da, indicator.label_en, indicator.unit,
    indicator.direction, indicator.operation, indicator.numerator_measure, indicator.denominator_measure,
    indicator.counted_numerator AS counted_numerator_measure,
    indicator.counted_denominator AS counted_denominator_measure, indicator.scale, indicator.definition_da,
    indicator.definition_en, indicator.population_definition, indicator.age_from, indicator.age_to,
    indicator.residence_basis, indicator.job_definition, indicator.period_type,
    indicator.source_id, source.producer, source.licence, indicator.is_headline = '1' AS is_headline
FROM reference.indicators indicator
LEFT JOIN meta.source source USING (source_id)

-- label_da: Indikatorværdier for pendlingsområder
-- label_en: Indicator values of commuting areas
-- description: Indicators told for the municipality's whole commuting area; an estimate, since the areas are. A share has its
--   denominator but no numerator: areas overlap, so their parts cannot be added up.
-- grain: indicator_id, area_code, period
SELECT
    indicator_id, municipality_code AS area_code, period, reference_date, value, NULL AS numerator, denominator,
    value_status, NULL AS _snapshot_id
FROM (
    SELECT indicator_id, municipality_code, period, reference_date, value, denominator, value_status
    FROM model.area_condition
    UNION ALL
    SELECT indicator_id, municipality_code, period, reference_date::VARCHAR, value, denominator, value_status
    FROM model.absorption
)

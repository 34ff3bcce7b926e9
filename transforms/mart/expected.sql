-- label_da: Forventet og faktisk
-- label_en: Expected and observed
-- description: What could be expected of the municipality under its framework conditions, set against what is observed.
--   The expectation comes from the other municipalities alone. Interval, ranks and assessment are read off one
--   difference and one standard error; the interval and the assessment allow for all that is compared.
-- grain: municipality_code, outcome_id, period
SELECT
    municipality_code, outcome_id, period,
    round(observed::DOUBLE, 4)::DECIMAL(18, 4) AS observed,
    round(expected::DOUBLE, 4)::DECIMAL(18, 4) AS expected,
    round(difference::DOUBLE, 4)::DECIMAL(18, 4) AS difference,
    round(standard_error::DOUBLE, 4)::DECIMAL(18, 4) AS standard_error,
    round(single_low::DOUBLE, 4)::DECIMAL(18, 4) AS single_low,
    round(single_high::DOUBLE, 4)::DECIMAL(18, 4) AS single_high,
    round(difference_low::DOUBLE, 4)::DECIMAL(18, 4) AS difference_low,
    round(difference_high::DOUBLE, 4)::DECIMAL(18, 4) AS difference_high,
    round(shrunk_difference::DOUBLE, 4)::DECIMAL(18, 4) AS shrunk_difference,
    rank_low::INTEGER AS rank_low, rank_high::INTEGER AS rank_high, n_count::BIGINT AS n_count,
    assessment, is_unusual::BOOLEAN AS is_unusual, filled_conditions_count::INTEGER AS filled_conditions_count,
    round(explained_share::DOUBLE, 4)::DECIMAL(18, 4) AS explained_share, method AS estimation_method,
    value_status
FROM model.assessment

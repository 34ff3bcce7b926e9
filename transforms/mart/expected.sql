-- label_da: Forventet og faktisk
-- label_en: Expected and observed
-- description: What could be expected of the municipality under its framework conditions, set against what is observed.
--   The expectation never uses who the municipality is. Differences come with a 95 % interval, an interval of ranks
--   and n; the assessment is corrected for the number of municipalities compared.
-- grain: municipality_code, outcome_id, period
SELECT
    municipality_code, outcome_id, period,
    round(observed::DOUBLE, 4)::DECIMAL(18, 4) AS observed,
    round(expected::DOUBLE, 4)::DECIMAL(18, 4) AS expected,
    round(difference::DOUBLE, 4)::DECIMAL(18, 4) AS difference,
    round(difference_low::DOUBLE, 4)::DECIMAL(18, 4) AS difference_low,
    round(difference_high::DOUBLE, 4)::DECIMAL(18, 4) AS difference_high,
    round(shrunk_difference::DOUBLE, 4)::DECIMAL(18, 4) AS shrunk_difference,
    rank_low::INTEGER AS rank_low, rank_high::INTEGER AS rank_high, n_count::BIGINT AS n_count,
    assessment, round(explained_share::DOUBLE, 4)::DECIMAL(18, 4) AS explained_share, method AS estimation_method,
    value_status
FROM (FROM model.expected UNION ALL BY NAME FROM model.duration)

-- label_da: Forventet og faktisk
-- label_en: Expected and observed
-- description: What could be expected of the municipality under its framework conditions, set against what is observed.
--   The expectation comes from the other municipalities alone. Interval, ranks and assessment are read off one
--   difference and one standard error; the interval and the assessment allow for all that is compared.
-- grain: municipality_code, outcome_id, period
SELECT
    municipality_code, outcome_id, period, observed, expected, difference, standard_error, single_low, single_high,
    difference_low, difference_high, shrunk_difference, rank_low, rank_high, n_count, assessment, is_unusual,
    filled_conditions_count, explained_share, method AS estimation_method, value_status
FROM model.assessment

-- label_da: Metoder og job
-- label_en: Methods and jobs
-- description: How taking part in each measure goes together with getting a first lasting job, by organisation and
--   framework condition, from the municipalities' deliveries. An association with time-varying exposure, pooled over
--   municipalities, with interval and checks; not a proof of effect. Numbers of persons are rounded.
-- grain: method_code, context_code, outcome_id
SELECT
    method_code, context_code, outcome_id,
    round(hazard_ratio::DOUBLE, 2) AS hazard_ratio,
    round(hazard_ratio_low::DOUBLE, 2) AS hazard_ratio_low,
    round(hazard_ratio_high::DOUBLE, 2) AS hazard_ratio_high,
    round(prediction_low::DOUBLE, 2) AS prediction_low,
    round(prediction_high::DOUBLE, 2) AS prediction_high,
    round(interaction_ratio::DOUBLE, 2) AS interaction_ratio,
    round(interaction_low::DOUBLE, 2) AS interaction_low,
    round(interaction_high::DOUBLE, 2) AS interaction_high,
    interaction_stands, n_persons AS n_count, n_exposed AS exposed_count, n_municipalities AS municipalities_count,
    round(heterogeneity::DOUBLE, 2) AS heterogeneity,
    round(hazard_ratio_lagged::DOUBLE, 2) AS hazard_ratio_lagged,
    round(hazard_ratio_without_first_weeks::DOUBLE, 2) AS hazard_ratio_without_first_weeks,
    round(e_value::DOUBLE, 2) AS e_value,
    value_status, what_it_is_not_da, what_it_is_not_en
FROM model.method_effect

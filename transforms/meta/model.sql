-- label_da: Modelkort
-- label_en: Model card
-- description: What each model of expectations used and how it did: coefficients, spreads, sizes and checks, one row per
--   term. Coefficients are on the linear scale per standard deviation of the condition; checks are out of sample.
-- grain: outcome_id, period, term, term_kind
SELECT
    outcome_id, period, term, kind AS term_kind, value AS term_value, standard_error AS term_error
FROM model.card

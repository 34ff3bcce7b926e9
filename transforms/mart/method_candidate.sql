-- label_da: Kandidatmetoder
-- label_en: Candidate methods
-- description: Methods the mapping of a municipality points to, with the conditions met, the grade and population of
--   the evidence, and a caution. The rank orders a discussion; no effect size is carried over from elsewhere.
-- grain: municipality_code, method_code
SELECT
    municipality_code, method_code, label_da AS method_name_da, label_en AS method_name_en, rank AS candidate_rank,
    conditions_met_count, conditions_known_count, conditions_met, reasons_da, reasons_en, evidence_grade,
    evidence_population_da, evidence_population_en, caution_da, caution_en, source_url
FROM model.method_candidate

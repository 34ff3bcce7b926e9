-- label_da: Udfordringer og potentialer
-- label_en: Challenges and potentials
-- description: What stands out in a municipality against its peers, the country or what could be expected, by explicit
--   rules (reference.finding_rules), with the values it rests on and a sentence in both languages.
-- grain: municipality_code, finding_id
SELECT
    municipality_code, finding_id, rule_version::INTEGER AS rule_version, kind AS finding_kind, indicator_id, compare_to,
    strength, round(strength_value::DOUBLE, 4)::DECIMAL(18, 4) AS strength_value,
    round(value::DOUBLE, 4)::DECIMAL(18, 4) AS value,
    round(reference_value::DOUBLE, 4)::DECIMAL(18, 4) AS reference_value,
    round(gap::DOUBLE, 4)::DECIMAL(18, 4) AS gap, n_count::BIGINT AS n_count, sentence_da, sentence_en
FROM model.finding

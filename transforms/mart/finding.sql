-- label_da: Udfordringer og potentialer
-- label_en: Challenges and potentials
-- description: What stands out in a municipality against its peers, the country or what could be expected, by explicit
--   rules (reference.finding_rules), with what it rests on and its values, and a sentence in both languages.
-- grain: municipality_code, finding_id
SELECT
    municipality_code, finding_id, rule_version, kind AS finding_kind, indicator_id, compare_to, strength,
    strength_value, value, reference_value, gap, n_count, sentence_da, sentence_en,
    if(indicator.indicator_id IS NULL, 'organisation_column', 'indicator') AS rests_on_kind,
    coalesce(indicator.label_da, question.label_da) AS rests_on_label_da,
    coalesce(indicator.label_en, question.label_en) AS rests_on_label_en,
    coalesce(indicator.unit, question.unit) AS rests_on_unit,
    coalesce(indicator.definition_da, question.description_da) AS rests_on_definition_da,
    coalesce(indicator.definition_en, question.description) AS rests_on_definition
FROM model.finding found
LEFT JOIN mart.indicator indicator USING (indicator_id)
LEFT JOIN run.column_label question ON question.column_name = found.indicator_id

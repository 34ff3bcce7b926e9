-- label_da: Programmer og puljer
-- label_en: Programmes and pools
-- description: Which programme a municipality takes part in or may apply to, and why.
-- grain: municipality_code, programme_id
SELECT
    eligibility.municipality_code, eligibility.programme_id, programme.name_da AS programme_name_da,
    programme.name_en AS programme_name_en, eligibility.project_unit, eligibility.is_participant AS takes_part,
    eligibility.may_apply, eligibility.is_deadline_passed, programme.deadline_date, programme.amount_dkk,
    programme.target_group_da, programme.target_group_en, eligibility.reason_da, eligibility.reason_en,
    programme.source_url
FROM model.eligibility eligibility
JOIN reference.programmes programme USING (programme_id)

-- label_da: Organisering
-- label_en: Organisation
-- description: The organisation questionnaire as the municipalities answered it: facts of the joint or the leader's
--   answer, judgements with their spread over respondents.
-- grain: municipality_code, reference_date
SELECT
    municipality_code, reference_date, respondent_role_code, respondent_count, value_source_code, confidence_code,
    org_model_code, physical_colocation_code, family_coordinator_code, contract_responsible_code,
    contract_within_1_month_pct, start_firm_directed_days_median, started_within_14d_pct, started_within_30d_pct,
    caseload_per_caseworker_count, job_consultants_fte, has_dedicated_job_consultants, danish_provider_code,
    danish_parallel_with_placement_code, has_workplace_danish, health_assessment_code, health_assessment_days,
    has_day1_job_ready_rule, intake_screening_code, political_committee_code, has_political_goal,
    cooperation_municipality_codes, programme_expenditure_dkk, industry_track_codes, industry_packages_code,
    firm_partnerships_count, rating_leadership_mean, rating_leadership_lowest, rating_leadership_highest,
    rating_targeting_mean, rating_targeting_lowest, rating_targeting_highest, rating_firm_mean, rating_firm_lowest,
    rating_firm_highest, rating_danish_mean, rating_danish_lowest, rating_danish_highest, rating_family_health_mean,
    rating_family_health_lowest, rating_family_health_highest, rating_data_use_mean, rating_data_use_lowest,
    rating_data_use_highest
FROM model.organisation

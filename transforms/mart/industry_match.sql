-- label_da: Brancher
-- label_en: Industries
-- description: How each industry fits a municipality: employed persons in its commuting area, growth, and how many
--   non-western immigrants the industry employs nationally. An estimate throughout; an unknown factor is left out and
--   named, never guessed.
-- grain: municipality_code, industry_code
SELECT
    match.municipality_code, match.industry_code, industry.text_da AS industry_name_da,
    industry.text_en AS industry_name_en,
    round(match.jobs_in_reach_count::DOUBLE, 0) AS jobs_in_reach_count,
    match.jobs_growth_pct, match.absorption_pct,
    round(match.openings_count::DOUBLE, 0) AS openings_count, match.openings_status,
    match.shortage_class, match.shortage_class_status AS shortage_status, match.placement_to_job_pct,
    match.placement_to_job_status, match.present_use_pct, match.present_use_status, match.score AS match_score,
    match.score_rank AS match_rank, match.score_factors, match.is_estimated, match.value_status, match.reason_da,
    match.reason_en
FROM model.industry_match match
LEFT JOIN reference.codelists industry ON industry.codelist = 'db07_37' AND industry.code = match.industry_code

-- label_da: Kortlægningen
-- label_en: The mapping
-- description: One row per municipality: the headline of its starting point, organisation and framework conditions,
--   what could be expected, its peers, challenges, potentials, industries and candidate methods, with the dates the
--   figures are from and how complete the mapping is.
-- grain: municipality_code
WITH newest AS (
    SELECT value_row.*, indicator.is_headline
    FROM mart.indicator_value value_row
    JOIN mart.indicator indicator USING (indicator_id)
    WHERE value_row.is_newest
),
known AS (SELECT count(*) AS total, count(*) FILTER (WHERE is_headline) AS headlines FROM mart.indicator),
figures AS (
    SELECT
        municipality_code,
        max(value) FILTER (WHERE indicator_id = 'immigrants_non_western_pct') AS non_western_share_pct,
        max(value) FILTER (WHERE indicator_id = 'refugees_and_family_count') AS refugees_and_family_count,
        max(value) FILTER (WHERE indicator_id = 'employment_rate_non_western_pct') AS employment_rate_non_western_pct,
        max(value) FILTER (WHERE indicator_id = 'employment_rate_danish_pct') AS employment_rate_danish_pct,
        max(value) FILTER (WHERE indicator_id = 'employment_gap_immigrants_pp') AS employment_gap_immigrants_pp,
        max(value) FILTER (WHERE indicator_id = 'employment_gap_non_western_pp') AS employment_gap_non_western_pp,
        max(value) FILTER (WHERE indicator_id = 'newcomers_count') AS newcomers_count,
        max(value) FILTER (WHERE indicator_id = 'use_placement_private_pct') AS use_placement_private_pct,
        max(value) FILTER (WHERE indicator_id = 'unemployment_pct') AS unemployment_pct,
        max(value) FILTER (WHERE indicator_id = 'disposable_income_dkk') AS disposable_income_dkk,
        count(value) AS indicator_count,
        min(reference_date) FILTER (WHERE is_headline AND value IS NOT NULL) AS oldest_reference_date,
        max(reference_date) FILTER (WHERE is_headline AND value IS NOT NULL) AS newest_reference_date
    FROM newest
    GROUP BY municipality_code
),
expected AS (
    SELECT * FROM mart.expected WHERE outcome_id = 'employment_rate_non_western_pct'
    QUALIFY period = max(period) OVER ()
),
durations AS (
    SELECT * FROM mart.expected WHERE outcome_id = 'first_job_weeks'
    QUALIFY period = max(period) OVER ()
),
organisation AS (
    SELECT * FROM mart.organisation
    QUALIFY reference_date = max(reference_date) OVER (PARTITION BY municipality_code)
),
peers AS (
    SELECT
        peer.municipality_code, string_agg(near.municipality_name, ', ' ORDER BY peer.peer_rank) AS peer_names,
        count(*) FILTER (WHERE peer.is_same_group) AS same_group_peer_count
    FROM mart.peer peer JOIN mart.municipality near ON near.municipality_code = peer.peer_code
    GROUP BY peer.municipality_code
),
findings AS (
    SELECT
        municipality_code,
        count(*) FILTER (WHERE finding_kind = 'challenge') AS challenge_count,
        count(*) FILTER (WHERE finding_kind = 'potential') AS potential_count
    FROM mart.finding
    GROUP BY municipality_code
),
industries AS (
    SELECT municipality_code, string_agg(industry_name_da, ', ' ORDER BY match_rank) AS best_industries
    FROM mart.industry_match WHERE match_rank <= 3
    GROUP BY municipality_code
),
methods AS (
    SELECT municipality_code, string_agg(method_name_da, ', ' ORDER BY candidate_rank) AS candidate_methods
    FROM mart.method_candidate
    GROUP BY municipality_code
)
SELECT
    municipality.municipality_code, municipality.municipality_name, municipality.region_name,
    municipality.province_name, municipality.municipality_group_da, municipality.size_band,
    municipality.is_participant, municipality.project_unit, area.commuting_area_code, municipality.population_count,
    figures.non_western_share_pct, figures.refugees_and_family_count, figures.employment_rate_non_western_pct,
    figures.employment_rate_danish_pct, figures.employment_gap_non_western_pp, figures.employment_gap_immigrants_pp,
    expected.expected AS expected_employment_pct, expected.difference AS difference_pp,
    expected.difference_low AS difference_low_pp, expected.difference_high AS difference_high_pp, expected.assessment,
    durations.observed AS first_job_weeks, durations.expected AS expected_first_job_weeks,
    durations.difference AS difference_weeks, durations.assessment AS duration_assessment, figures.newcomers_count,
    organisation.org_model_code, figures.use_placement_private_pct, figures.unemployment_pct,
    figures.disposable_income_dkk, peers.peer_names,
    coalesce(peers.same_group_peer_count, 0) AS same_group_peer_count,
    coalesce(findings.challenge_count, 0) AS challenge_count,
    coalesce(findings.potential_count, 0) AS potential_count,
    industries.best_industries, methods.candidate_methods, known.headlines AS headline_count,
    coalesce(figures.indicator_count, 0) AS indicator_count,
    known.total - coalesce(figures.indicator_count, 0) AS missing_indicator_count,
    round(100 * coalesce(figures.indicator_count, 0) / known.total, 4) AS completeness_pct,
    figures.oldest_reference_date, figures.newest_reference_date
FROM mart.municipality municipality
CROSS JOIN known
LEFT JOIN mart.commuting_area area USING (municipality_code)
LEFT JOIN figures USING (municipality_code)
LEFT JOIN expected USING (municipality_code)
LEFT JOIN durations USING (municipality_code)
LEFT JOIN organisation USING (municipality_code)
LEFT JOIN peers USING (municipality_code)
LEFT JOIN findings USING (municipality_code)
LEFT JOIN industries USING (municipality_code)
LEFT JOIN methods USING (municipality_code)

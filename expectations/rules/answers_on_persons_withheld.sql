-- table: mart.organisation
-- severity: critical
-- action: stop
-- reason: Answers that are shares of persons or days over them are empty where the municipality has too few, and no
--   number of respondents is told that is below the threshold or not rounded, nor the answers of single ones.
-- owner: data-team
SELECT answered.municipality_code, answered.reference_date, respondent_count
FROM mart.organisation AS answered
CROSS JOIN run.release AS release
LEFT JOIN mart.indicator_value AS newcomers
    ON newcomers.municipality_code = answered.municipality_code AND newcomers.indicator_id = 'newcomers_count'
    AND newcomers.is_newest
WHERE respondent_count < suppression_threshold OR respondent_count % rounding_base <> 0
   OR (respondent_count IS NULL AND (rating_leadership_lowest IS NOT NULL OR rating_leadership_highest IS NOT NULL))
   OR (coalesce(newcomers.value, 0) < greatest(minimum_denominator, suppression_threshold) AND (
        contract_within_1_month_pct IS NOT NULL OR started_within_14d_pct IS NOT NULL
        OR started_within_30d_pct IS NOT NULL OR start_firm_directed_days_median IS NOT NULL
        OR health_assessment_days IS NOT NULL))

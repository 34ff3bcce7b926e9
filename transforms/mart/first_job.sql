-- label_da: Første job inden for et, to og tre år
-- label_en: First job within one, two and three years
-- description: Share of refugees and their families of the followed cohorts who had a first ordinary job of at least
--   13 weeks within one, two and three years of their permit, by municipality, by the organisation model of the
--   municipality and by trait, from the municipalities' deliveries. The interval of a municipality is that of its
--   difference from what could be expected, laid about its share. An association, not the effect of an organisation
--   model.
-- grain: breakdown_id, breakdown_code, within_years
SELECT
    breakdown_id, breakdown_code, within_years, first_job_share_pct, first_job_share_low_pct,
    first_job_share_high_pct, n_count, municipality_count, value_status
FROM model.first_job
UNION ALL
SELECT
    'municipality_code', municipality_code, regexp_extract(outcome_id, 'within_(\d)_year', 1)::INTEGER, observed,
    greatest(expected + single_low, 0), least(expected + single_high, 100),
    n_count, 1, value_status
FROM mart.expected
WHERE outcome_id LIKE 'first_job_within_%'

-- label_da: Første job inden for et, to og tre år
-- label_en: First job within one, two and three years
-- description: Share of refugees and their families of the followed cohorts who had a first ordinary job of at least
--   13 weeks within one, two and three years of their permit, by the organisation model of their municipality and by
--   trait, from the municipalities' deliveries. An association, not the effect of an organisation model.
-- grain: breakdown_id, breakdown_code, within_years
SELECT
    breakdown_id, breakdown_code, within_years::INTEGER AS within_years,
    first_job_share_pct::DECIMAL(18, 4) AS first_job_share_pct,
    first_job_share_low_pct::DECIMAL(18, 4) AS first_job_share_low_pct,
    first_job_share_high_pct::DECIMAL(18, 4) AS first_job_share_high_pct,
    n_count::BIGINT AS n_count, municipality_count::INTEGER AS municipality_count, value_status
FROM model.first_job

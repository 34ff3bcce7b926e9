-- table: staging.jobindsats_y14d03
-- severity: warning
-- action: report
-- reason: Everyone who has completed a placement is in a job in the same firm, in another of the industry, in another
--   industry, or in none; where most of these shares make 100 per cent, those that do not are wrong or were changed.
-- owner: data-team
WITH added AS (
    SELECT area_code, offer_text, target_group_text, period, sum(value) AS added
    FROM staging.jobindsats_y14d03
    WHERE measure_name IN ('same_firm_pct', 'same_industry_pct', 'other_industry_pct', 'no_job_pct')
    GROUP BY ALL
    HAVING count(value) = 4
)
SELECT *
FROM added
WHERE abs(added - 100) > 0.5 AND (SELECT median(abs(added - 100)) <= 0.5 FROM added)

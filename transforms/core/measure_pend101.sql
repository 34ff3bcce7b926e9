-- label_da: Måltal af PEND101
-- label_en: Measures from PEND101
-- description: Employed persons at the end of November by residence, workplace and industry (DB07, ten groups).
-- grain: measure_id, area_code, period
WITH wanted(industry_code, suffix) AS (
    VALUES
        ('TOT', ''), ('1', '_agriculture'), ('2', '_manufacturing'), ('3', '_construction'), ('4', '_trade_transport'),
        ('5', '_information'), ('6', '_finance'), ('7', '_real_estate'), ('8', '_business_services'),
        ('9', '_public_health'), ('10', '_culture_other')
),
commuting(commuting_code, stem) AS (
    VALUES ('NAT', 'residents_employed'), ('IND', 'commute_in'), ('UD', 'commute_out'), ('DAG', 'jobs_here')
),
by_area AS (
    SELECT
        stem || suffix AS measure_id, stem, area_code, period, end_of_november(period) AS reference_date,
        sum_complete(value, value_status, 2) AS value, status_of_sum(value, value_status, 2) AS value_status,
        any_value(_snapshot_id) AS _snapshot_id
    FROM staging.statbank_pend101 JOIN wanted USING (industry_code) JOIN commuting USING (commuting_code)
    WHERE suffix = '' OR commuting_code = 'DAG'
    GROUP BY stem, suffix, area_code, period
)
SELECT measure_id, area_code, period, reference_date, value, value_status, _snapshot_id FROM by_area
UNION ALL
-- The table has no row for the country: residents and jobs add up to it, commuters between municipalities do not.
SELECT
    measure_id, '000' AS area_code, period, any_value(reference_date) AS reference_date,
    sum_complete(value, value_status, 98) AS value, status_of_sum(value, value_status, 98) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM by_area
WHERE stem IN ('residents_employed', 'jobs_here')
GROUP BY measure_id, period

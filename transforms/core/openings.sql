-- label_da: Nyopslåede stillinger
-- label_en: Openings posted
-- description: New openings posted on Jobnet in a municipality and industry (37 groups) over the latest twelve months
--   the table holds (Jobindsats y25i10). A withheld month withholds the year and an absent one leaves it missing;
--   neither is ever taken for 0.
-- grain: municipality_code, industry_code
WITH posted AS (
    SELECT
        cell.area_code AS municipality_code, cell.industry_code, cell.period, cell.value,
        cell.value_status, cell._snapshot_id
    FROM staging.jobindsats_y25i10 cell
    JOIN core.area area ON area.area_code = cell.area_code AND area.area_level = 'municipality'
    -- Neither the total over the industries nor a text without a code is one of the 37 industries.
    JOIN reference.codelists industry ON industry.codelist = 'db07_37' AND industry.code = cell.industry_code
    WHERE cell.measure_name = 'posted_count'
    QUALIFY period_date(cell.period) > max(period_date(cell.period)) OVER () - INTERVAL 12 MONTH
)
SELECT
    municipality_code, industry_code, max(period) AS period,
    sum_complete(value, value_status, 12) AS openings_posted_count,
    status_of_sum(value, value_status, 12) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM posted
GROUP BY municipality_code, industry_code

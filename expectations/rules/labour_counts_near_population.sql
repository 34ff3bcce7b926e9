-- table: staging.statbank_ras201
-- severity: critical
-- action: stop
-- reason: Non-western immigrants aged 16-64 at the end of November (RAS201) are nearly those of 1 January after
--   (FOLK1E); half or double means a total was summed with its parts.
-- owner: data-team
WITH november AS (
    SELECT (period::INTEGER + 1)::VARCHAR || 'K1' AS period, sum(value) AS persons
    FROM staging.statbank_ras201
    WHERE area_code = '000' AND ancestry_code = '25'
    GROUP BY ALL
),
january AS (
    SELECT period, sum(value) AS persons
    FROM staging.statbank_folk1e
    WHERE area_code = '000' AND ancestry_code = '25' AND sex_code = 'TOT'
      AND TRY_CAST(age_code AS INTEGER) BETWEEN 16 AND 64
    GROUP BY ALL
)
SELECT period, november.persons AS ras201, january.persons AS folk1e
FROM november JOIN january USING (period)
WHERE november.persons NOT BETWEEN 0.8 * january.persons AND 1.25 * january.persons

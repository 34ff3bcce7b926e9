-- table: core.measure
-- severity: critical
-- action: stop
-- reason: Where the country is told and is the sum of its municipalities, no single municipality is withheld, else it is
--   the country less the others.
-- owner: data-team
WITH groups AS (
    SELECT
        benefit_code, national_origin_code, ancestry_code, period,
        any_value(value) FILTER (area_level = 'country') AS total,
        count(*) FILTER (area_level = 'municipality' AND value IS NULL) AS gaps,
        count(*) FILTER (area_level = 'municipality') AS places
    FROM staging.statbank_ky038 JOIN core.area USING (area_code)
    GROUP BY ALL
)
SELECT benefit_code, national_origin_code, ancestry_code, period
FROM groups
WHERE total IS NOT NULL AND gaps = 1 AND places = 98

-- table: core.measure
-- severity: critical
-- action: stop
-- reason: Of shares that make up a whole either all are told or at least two are not, else the one that is withheld is
--   the rest.
-- owner: data-team
SELECT area_code, offer_text, target_group_text, period
FROM staging.jobindsats_y14d03
JOIN reference.complementary_shares USING (measure_name)
WHERE source_id = 'jobindsats_y14d03'
GROUP BY ALL
HAVING count(*) - count(value) = 1

-- table: staging.statbank_auk01
-- severity: critical
-- action: stop
-- reason: Every benefit is a part of all recipients; a part above the whole means a subtotal was taken for a benefit.
-- owner: data-team
SELECT area_code, part.benefit_code, sex_code, age_code, period, part.value AS recipients, everybody.value AS everybody
FROM staging.statbank_auk01 AS part
JOIN staging.statbank_auk01 AS everybody USING (area_code, sex_code, age_code, period)
WHERE everybody.benefit_code = 'TOTUSU' AND part.value > everybody.value
  AND part.benefit_code NOT IN ('TOT', 'SU')

-- table: staging.statbank_ky038
-- severity: critical
-- action: stop
-- reason: Recipients of one benefit or one origin are a part of all recipients.
-- owner: data-team
SELECT area_code, benefit_code, national_origin_code, ancestry_code, period, part.value AS recipients,
       everybody.value AS everybody
FROM staging.statbank_ky038 AS part
JOIN (
    SELECT area_code, period, value
    FROM staging.statbank_ky038
    WHERE benefit_code = '10000' AND national_origin_code = 'TOT' AND ancestry_code = '00'
) AS everybody USING (area_code, period)
WHERE part.value > everybody.value

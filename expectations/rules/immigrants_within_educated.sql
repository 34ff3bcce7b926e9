-- table: staging.statbank_hfudd11
-- severity: critical
-- action: stop
-- reason: Immigrants are a part of the population; more of them than of everybody means mixed ancestry codes.
-- owner: data-team
SELECT area_code, education_code, age_code, sex_code, period, immigrant.value AS immigrants, everybody.value AS everybody
FROM staging.statbank_hfudd11 AS immigrant
JOIN staging.statbank_hfudd11 AS everybody USING (area_code, education_code, age_code, sex_code, period)
WHERE immigrant.ancestry_code = '4' AND everybody.ancestry_code = 'TOT' AND immigrant.value > everybody.value

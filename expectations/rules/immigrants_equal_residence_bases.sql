-- table: staging.statbank_indoph1
-- severity: warning
-- action: report
-- reason: INDOPH1 spreads the immigrants of FOLK1E over their first residence basis; both speak of 1 January.
-- owner: data-team
SELECT basis.area_code, basis.period, basis.value AS indoph1, sum(immigrant.value) AS folk1e
FROM staging.statbank_indoph1 AS basis
JOIN staging.statbank_folk1e AS immigrant
    ON immigrant.area_code = basis.area_code AND immigrant.period = basis.period || 'K1'
    AND immigrant.ancestry_code IN ('24', '25') AND immigrant.sex_code = 'TOT' AND immigrant.age_code = 'IALT'
WHERE basis.permit_code = '0'
GROUP BY ALL
HAVING count(immigrant.value) = 2 AND abs(folk1e - indoph1) > greatest(0.05 * folk1e, 10)

-- table: staging.statbank_pend101
-- severity: warning
-- action: report
-- reason: Day population is night population plus those who come in less those who go out.
-- owner: data-team
SELECT area_code, industry_code, sex_code, period,
       max(value) FILTER (WHERE commuting_code = 'DAG') AS day_population,
       max(value) FILTER (WHERE commuting_code = 'NAT') + max(value) FILTER (WHERE commuting_code = 'IND')
           - max(value) FILTER (WHERE commuting_code = 'UD') AS expected
FROM staging.statbank_pend101
WHERE industry_code = 'TOT'
GROUP BY ALL
HAVING day_population <> expected

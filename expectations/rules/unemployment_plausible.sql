-- table: staging.statbank_aulkp01
-- severity: warning
-- action: report
-- reason: Municipal unemployment has stayed under 20 % since 2007; more is a count or another rate.
-- owner: data-team
SELECT area_code, sex_code, period, value
FROM staging.statbank_aulkp01
WHERE value > 20

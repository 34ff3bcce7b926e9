-- label_da: Måltal
-- label_en: Measures
-- description: Every count, sum and rate the indicators are made of, per area and period, with its status.
-- grain: measure_id, area_code, period
FROM core.measure_folk1am UNION ALL BY NAME
FROM core.measure_folk1a UNION ALL BY NAME
FROM core.measure_folk1e UNION ALL BY NAME
FROM core.measure_indoph1 UNION ALL BY NAME
FROM core.measure_ras200 UNION ALL BY NAME
FROM core.measure_ras201 UNION ALL BY NAME
FROM core.measure_pend101 UNION ALL BY NAME
FROM core.measure_erhv2 UNION ALL BY NAME
FROM core.measure_aulkp01 UNION ALL BY NAME
FROM core.measure_auk01 UNION ALL BY NAME
FROM core.measure_ky038 UNION ALL BY NAME
FROM core.measure_hfudd11 UNION ALL BY NAME
FROM core.measure_indkp101 UNION ALL BY NAME
FROM core.measure_bol101 UNION ALL BY NAME
FROM core.measure_regk31 UNION ALL BY NAME
FROM core.measure_van1aar UNION ALL BY NAME
FROM core.measure_jobindsats UNION ALL BY NAME
FROM core.measure_quotas

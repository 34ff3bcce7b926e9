-- label_da: Job ultimo november efter branche (ERHV2)
-- label_en: Jobs end November by industry (ERHV2)
-- description: Jobs at workplaces in the municipality by ten industries, end of November. One person can
--   hold two jobs.
-- grain: area_code, industry_code, workplace_measure_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "BRANCHEDB0710"        AS industry_code,
    "TAL"                  AS workplace_measure_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_erhv2

-- label_da: Flygtninge og familiesammenførte i lønmodtagerbeskæftigelse (Jobindsats y21mm13)
-- label_en: Refugees and family-reunified in employment (Jobindsats y21mm13)
-- description: Refugees and family-reunified to refugees in employment, per month.
-- grain: area_code, measure_name, period
SELECT
    "OMRÅDE"               AS area_code,
    "MÅLING"               AS measure_name,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.jobindsats_refugees

-- label_da: Disponibel indkomst, gennemsnit for alle personer (INDKP101)
-- label_en: Disposable income, average for all people (INDKP101)
-- description: Average disposable income per person aged 15 and over, DKK a year at current prices.
-- grain: area_code, income_unit_code, sex_code, income_type_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "ENHED"                AS income_unit_code,
    "KOEN"                 AS sex_code,
    "INDKOMSTTYPE"         AS income_type_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_indkp101

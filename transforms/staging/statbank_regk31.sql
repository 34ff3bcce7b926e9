-- label_da: Kommunernes regnskaber på integrationsfunktioner (REGK31)
-- label_en: Municipal accounts, integration functions (REGK31)
-- description: Net running costs of the municipalities on the functions for integration, DKK 1,000 at
--   current prices, before reimbursement from central government.
-- grain: area_code, account_function_code, account_dranst_code, account_kind_code, price_unit_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "FUNKTION"             AS account_function_code,
    "DRANST"               AS account_dranst_code,
    "ART"                  AS account_kind_code,
    "PRISENHED"            AS price_unit_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_regk31

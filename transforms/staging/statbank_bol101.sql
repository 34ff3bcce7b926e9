-- label_da: Boliger efter ejerforhold og udlejningsforhold (BOL101)
-- label_en: Dwellings by ownership and tenure (BOL101)
-- description: Occupied dwellings on 1 January by owner and tenure; all uses and years of construction
--   together.
-- grain: area_code, resident_type_code, dwelling_use_code, tenure_code, dwelling_owner_code,
--   construction_period_code, period
SELECT
    "OMRÅDE"               AS area_code,
    "BEBO"                 AS resident_type_code,
    "ANVENDELSE"           AS dwelling_use_code,
    "UDLFORH"              AS tenure_code,
    "EJER"                 AS dwelling_owner_code,
    "OPFØRELSESÅR"         AS construction_period_code,
    "TID"                  AS period,
    stat_value("INDHOLD")  AS value,
    stat_status("INDHOLD") AS value_status,
    _snapshot_id
FROM raw.statbank_bol101

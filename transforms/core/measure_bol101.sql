-- label_da: Måltal af BOL101
-- label_en: Measures from BOL101
-- description: Occupied dwellings on 1 January, in all, rented, and owned by social housing associations.
--   A sum over owners (and tenures) is missing unless each is there.
-- grain: measure_id, area_code, period
WITH wanted(measure_id, tenure_code, owner_code, parts) AS (
    VALUES
        ('dwellings_all', NULL, NULL, 24), ('dwellings_rented', 'LEJ', NULL, 6), ('dwellings_social', NULL, '20', 4)
)
SELECT
    measure_id, area_code, period, period_date(period) AS reference_date,
    sum_complete(value, value_status, any_value(parts)) AS value,
    status_of_sum(value, value_status, any_value(parts)) AS value_status,
    any_value(_snapshot_id) AS _snapshot_id
FROM staging.statbank_bol101 dwelling
JOIN wanted
    ON coalesce(wanted.tenure_code, dwelling.tenure_code) = dwelling.tenure_code
    AND coalesce(wanted.owner_code, dwelling.dwelling_owner_code) = dwelling.dwelling_owner_code
WHERE resident_type_code = '1000'
GROUP BY measure_id, area_code, period

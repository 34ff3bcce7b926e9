-- label_da: Måltal
-- label_en: Measures
-- description: Every count, sum and rate the indicators are made of, per area and period, with its status.
-- grain: measure_id, area_code, period
FROM core.measure_*

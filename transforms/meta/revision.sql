-- label_da: Ændrede tal
-- label_en: Revised figures
-- description: Every published figure that a later publication has changed: what it was and became, its status, and the
--   extract of each. All publications since the first are kept. A period that is new or has left the mapping is no
--   change of a figure.
-- grain: run_id, municipality_code, indicator_id, period
SELECT
    run_id, municipality_code, indicator_id, period, value_before, value_after, value_status_before, value_status_after,
    snapshot_id_before, snapshot_id_after
FROM run.revision_before
UNION ALL BY NAME
SELECT
    run.run_id, municipality_code, indicator_id, period,
    before.value AS value_before, now.value AS value_after,
    before.value_status AS value_status_before, now.value_status AS value_status_after,
    before._snapshot_id AS snapshot_id_before, now._snapshot_id AS snapshot_id_after
FROM mart.indicator_value AS now
JOIN run.figure_before AS before USING (municipality_code, indicator_id, period)
CROSS JOIN run.run
WHERE now.value IS DISTINCT FROM before.value OR now.value_status IS DISTINCT FROM before.value_status

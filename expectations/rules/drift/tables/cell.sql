-- The published values of these sources beside those of this build.
SELECT indicator_id, municipality_code, period, old.value AS old_value, new.value AS new_value,
       new.value_status AS new_status,
       new.value_status IS NULL OR new.value_status = 'missing' AS is_lost
FROM (
    SELECT * FROM {{ old }}.mart.indicator_value
    WHERE value IS NOT NULL AND split_part(_snapshot_id, '/', 1) IN (SELECT source_id FROM drift_source)
) AS old
LEFT JOIN mart.indicator_value AS new USING (indicator_id, municipality_code, period)

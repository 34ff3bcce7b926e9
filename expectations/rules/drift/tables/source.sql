-- The sources with the same origin as in the build before, with their rows then and now.
SELECT old.source_id, old.rows_loaded_count AS rows_before, new.rows_loaded AS rows_now
FROM {{ old }}.meta.snapshot AS old LEFT JOIN run.snapshot AS new USING (source_id)
WHERE (SELECT any_value(as_of) FROM run.run) IS NOT DISTINCT FROM (SELECT any_value(as_of) FROM {{ old }}.meta.run)
  AND CASE WHEN new.source_id IS NULL
           THEN (SELECT any_value(origin) FROM run.run) = (SELECT any_value(origin) FROM {{ old }}.meta.run)
           ELSE new.origin = old.origin AND new.is_synthetic = old.is_synthetic AND NOT new.is_renamed END

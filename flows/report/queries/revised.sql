-- The published figures this release changed, the largest relative changes first. `meta.revision` keeps the changes of
-- every release, so the earlier build itself is not needed.
SELECT municipality_code, indicator_id, period, value_before AS "before", value_status_before AS status_before,
    value_after AS "after", value_status_after AS status_after
FROM meta.revision JOIN meta.run USING (run_id)
ORDER BY abs(value_after - value_before) / nullif(abs(value_before), 0) DESC NULLS FIRST, 1, 2, 3

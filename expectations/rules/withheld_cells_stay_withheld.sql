-- table: core.measure
-- severity: critical
-- action: stop
-- reason: No cell that a publisher withheld can be worked out from the country, regions, provinces, municipalities and
--   totals that are told beside it (run.covered_table: what transforms/disclosure.py can still tell once it has covered
--   them).
-- owner: data-team
SELECT table_name, exposed_count, cells_text
FROM run.covered_table
WHERE exposed_count > 0

-- table: mart.mapping
-- severity: critical
-- action: stop
-- reason: Invented and real data must never stand in one mapping.
-- owner: data-team
SELECT is_synthetic, count(*) AS snapshots, min(snapshot_id) AS one_of_them
FROM run.snapshot
GROUP BY is_synthetic
HAVING (SELECT count(DISTINCT is_synthetic) FROM run.snapshot) > 1

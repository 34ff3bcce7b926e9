-- table: mart.municipality
-- severity: critical
-- action: stop
-- reason: The programme took 17 municipalities in 15 applications; a participant has a project unit, the others have
--   none.
-- owner: data-team
SELECT count_if(is_participant) AS participants, count(DISTINCT project_unit) AS project_units
FROM mart.municipality
HAVING participants <> 17 OR project_units <> 15 OR count_if(is_participant <> (project_unit IS NOT NULL)) > 0

-- label_da: Kørsel
-- label_en: Run
-- description: The run that made this database.
-- grain: run_id
SELECT run_id, started_at, origin, as_of, code_version, is_synthetic
FROM run.run

-- label_da: Kilder
-- label_en: Sources
-- description: Every source the mapping can use: producer, licence, owner, and the snapshot this build used.
-- grain: source_id
SELECT
    source_id, connector, publisher_table, title_da, title_en, producer, licence, url, owner, frequency, max_age_days,
    is_required, snapshot_id AS _snapshot_id
FROM run.source

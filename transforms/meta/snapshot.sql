-- label_da: Øjebliksbilleder
-- label_en: Snapshots
-- description: The input bytes this build was made from, and what became of every row.
-- grain: _snapshot_id
SELECT
    snapshot_id AS _snapshot_id, source_id,
    retrieved_at::TIMESTAMP AS retrieved_at, nullif(published_at, '')::TIMESTAMP AS published_at,
    origin, is_synthetic, file_count::INTEGER AS file_count, byte_count::BIGINT AS byte_count, sha256,
    rows_in::BIGINT AS rows_in_count, rows_loaded::BIGINT AS rows_loaded_count,
    rows_rejected::BIGINT AS rows_rejected_count, rows_filled::BIGINT AS rows_filled_count,
    rows_repeated::BIGINT AS rows_repeated_count, nullif(assumed, '') AS assumed_text
FROM run.snapshot

-- label_da: Øjebliksbilleder
-- label_en: Snapshots
-- description: The input bytes this build was made from, and what became of every row.
-- grain: _snapshot_id
SELECT
    snapshot_id AS _snapshot_id, source_id,
    retrieved_at, nullif(published_at, '') AS published_at,
    origin, is_synthetic, file_count, byte_count, sha256, rows_in AS rows_in_count, rows_loaded AS rows_loaded_count,
    rows_rejected AS rows_rejected_count, rows_filled AS rows_filled_count,
    rows_repeated AS rows_repeated_count, nullif(assumed, '') AS assumed_text
FROM run.snapshot

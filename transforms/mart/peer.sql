-- label_da: Sammenligningskommuner
-- label_en: Peers
-- description: The seven municipalities whose framework conditions are nearest, by weighted standardised distance, and
--   the three conditions that differ most. A directed relation: a municipality need not be a peer of its peers.
-- grain: municipality_code, peer_code
SELECT
    municipality_code, peer_code, rank AS peer_rank, distance, condition_1, condition_1_gap, condition_2,
    condition_2_gap, condition_3, condition_3_gap,
    round(100 * compared_weight_share::DOUBLE, 4) AS compared_weight_pct,
    same_group AS is_same_group
FROM model.peer

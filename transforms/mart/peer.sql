-- label_da: Sammenligningskommuner
-- label_en: Peers
-- description: The seven municipalities whose framework conditions are nearest, by weighted standardised distance, and
--   the three conditions that differ most. A directed relation: a municipality need not be a peer of its peers.
-- grain: municipality_code, peer_code
SELECT
    municipality_code, peer_code, rank::INTEGER AS peer_rank, round(distance::DOUBLE, 4)::DECIMAL(18, 4) AS distance,
    condition_1, round(condition_1_gap::DOUBLE, 4)::DECIMAL(18, 4) AS condition_1_gap,
    condition_2, round(condition_2_gap::DOUBLE, 4)::DECIMAL(18, 4) AS condition_2_gap,
    condition_3, round(condition_3_gap::DOUBLE, 4)::DECIMAL(18, 4) AS condition_3_gap,
    round(100 * compared_weight_share::DOUBLE, 4)::DECIMAL(18, 4) AS compared_weight_pct,
    same_group::BOOLEAN AS is_same_group
FROM model.peer

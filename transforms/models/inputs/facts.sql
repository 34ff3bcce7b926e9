-- What is known of each municipality and indicator, beside its peers, the nation and what is expected.
-- One row per municipality and indicator: value, text_value, peer_value (mean of the peers that have a value, at
-- least four; where fewer have, of the others of the municipality's official group), nation_value, expected_value,
-- assessment, n_count, unit, for shares of delivered persons value_error and peer_gap_error (in percentage points),
-- and peer_kind (peers | municipality_group). Outcomes with an expectation are indicators as well.
WITH newest AS (
    SELECT value_row.municipality_code, value_row.indicator_id, value_row.value::DOUBLE AS value,
           value_row.denominator::DOUBLE AS n_count, indicator.unit,
           -- Chance in a share of n persons; at the ends as if one more and one less had been counted.
           CASE WHEN indicator.unit = 'pct' AND indicator.operation = 'delivery' AND value_row.denominator > 0
                THEN greatest(value_row.value * (100 - value_row.value) / value_row.denominator,
                              (100 / (value_row.denominator + 2)) ^ 2)::DOUBLE END AS variance
    FROM mart.indicator_value value_row JOIN mart.indicator indicator USING (indicator_id)
    WHERE value_row.is_newest AND value_row.value IS NOT NULL
),
compared AS (
    SELECT municipality_code, peer_code, 1 AS choice FROM mart.peer
    UNION ALL
    SELECT own.municipality_code, other.municipality_code, 2
    FROM mart.municipality own
    JOIN mart.municipality other USING (municipality_group_code)
    WHERE own.municipality_code <> other.municipality_code
),
among_peers AS (
    SELECT compared.municipality_code, newest.indicator_id, avg(newest.value) AS peer_value,
           if(choice = 1, 'peers', 'municipality_group') AS peer_kind,
           sum(newest.variance) / count(*) ^ 2 AS peer_variance
    FROM compared JOIN newest ON newest.municipality_code = compared.peer_code
    GROUP BY compared.municipality_code, newest.indicator_id, choice
    -- Whose figure is withheld is not like the others: a mean of few of the peers is no mean of the peers.
    HAVING count(*) >= 4
    QUALIFY choice = min(choice) OVER (PARTITION BY compared.municipality_code, newest.indicator_id)
),
nation AS (
    SELECT indicator_id, value::DOUBLE AS nation_value FROM mart.indicator_national WHERE is_newest
),
judged AS (
    SELECT municipality_code, outcome_id AS indicator_id, expected::DOUBLE AS expected_value, assessment,
           n_count::DOUBLE AS n_expected, observed::DOUBLE AS observed
    FROM mart.expected
    QUALIFY period = max(period) OVER (PARTITION BY outcome_id)
),
answered AS (
    SELECT * FROM mart.organisation
    QUALIFY reference_date = max(reference_date) OVER (PARTITION BY municipality_code)
),
worded AS (
    UNPIVOT (
        SELECT municipality_code, org_model_code, physical_colocation_code, family_coordinator_code,
               danish_parallel_with_placement_code, industry_packages_code
        FROM answered
    ) ON COLUMNS(* EXCLUDE municipality_code) INTO NAME indicator_id VALUE text_value
)
SELECT
    coalesce(newest.municipality_code, judged.municipality_code) AS municipality_code,
    coalesce(newest.indicator_id, judged.indicator_id) AS indicator_id,
    coalesce(newest.value, judged.observed) AS value,
    NULL::VARCHAR AS text_value,
    among_peers.peer_value, nation.nation_value, judged.expected_value, judged.assessment,
    coalesce(judged.n_expected, newest.n_count) AS n_count,
    coalesce(newest.unit, 'weeks') AS unit,
    sqrt(newest.variance) AS value_error,
    sqrt(newest.variance + coalesce(among_peers.peer_variance, 0)) AS peer_gap_error, among_peers.peer_kind
FROM newest
FULL JOIN judged USING (municipality_code, indicator_id)
LEFT JOIN among_peers USING (municipality_code, indicator_id)
LEFT JOIN nation USING (indicator_id)
UNION ALL
SELECT municipality_code, indicator_id, NULL, text_value, NULL, NULL, NULL, NULL, NULL, 'count', NULL, NULL,
       NULL
FROM worded
ORDER BY 1, 2

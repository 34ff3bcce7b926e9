-- table: staging.jobindsats_y30r21
-- severity: warning
-- action: report
-- reason: The difference of the benchmark is that of the figures beside it, up to their rounding, whichever is taken
--   from the other; where most of them agree, those that do not are wrong or were changed.
-- owner: data-team
WITH beside AS (
    SELECT
        area_code, period, if(measure_name LIKE '%_count', 'persons', 'share') AS basis,
        max(value) FILTER (WHERE measure_name IN ('difference_count', 'difference_pct_points')) AS told,
        max(value) FILTER (WHERE measure_name IN ('actual_count', 'actual_pct'))
            - max(value) FILTER (WHERE measure_name IN ('expected_count', 'expected_pct')) AS found
    FROM staging.jobindsats_y30r21
    WHERE measure_name <> 'benchmark_rank'
    GROUP BY ALL
),
judged AS (
    SELECT
        *, abs(told - found * (SELECT sign(median(sign(told) * sign(found))) FROM beside))
            > if(basis = 'persons', 1, 0.2) AS is_off
    FROM beside
    WHERE told IS NOT NULL
)
SELECT * EXCLUDE (is_off)
FROM judged
WHERE is_off AND (SELECT avg(is_off::INTEGER) < 0.5 FROM judged)

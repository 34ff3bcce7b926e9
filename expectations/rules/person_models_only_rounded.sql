-- table: mart.expected
-- severity: critical
-- action: stop
-- reason: A model figure from person rows stands on at least the minimum denominator, its n is rounded, shares are made
--   of rounded counts, and the others have no decimals that single persons could be told from.
-- owner: data-team
SELECT municipality_code, outcome_id, period, observed, n_count
FROM mart.expected AS expected
-- Figures told beside a person-level outcome (shares in job, the median) are no indicators of their own.
LEFT JOIN mart.indicator AS indicator ON indicator.indicator_id = expected.outcome_id
CROSS JOIN run.release AS release
WHERE coalesce(indicator.operation, 'delivery') = 'delivery' AND (
    n_count % rounding_base <> 0
    OR n_count < greatest(minimum_denominator, suppression_threshold)
    OR (n_count IS NULL AND observed IS NOT NULL)
    OR expected <> round(expected) OR standard_error <> round(standard_error)
    OR difference_low <> round(difference_low) OR difference_high <> round(difference_high)
    OR shrunk_difference <> round(shrunk_difference)
    OR CASE
        -- A share is made of two rounded counts, and what is beside it is made of the share.
        WHEN ends_with(outcome_id, '_pct') THEN
            abs(observed * n_count / 100 - rounding_base * round(observed * n_count / 100 / rounding_base)) > 0.01
            OR round(observed * n_count / 100) BETWEEN 1 AND suppression_threshold - 1
            OR abs(difference - (observed - expected)) > 0.001
            OR abs(single_high - difference - 1.96 * standard_error) > 0.001
            OR abs(difference - single_low - 1.96 * standard_error) > 0.001
        ELSE observed <> round(observed) OR difference <> round(difference)
            OR single_low <> round(single_low) OR single_high <> round(single_high)
    END
)

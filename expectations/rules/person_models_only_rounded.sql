-- table: mart.expected
-- severity: critical
-- action: stop
-- reason: A model figure from person rows stands on at least the minimum denominator, its n is rounded, and it has no
--   decimals that single persons could be told from.
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
    OR observed <> round(observed) OR expected <> round(expected) OR difference <> round(difference)
    OR difference_low <> round(difference_low) OR difference_high <> round(difference_high)
    OR shrunk_difference <> round(shrunk_difference) OR standard_error <> round(standard_error)
    OR single_low <> round(single_low) OR single_high <> round(single_high)
)

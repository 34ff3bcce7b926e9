-- table: mart.method_effect
-- severity: critical
-- action: stop
-- reason: Numbers of persons behind an association are rounded, and its ratios have two decimals.
-- owner: data-team
SELECT method_code, context_code, n_count, exposed_count, hazard_ratio
FROM mart.method_effect
CROSS JOIN run.release AS release
WHERE n_count % rounding_base <> 0 OR exposed_count % rounding_base <> 0
   OR n_count < suppression_threshold OR exposed_count < suppression_threshold
   OR hazard_ratio <> round(hazard_ratio, 2) OR hazard_ratio_low <> round(hazard_ratio_low, 2)
   OR hazard_ratio_high <> round(hazard_ratio_high, 2)
   OR prediction_low <> round(prediction_low, 2) OR prediction_high <> round(prediction_high, 2)

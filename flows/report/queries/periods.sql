-- The periods per indicator, oldest first: the newest, and those of the same day in earlier years. A quarter
-- is only ever set beside the same quarter of another year, so no season looks like a change.
WITH spans AS (
    SELECT indicator_id, period, any_value(reference_date) AS day, bool_or(is_newest) AS is_newest
    FROM mart.indicator_value WHERE reference_date IS NOT NULL GROUP BY indicator_id, period
), newest AS (SELECT indicator_id, max(day) AS newest_day FROM spans WHERE is_newest GROUP BY indicator_id)
SELECT indicator_id, list(period ORDER BY day) FROM spans JOIN newest USING (indicator_id)
WHERE day <= newest_day AND (month(day), day(day)) = (month(newest_day), day(newest_day))
GROUP BY ALL ORDER BY ALL

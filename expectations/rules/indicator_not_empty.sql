-- table: mart.indicator
-- severity: critical
-- action: stop
-- reason: An indicator whose measures are in the extracts asked for must have a value somewhere; none means that a code
--   was not asked for. Files downloaded by hand may hold less.
-- owner: data-team
WITH measured AS (SELECT DISTINCT measure_id FROM core.measure WHERE value IS NOT NULL)
SELECT indicator_id, indicator.source_id
FROM mart.indicator AS indicator
LEFT JOIN mart.indicator_value AS held USING (indicator_id)
WHERE indicator.source_id IN (SELECT source_id FROM run.snapshot WHERE origin IN ('live', 'sample'))
  AND (indicator.operation = 'value'
       OR (indicator.numerator_measure IN (FROM measured) AND indicator.denominator_measure IN (FROM measured)))
GROUP BY ALL
HAVING count(held.value) = 0

-- severity: warning
-- reason: in more than 10 % of its cells the indicator moved by more than 10 %
-- A cell has moved when it differs by more than a tenth, and by more than rounding: half a unit (or half a point).
-- Revisions touch most cells a little, breaks many.
SELECT indicator_id, count(new_value) AS cells,
       count_if(abs(new_value - old_value) > greatest(0.1 * abs(old_value), 0.5)) AS moved
FROM drift_cell GROUP BY ALL HAVING moved > 0.1 * cells

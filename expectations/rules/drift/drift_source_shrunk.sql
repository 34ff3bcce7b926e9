-- severity: critical
-- reason: a source must not bring fewer than 80 % of the rows of the last build
-- A source shrinks by withdrawn codes, not by a fifth.
SELECT source_id, rows_before, rows_now FROM drift_source WHERE rows_now < 0.8 * rows_before

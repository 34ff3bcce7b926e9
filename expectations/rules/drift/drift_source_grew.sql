-- severity: warning
-- reason: a source brings more than 150 % of the rows of the last build
-- A source grows by one period a year, hence seldom by half.
SELECT source_id, rows_before, rows_now FROM drift_source WHERE rows_now > 1.5 * rows_before

-- table: mart.mapping
-- severity: warning
-- action: report
-- reason: A municipality with fewer than eight in ten indicators is hard to compare with others.
-- owner: data-team
SELECT municipality_code, completeness_pct
FROM mart.mapping
WHERE completeness_pct < 80

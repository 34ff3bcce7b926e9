-- table: mart.municipality
-- severity: critical
-- action: stop
-- reason: Denmark has had 98 municipalities since 2007; Christiansø (411) is none.
-- owner: data-team
SELECT count(*) AS municipalities
FROM mart.municipality
HAVING count(*) <> 98 OR count_if(municipality_code = '411') > 0

-- table: mart.mapping
-- severity: critical
-- action: stop
-- reason: The mapping has one row for each municipality of mart.municipality, whatever is missing in it.
-- owner: data-team
SELECT municipality_code
FROM mart.municipality
FULL JOIN mart.mapping USING (municipality_code)
WHERE mart.municipality.municipality_name IS NULL OR mart.mapping.municipality_name IS NULL

-- The names of each municipality as sentences use them, and its official group.
SELECT municipality_code, municipality_name AS name_da, municipality_name_en AS name_en,
       municipality_group_code AS municipality_group
FROM mart.municipality ORDER BY 1

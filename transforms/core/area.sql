-- label_da: Områder
-- label_en: Areas
-- description: Every area a source may name, classified; sums are only ever taken within one level.
-- grain: area_code
SELECT
    code AS area_code, name_da AS area_name_da, name_en AS area_name_en, level AS area_level,
    region_code, province_code
FROM reference.areas

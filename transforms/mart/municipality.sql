-- label_da: Kommuner
-- label_en: Municipalities
-- description: The 98 municipalities with region, province, size band, official group and programme participation.
-- grain: municipality_code
WITH newest_population AS (
    SELECT area_code, arg_max(value, reference_date) AS population
    FROM core.measure
    WHERE measure_id IN ('population_month', 'population_quarter', 'population_all') AND value IS NOT NULL
    GROUP BY area_code
)
SELECT
    area.area_code                          AS municipality_code,
    area.area_name_da                       AS municipality_name,
    area.area_name_en                       AS municipality_name_en,
    area.region_code,
    region.area_name_da                     AS region_name,
    area.province_code,
    province.area_name_da                   AS province_name,
    groups.group_code                       AS municipality_group_code,
    groups.group_da                         AS municipality_group_da,
    groups.group_en                         AS municipality_group_en,
    population.population                   AS population_count,
    CASE
        WHEN population.population IS NULL THEN NULL
        WHEN population.population < 25000 THEN 'very_small'
        WHEN population.population < 40000 THEN 'small'
        WHEN population.population < 60000 THEN 'middle'
        WHEN population.population < 200000 THEN 'large'
        ELSE 'very_large'
    END                                     AS size_band,
    participant.municipality_code IS NOT NULL AS is_participant,
    participant.project_unit
FROM core.area area
LEFT JOIN core.area region ON region.area_code = area.region_code
LEFT JOIN core.area province ON province.area_code = area.province_code
LEFT JOIN reference.municipality_groups groups ON groups.municipality_code = area.area_code
LEFT JOIN newest_population population ON population.area_code = area.area_code
LEFT JOIN reference.programme_participants participant ON participant.municipality_code = area.area_code
WHERE area.area_level = 'municipality'

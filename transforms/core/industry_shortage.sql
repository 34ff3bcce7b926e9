-- label_da: Mangel på arbejdskraft efter branche
-- label_en: Labour shortage by industry
-- description: The shortage class the programme has entered for an industry where a municipality lies: the newest entry
--   not after the day the build looks from, that of the province before that of the region. Arbejdsmarkedsbalancen
--   tells of job titles; which class an industry gets is the programme's own judgement. The entries are about the real
--   country and stay out of a build of invented data.
-- grain: municipality_code, industry_code
SELECT
    area.area_code AS municipality_code, entry.industry_code, entry.shortage_class,
    entry.class_list AS shortage_class_list, entry.valid_from AS valid_from_date
FROM reference.industry_shortage entry
JOIN core.area area ON entry.area_code IN (area.province_code, area.region_code) AND area.area_level = 'municipality'
CROSS JOIN run.run
WHERE NOT run.is_synthetic AND entry.valid_from::DATE <= coalesce(run.as_of, run.started_at)::DATE
QUALIFY row_number() OVER (
    PARTITION BY area.area_code, entry.industry_code
    ORDER BY entry.valid_from::DATE DESC, entry.area_code = area.province_code DESC
) = 1

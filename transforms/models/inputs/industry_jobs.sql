-- Employed persons by municipality of residence and industry (RAS302, 37 groups), per year.
-- StatBank has no jobs by workplace in 37 groups per municipality in the tables used; within a commuting area, which
-- most residents work in, the employed residents stand for its jobs.
SELECT cell.area_code AS municipality_code, industry_code, left(period, 4)::INTEGER AS year,
       CASE WHEN count(value) = 8 THEN sum(value) END::DOUBLE AS jobs_count
FROM staging.statbank_ras302 cell
JOIN core.area area ON area.area_code = cell.area_code AND area.area_level = 'municipality'
GROUP BY ALL ORDER BY ALL

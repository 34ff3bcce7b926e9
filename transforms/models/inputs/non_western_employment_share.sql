-- Non-western immigrants' share of the employed residents of each municipality, newest year, in pct.
WITH shares AS (
    SELECT top.area_code AS municipality_code, top.period, top.reference_date,
           (100 * top.value / nullif(bottom.value, 0))::DOUBLE AS non_western_employment_pct
    FROM core.measure top
    JOIN core.measure bottom USING (area_code, reference_date)
    JOIN core.area area ON area.area_code = top.area_code AND area.area_level = 'municipality'
    WHERE top.measure_id = 'ras_imm_non_western_employed' AND bottom.measure_id = 'residents_employed'
)
SELECT municipality_code, period, reference_date, non_western_employment_pct
FROM shares
WHERE non_western_employment_pct IS NOT NULL
QUALIFY reference_date = max(reference_date) OVER ()
ORDER BY ALL

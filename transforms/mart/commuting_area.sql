-- label_da: Pendlingsområder
-- label_en: Commuting areas
-- description: The commuting area of every municipality, built from home-to-work flows averaged over three years
--   (travel-to-work areas after Coombes, Green and Openshaw 1986). An estimate of this project, not an official division.
-- grain: municipality_code
SELECT
    municipality_code, commuting_area_code, commuting_area_size AS commuting_area_municipality_count,
    round(100 * nullif(self_containment_share, 'NaN'::DOUBLE), 4) AS self_containment_pct,
    is_cut_off, value_status
FROM model.commuting_area

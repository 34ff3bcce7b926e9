-- The labour market of each municipality: municipality_code, commuting_area_code. With $1 those of which nothing is
-- known, too: each is then a labour market of its own.
SELECT municipality_code, commuting_area_code FROM model.commuting_area WHERE $1 OR value_status <> 'missing' ORDER BY 1

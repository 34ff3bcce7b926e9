-- The names of the 37 industry groups: industry_code, text_da, text_en.
SELECT code AS industry_code, text_da, text_en FROM reference.codelists WHERE codelist = 'db07_37' ORDER BY ALL

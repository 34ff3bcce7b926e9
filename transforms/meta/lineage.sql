-- label_da: Herkomst af tabeller
-- label_en: Lineage
-- description: One row per table and table it reads, taken from the parsed SQL.
-- grain: table_name, reads_table
SELECT table_name, reads_table FROM run.lineage

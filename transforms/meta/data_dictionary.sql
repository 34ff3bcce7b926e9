-- label_da: Datakatalog
-- label_en: Data dictionary
-- description: One row per table and column of this database: labels, type, unit, meaning and the sources it rests on.
-- grain: table_name, column_name
SELECT
    table_name, column_name, column_position, data_type, unit, label_da, label_en, description, description_da,
    allowed_values, is_key, protection, table_label_da, table_label_en, rests_on_sources
FROM run.data_dictionary

{# Rules whose rows say nothing of the cell they were meant for are unreadable: it counts as absent. #}
{% set unreadable = "^(key_present|code_known_|period_format_|value_readable)" %}
{% set ours = "FROM quarantine.row WHERE source_id = " ~ source.id | literal ~ " AND file_name = " ~ table | literal %}
SELECT * FROM (
    SELECT {{ count.rows_in }} AS rows_in, {{ count.rows_filled }} AS rows_filled,
           (SELECT count(*) FROM {{ table }}) AS rows_kept,
           (SELECT count(DISTINCT row_number) {{ ours }}) AS rows_quarantined,
           {{ count.rows_rejected }} AS rows_rejected,
           (SELECT count(DISTINCT row_number) {{ ours }} AND regexp_matches(rule_id, {{ unreadable | literal }}))
               AS rows_unreadable
)

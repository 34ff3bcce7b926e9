{# Every total whose parts are all known, with its difference from their sum. Every row meets the totals it belongs to,
its own included, so that one grouping finds both sides. #}
{% set name, keys = column | identifier, others + ["whole"] %}
SELECT *, value - part_sum AS difference
FROM (SELECT {{ keys | join(", ") }} AS {{ name }}, max(value) FILTER (WHERE {{ name }} = whole) AS value,
             sum(value) FILTER (WHERE {{ name }} <> whole) AS part_sum,
             count(value) FILTER (WHERE {{ name }} <> whole) AS parts
      FROM {{ table }} JOIN {{ pairs }} ON code = {{ name }}
      GROUP BY ALL HAVING parts = any_value(wanted))

-- severity: critical
-- reason: the country must have the order of magnitude that the source file gives
SELECT * FROM (
    {% for anchor, where, having in anchors %}
    SELECT {{ (anchor.cell.values() | join(", ") or "i alt") | literal }} AS cell,
    {{ source.time.column | identifier }}, sum(value) AS value, {{ anchor.low }} AS low, {{ anchor.high }} AS high
    FROM {{ table }} WHERE {{ where | join(" AND ") or "true" }}
    GROUP BY ALL HAVING {{ having | join(" AND ") }}
    {{ "UNION ALL" if not loop.last }}
    {% endfor %}
) WHERE value NOT BETWEEN low AND high

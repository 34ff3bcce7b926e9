-- severity: critical
-- reason: the figures of two codes of {{ column }} must not change places
-- Pairs of codes that fit better crosswise than straight. Of the codes the twelve that moved most are tried. Two are
-- swapped when each fits the other's past several times better than its own. Codes of few figures must also have moved
-- beyond chance: four times as far as most codes, and twice as far as ever before.
{% set code, others = column | identifier, series.keys | reject("equalto", column) | list %}
WITH straight AS (
    SELECT step, {{ code }} AS code, avg(abs(log_now - log_before)) AS distance, count(*) AS figures
    FROM history_pair WHERE is_told GROUP BY ALL
),
tried AS (
    SELECT *, coalesce((SELECT max(m.others) FROM history_middle AS m WHERE m.step = 1 AND straight.step = 1
                        AND m.column_name = {{ column | literal }} AND m.code = straight.code), 0) AS ever
    FROM straight WHERE distance > 0
    QUALIFY row_number() OVER (PARTITION BY step ORDER BY distance DESC, code) <= 12
),
usual AS (SELECT step, if(count(*) >= 10, median(distance), 0) AS most FROM straight GROUP BY ALL),
crosswise AS (
    SELECT n.step, n.{{ code }} AS one, b.{{ code }} AS other, avg(abs(n.log_now - b.log_before)) AS distance
    FROM history_pair AS n SEMI JOIN tried AS t ON t.step = n.step AND t.code = n.{{ code }}
    JOIN (FROM history_pair AS x SEMI JOIN tried AS t ON t.step = x.step AND t.code = x.{{ code }}) AS b
        ON n.step = b.step AND n.number = b.number AND n.{{ code }} <> b.{{ code }} AND {{ same("n", "b", others) }}
    WHERE n.is_told OR b.is_told
    GROUP BY ALL
)
SELECT {{ column | literal }} AS column_name, x.one, x.other, x.step = 0 AS was_published, a.figures
FROM crosswise AS x
JOIN crosswise AS y ON y.step = x.step AND y.one = x.other AND y.other = x.one
JOIN tried AS a ON a.step = x.step AND a.code = x.one
JOIN tried AS b ON b.step = x.step AND b.code = x.other
JOIN usual ON usual.step = x.step
WHERE x.one < x.other AND x.distance < 0.4 * a.distance AND y.distance < 0.4 * b.distance
  AND (least(a.figures, b.figures) >= 10
       OR (least(a.distance, b.distance) > 4 * most AND a.distance > 2 * a.ever AND b.distance > 2 * b.ever))

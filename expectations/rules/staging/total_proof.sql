-- True when every complete total equals its sum, in a third of the time `total_sums` takes.
-- The totals lie in buckets by a hash of their other keys, a power of two of them and no more than fit in a core's
-- cache. Of each bucket all differences are added up, weighed by further bits of hashes: a bucket in which that is not
-- zero has a wrong total, or an incomplete one, and is looked through. One wrong total is never weighed away, and
-- several only by chance. Doubles hold whole numbers exactly up to 9e15; a difference that is lost beside larger sums
-- is far below what rounding explains. A weight is looked up once per entry of a stored column's own dictionary.
{% set name, bucket = column | identifier, "print & 65535" %}
{% set keys = others | join(", ") or "0" %}
{% set units = "(value * " ~ unit ~ ")::DOUBLE" if unit > 1 else "value::DOUBLE" %}
WITH suspect AS (
    SELECT bucket
    FROM (SELECT hash({{ keys }}) AS print, {{ bucket }} AS bucket, value,
                 ({{ weights.values() | list }}::DOUBLE[])[list_position([{{ weights | literals }}], {{ name }})]
                     AS weight
          FROM {{ table }})
    GROUP BY bucket
    HAVING sum({{ units }} * weight * (print >> 56 | 1)) <> 0)
SELECT coalesce(bool_and(figures <= wanted OR (figures = wanted + 1 AND difference = 0)), true)
FROM (SELECT min(wanted) AS wanted, count(value) AS figures, sum(if(is_whole, value, -value)) AS difference
      FROM (SELECT hash({{ keys }}) AS print, {{ name }} AS code, value FROM {{ table }}
            WHERE {{ bucket }} IN (FROM suspect))
      JOIN {{ pairs }} USING (code) GROUP BY print, number)

-- What several rules and tables on a source's past have in common.
{# The largest of few changes says less: what is usual is widened by so much. #}
{% set few = "(" ~ ENOUGH ~ " / greatest(other_changes, " ~ ENOUGH ~ "))" %}
{% set before = "RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING" %}
{% set after = "RANGE BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING" %}

{# A single figure is allowed more than the middle of several, and the first period more than the others. #}
{% set usual = "if(figures >= 5, 2, 3) * if(is_first, 2, 1 + " ~ few ~ ") * others" %}

{# The started logarithm of a figure, zero at 0 and its sign kept; half of what says something counts as one unit. For
large figures differences are relative changes, for small ones nearly plain differences. #}
{% macro started_log(value, series) %}
sign({{ value }}) * ln(1 + abs({{ value }}) / ({{ series.least }} / 2))
{%- endmacro %}

{# Adds to each change the next, and the largest and the number of the others in its window. #}
{% macro around(table, window) %}
SELECT *, lead(beyond) OVER ({{ window }}) AS next_beyond,
       greatest(coalesce(max(abs(beyond)) OVER ({{ window }} {{ before }}), 0),
                coalesce(max(abs(beyond)) OVER ({{ window }} {{ after }}), 0)) AS others,
       count(beyond) OVER ({{ window }} {{ before }}) + count(beyond) OVER ({{ window }} {{ after }}) AS other_changes
FROM {{ table }}
{%- endmacro %}

{# Single figures that are out of line with their series by more than `limit`; `which` is a predicate for figures. Where
little is known of a series' other changes, thirty times is the least. #}
{% macro single_figures(series, limit, size, factor, which="true") %}
{% set large = "greatest(abs(now), abs(before)) >= " ~ size ~ " * " ~ series.least ~ " AND " ~ which %}
WITH suspect AS (
    SELECT DISTINCT {{ series.columns }} FROM history_step WHERE step = 1 AND abs(change) > {{ limit }} AND {{ large }}
),
beside AS (
    SELECT step.*, change - coalesce(middle, 0) AS beyond
    FROM history_step AS step SEMI JOIN suspect USING ({{ series.columns }})
    LEFT JOIN (SELECT number, middle FROM history_middle WHERE step = 1 AND column_name = '' AND NOT is_first)
        USING (number)
    WHERE step = 1
),
around AS ({{ around("beside", "PARTITION BY " ~ series.columns ~ " ORDER BY number") }})
SELECT {{ series.columns }}, period, before, now
FROM around JOIN history_judged USING (number)
WHERE {{ large }}
  AND abs(beyond) > greatest(if(other_changes >= {{ ENOUGH }}, {{ limit }}, {{ log(30) }}), {{ factor }} * others)
  AND (next_beyond IS NULL OR (beyond * next_beyond < 0 AND abs(next_beyond) > {{ limit }}))
{%- endmacro %}

{# Periods beside how far the figures of the other periods moved apart, for a condition to be added. #}
{% macro periods_by_spread() %}
{% set others = "PARTITION BY step ORDER BY number" %}
WITH around AS (
    SELECT *, greatest(coalesce(max(spread) OVER ({{ others }} {{ before }}), 0),
                       coalesce(max(spread) OVER ({{ others }} {{ after }}), 0)) AS widest,
           least(min(spread) OVER ({{ others }} {{ before }}), min(spread) OVER ({{ others }} {{ after }})) AS narrowest
    FROM history_middle WHERE column_name = '' AND NOT is_first)
SELECT period, round(exp(spread), 3) AS spread, round(exp(narrowest), 3) AS narrowest,
       round(exp(widest), 3) AS widest
FROM around JOIN history_judged USING (number)
WHERE step = 1 AND figures >= {{ 4 * FEWEST }} AND other_changes >= {{ ENOUGH }}
{%- endmacro %}

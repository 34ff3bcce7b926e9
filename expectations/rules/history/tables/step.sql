-- Every pair of figures compared; a side is NULL where there is no row or no figure. `change` is NULL where a figure
-- begins or ends: a new code starts from zero, and what ends is counted as gone.
{% import "macros.sql" as macros %}
SELECT *, if(now <> 0 AND before <> 0,
             {{ macros.started_log("now", series) }} - {{ macros.started_log("before", series) }}, NULL) AS change,
       coalesce(greatest(abs(now), abs(before)) >= {{ series.least }}, false) AS is_told
FROM (
    {% set now = "SELECT " ~ series.columns ~ ", number, value AS now, value_status AS status_now FROM history_cell" %}
    {% for step in series.steps %}
    SELECT {{ step }} AS step, *
    FROM (SELECT {{ series.columns }}, number + {{ step }} AS number, value AS before, value_status AS status_before
          FROM history_cell WHERE number + {{ step }} <= (SELECT max(number) FROM history_cell))
    FULL JOIN ({{ now }} WHERE number >= (SELECT min(number) + {{ step }} FROM history_cell))
        USING ({{ series.columns }}, number)
    {{ "UNION ALL" if not loop.last or series.past }}
    {% endfor %}
    {% if series.past %}
    SELECT 0 AS step, *
    FROM (SELECT {{ series.columns }}, number, value::DOUBLE AS before, value_status AS status_before
          FROM {{ series.past }} JOIN (SELECT DISTINCT number, period FROM history_cell) USING (period))
    FULL JOIN ({{ now }} SEMI JOIN (SELECT number FROM history_period WHERE is_known) USING (number))
        USING ({{ series.columns }}, number)
    {% endif %}
)

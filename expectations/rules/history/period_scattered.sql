-- severity: critical
-- reason: the figures of a period must not move apart twice as much as they ever did
{% import "macros.sql" as macros %}
{{ macros.periods_by_spread() }}
  AND spread > greatest({{ log(series.source.expectations.yearly_change) }} * years,
                        2 * (1 + {{ macros.few }}) * widest)

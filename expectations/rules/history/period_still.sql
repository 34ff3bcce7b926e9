-- severity: warning
-- reason: the figures of a period must not stay within a fraction of what they moved at least until now
{% import "macros.sql" as macros %}
{{ macros.periods_by_spread() }}
  AND spread < 0.3 * narrowest

-- severity: critical
-- reason: a large figure must not jump to six times or to a sixth, and to four times its largest other change
{% import "macros.sql" as macros %}
{{ macros.single_figures(series, log(6), LARGE, 4) }}

-- severity: warning
-- reason: a figure jumped to eight times or to an eighth while its like stay, or a very large count by a third
{% import "macros.sql" as macros %}
({{ macros.single_figures(series, log(8), SOME, USUAL) }})
UNION
({{ macros.single_figures(series, log(4 / 3), 50, 3, series.amounts) }})

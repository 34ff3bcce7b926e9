-- What several rules have in common: published cells, without those of periods that rolled out.
{% set defined = "indicator_id IN (SELECT indicator_id FROM mart.indicator)" %}
{% set kept = "drift_cell ANTI JOIN drift_rolled USING (indicator_id, period)" %}
{% set lost_wholly = "SELECT indicator_id FROM " ~ kept ~ " WHERE " ~ defined
                   ~ " GROUP BY indicator_id HAVING bool_and(is_lost)" %}
{# Those of indicators that did not lose all of theirs. #}
{% set still = kept ~ " ANTI JOIN (" ~ lost_wholly ~ ") USING (indicator_id)" %}

-- The figures since a period: named, since a literal spares reading the rows before it.
SELECT {{ series.columns }}, number, period, value::DOUBLE AS value, value_status, _is_filled
FROM {{ series.table }} JOIN history_period USING (period) WHERE period >= {{ first | literal }}

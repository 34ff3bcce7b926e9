-- severity: warning
-- reason: the newest period must not lie far outside all levels that the periods before have had
WITH level AS (SELECT number, sum(middle) OVER (ORDER BY number) AS level FROM history_middle
               WHERE column_name = '' AND step = 1 AND NOT is_first AND figures >= {{ FEWEST }}),
known AS (SELECT greatest(max(level), 0) AS high, least(min(level), 0) AS low, count(*) AS levels,
                 greatest({{ log(1.05) }}, (high - low) / 2) AS room
          FROM level WHERE number < (SELECT max(number) FROM history_period))
SELECT period, round(exp(level), 3) AS level, round(exp(low), 3) AS low, round(exp(high), 3) AS high
FROM level JOIN history_judged USING (number), known
WHERE is_newest AND levels >= {{ LONG }} AND level NOT BETWEEN low - room AND high + room

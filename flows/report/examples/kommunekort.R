# The mapping in R: from the database, or from Parquet alone. Needs the package duckdb.
# KOMMUNEKORT_DATA is the folder that kommunekort wrote; the sample world is SYNTETISKE DATA / SYNTHETIC DATA.
library(duckdb)

data <- Sys.getenv("KOMMUNEKORT_DATA", "data")
con <- dbConnect(duckdb(), file.path(data, "kommunekort.duckdb"), read_only = TRUE)

# One municipality's newest figures
print(dbGetQuery(con, "
  SELECT label_da, value, unit, period, value_status, source_id
  FROM mart.figure WHERE municipality_name = 'Rebild' AND is_newest ORDER BY indicator_id LIMIT 10"))

# The rate of each region: add numerators and denominators, never average rates
print(dbGetQuery(con, "
  SELECT region_name, round(100 * sum(numerator) / sum(denominator), 1) AS rate_pct
  FROM mart.figure
  WHERE indicator_id = 'employment_rate_non_western_pct' AND is_newest GROUP BY ALL ORDER BY ALL"))

dbDisconnect(con, shutdown = TRUE)

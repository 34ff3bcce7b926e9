# The mapping in R, with what R brings along: the CSV files of the exports. Faster by DuckDB, see the end.
# KOMMUNEKORT_DATA is the folder that kommunekort wrote; the sample world is SYNTETISKE DATA / SYNTHETIC DATA.
data <- Sys.getenv("KOMMUNEKORT_DATA", "data")

mart <- function(table) {
  file <- sprintf("mart.%s.csv", table)
  packed <- unz(file.path(data, "exports", paste0(file, ".zip")), file, encoding = "UTF-8")
  read.csv(packed, na.strings = "", colClasses = c(municipality_code = "character"), encoding = "UTF-8")
}

# One municipality's newest figures
figure <- mart("figure")
newest <- subset(figure, is_newest == "true" & municipality_name == "Rebild")
print(head(newest[order(newest$indicator_id), c("label_da", "value", "unit", "period", "value_status")], 10))

# The rate of each region: add numerators and denominators, never average rates
rate <- subset(figure, indicator_id == "employment_rate_non_western_pct" & is_newest == "true")
regions <- aggregate(cbind(numerator, denominator) ~ region_name, rate, sum)
regions$rate_pct <- round(100 * regions$numerator / regions$denominator, 1)
print(regions)
stopifnot(nrow(regions) == 5, is.numeric(figure$value))

# The same from the database, where the package duckdb is installed
if (requireNamespace("duckdb", quietly = TRUE)) {
  con <- DBI::dbConnect(duckdb::duckdb(), file.path(data, "kommunekort.duckdb"), read_only = TRUE)
  print(DBI::dbGetQuery(con, "SELECT * FROM mart.mapping WHERE municipality_name = 'Rebild'"))
  DBI::dbDisconnect(con, shutdown = TRUE)
}

"""Statistical models of the mapping: pure functions, pandas in and pandas out."""

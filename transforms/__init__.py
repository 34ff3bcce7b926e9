"""Pure transforms: SQL and small functions from tables to tables."""

"""The published database as pages and workbook."""

"""Attempts to win small counts of persons back from what is published."""

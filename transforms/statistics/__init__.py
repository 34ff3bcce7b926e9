"""Estimators and intervals, as pure functions of arrays."""

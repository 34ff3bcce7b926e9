"""Rules for single rows of a staging table, derived from the source file, the code lists and the dictionary."""

from __future__ import annotations

from expectations.terms import Rule
from transforms.catalogue import Catalogue, Dimension, Source
from transforms.dictionary import Dictionary
from transforms.sqlfile import SqlFile
from transforms.warehouse import quote_identifier, quote_literal

# StatBank's period codes; Danish quarters are K (kvartal), months M.
PERIODS = {"year": "[12][0-9][0-9][0-9]", "quarter": "[12][0-9][0-9][0-9]K[1-4]"}
PERIODS["month"] = "[12][0-9][0-9][0-9]M(0[1-9]|1[0-2])"
# Figures are DECIMAL(18, 4); a limit of more decimals would have every figure cast before it is compared.
SCALE = 4
WITHOUT_VALUE = ("suppressed", "missing", "not_applicable")


def literals(values: tuple[str, ...] | list[str]) -> str:
    """Return the values as a comma-separated list of SQL literals."""
    return ", ".join(quote_literal(value) for value in values)


def row_rules(source: Source, file: SqlFile, dictionary: Dictionary, catalogue: Catalogue) -> list[Rule]:
    """Return the row rules of one staging table; each moves the row to quarantine.

    A column that is NULL breaks `key_present` alone: the other predicates are NULL for it, hence no violation.
    """
    predicates: dict[str, tuple[str, str]] = {
        "key_present": (
            " OR ".join(f"{quote_identifier(c)} IS NULL OR {quote_identifier(c)} = ''" for c in file.grain),
            f"every row must have {', '.join(file.grain)}",
        )
    }
    for dimension in source.dimensions:
        predicates |= _dimension(source, dimension, catalogue)
    predicates |= _allowed(source, file, dictionary)
    if source.dimensions:
        predicates |= _value(source)
    return [
        Rule(rule_id, file.table, "row", "warning", "quarantine", description, predicate, source.owner)
        for rule_id, (predicate, description) in predicates.items()
    ]


def _dimension(source: Source, dimension: Dimension, catalogue: Catalogue) -> dict[str, tuple[str, str]]:
    """Return the rules that a column holds codes of its list, or periods of the source's kind."""
    column = quote_identifier(dimension.column)
    if dimension.role == "time":
        pattern = PERIODS.get(source.frequency or "", ".+")
        return {
            f"period_format_{dimension.column}": (
                f"NOT regexp_full_match({column}, {quote_literal(pattern)})",
                f"{dimension.column} must be a {source.frequency} as the publisher writes it",
            )
        }
    if dimension.role == "selector":
        return {}
    codes = [code.code for code in catalogue.codes(source, dimension)]
    if not codes:
        return {}
    known = "the areas of this table" if dimension.role == "area" else f"code list {dimension.codelist}"
    return {
        f"code_known_{dimension.column}": (
            f"{column} NOT IN ({literals(codes)})",
            f"{dimension.column} must be in {known}",
        )
    }


def _allowed(source: Source, file: SqlFile, dictionary: Dictionary) -> dict[str, tuple[str, str]]:
    """Return the rules for columns whose values the dictionary lists."""
    names = [*file.grain, "value_status"] if source.dimensions else list(file.grain)
    found = {}
    for name in names:
        column = dictionary.columns.get(name)
        if column and column.allowed:
            found[f"allowed_{name}"] = (
                f"{quote_identifier(name)} NOT IN ({literals(column.allowed)})",
                f"{name} must be one of {', '.join(column.allowed)}",
            )
    return found


def _value(source: Source) -> dict[str, tuple[str, str]]:
    """Return the rules for the figure itself and the status beside it."""
    limits = source.expectations
    found = {
        "value_readable": (
            "value_status IS NULL",
            "the figure must be a number or one of the publisher's marks (.. - . ...)",
        ),
        "value_fits_status": (
            f"(value IS NULL) <> (value_status IN ({literals(WITHOUT_VALUE)}))",
            "a suppressed, missing or impossible figure has no value, every other figure has one",
        ),
    }
    if source.decimals < 4:
        found["value_decimals"] = (
            f"value <> round(value, {source.decimals})",
            f"a figure in {source.unit} has at most {source.decimals} decimals (more is a thousands dot read as point)",
        )
    low, high = limits.value_min, limits.value_max
    if low is not None:
        found["value_min"] = (f"value < {low:.{SCALE}f}", f"a figure must be at least {low:g}")
    if high is not None:
        found["value_max"] = (f"value > {high:.{SCALE}f}", f"a figure must be at most {high:g}")
    return found

"""What Great Expectations' own expectations say about the small tables analysts start from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Stock:
    """One stock expectation: its GX class, its arguments, and the rule it is recorded as."""

    table: str
    rule_id: str
    expectation: str
    description: str
    arguments: dict[str, Any] = field(default_factory=dict)


STOCK = (
    Stock(
        "mart.municipality", "gx_98_municipalities", "ExpectTableRowCountToEqual",
        "Denmark has had 98 municipalities since 2007; Christiansø is none", {"value": 98},
    ),
    Stock(
        "mart.municipality", "gx_code_once", "ExpectColumnValuesToBeUnique",
        "a municipality stands on one row", {"column": "municipality_code"},
    ),
    Stock(
        "mart.municipality", "gx_code_three_digits", "ExpectColumnValueLengthsToEqual",
        "municipality codes are text of three digits", {"column": "municipality_code", "value": 3},
    ),
    Stock(
        "mart.municipality", "gx_five_regions", "ExpectColumnValuesToBeInSet",
        "a municipality lies in one of the five regions",
        {"column": "region_code", "value_set": ["081", "082", "083", "084", "085"]},
    ),
    Stock(
        "mart.indicator", "gx_indicator_once", "ExpectColumnValuesToBeUnique",
        "an indicator is defined once", {"column": "indicator_id"},
    ),
    Stock(
        "mart.indicator", "gx_indicator_defined", "ExpectColumnValuesToNotBeNull",
        "an indicator says in Danish what it measures", {"column": "definition_da"},
    ),
    Stock(
        "mart.mapping", "gx_98_mappings", "ExpectTableRowCountToEqual",
        "the mapping has one row for each of the 98 municipalities", {"value": 98},
    ),
)  # fmt: skip

"""Indicators from measures: ratios, differences, growth, what is withheld, and which dates belong together."""

from __future__ import annotations

from datetime import date

import pytest

from tests.unit.models.sql_rows import Row, give, select, warehouse_with_reference
from transforms.warehouse import Warehouse

JANUARY, NOVEMBER = date(2025, 1, 1), date(2024, 11, 30)
MEASURE = "measure_id area_code period reference_date value value_status _snapshot_id"
INDICATOR = (
    "indicator_id operation unit scale numerator_measure denominator_measure "
    "counted_numerator_measure counted_denominator_measure"
)


def status_of(value: float | None) -> str:
    return "missing" if value is None else "zero" if value == 0 else "observed"


def measure(name: str, value: float | None, status: str = "", day: date = JANUARY, area: str = "101") -> Row:
    """Return a row of core.measure; its period is named by the year."""
    return (name, area, str(day.year), day, value, status or status_of(value), f"statbank_{name}/now")


def indicator(warehouse: Warehouse, operation: str, measures: list[Row], scale: int = 100) -> list[Row]:
    """Return value, numerator, denominator and status of one indicator, a over b, by period."""
    bottom = None if operation in ("value", "growth_5y") else "b"
    of = ("counted", "counted_of") if operation == "value" else (None, None)
    give(warehouse, "mart.indicator", INDICATOR, [("x_pct", operation, "pct", scale, "a", bottom, *of)])
    give(warehouse, "core.measure", MEASURE, measures)
    warehouse.execute("CREATE OR REPLACE TABLE run.release AS SELECT 20 AS least_rate_denominator")
    return select(warehouse, "core.indicator_area_value", "value numerator denominator value_status")


@pytest.mark.parametrize(
    ("top", "bottom", "expected"),
    [
        ((50, ""), (200, ""), (25, 50, 200, "observed")),
        ((1, ""), (30, ""), (3.3333, 1, 30, "observed")),
        ((0, ""), (200, ""), (0, 0, 200, "zero")),
        ((5, ""), (20, ""), (25, 5, 20, "observed")),
        ((5, ""), (19, ""), (None, None, None, "suppressed")),
        ((0, ""), (0, ""), (None, 0, 0, "not_applicable")),
        ((None, "suppressed"), (200, ""), (None, None, None, "suppressed")),
        ((50, ""), (None, "suppressed"), (None, None, None, "suppressed")),
        ((None, "missing"), (200, ""), (None, None, 200, "missing")),
        ((50, ""), (None, "missing"), (None, 50, None, "missing")),
        ((None, "missing"), (None, "suppressed"), (None, None, None, "suppressed")),
        ((50, "provisional"), (200, ""), (25, 50, 200, "provisional")),
    ],
)
def test_a_ratio(top: tuple[float | None, str], bottom: tuple[float | None, str], expected: Row) -> None:
    with warehouse_with_reference() as warehouse:
        assert indicator(warehouse, "ratio", [measure("a", *top), measure("b", *bottom)]) == [expected]


def test_a_ratio_is_scaled_as_its_definition_says() -> None:
    with warehouse_with_reference() as warehouse:
        assert indicator(warehouse, "ratio", [measure("a", 7), measure("b", 2000)], 1000)[0][0] == 3.5


def test_a_difference_is_in_points_and_may_be_negative_or_zero() -> None:
    with warehouse_with_reference() as warehouse:
        for top, bottom, value, status in (
            (75.4, 61.2, 14.2, "observed"),
            (50, 60, -10, "observed"),
            (9, 9, 0, "zero"),
        ):
            found = indicator(warehouse, "difference", [measure("a", top), measure("b", bottom)])
            assert found == [(value, None, None, status)]


def test_a_value_is_the_measure_itself_with_its_status() -> None:
    with warehouse_with_reference() as warehouse:
        for given, status in ((12, "observed"), (0, "zero"), (None, "suppressed"), (None, "not_applicable")):
            assert indicator(warehouse, "value", [measure("a", given, status)]) == [(given, None, None, status)]


def test_a_published_rate_has_its_counts_beside_it_where_both_are_published() -> None:
    with warehouse_with_reference() as warehouse:
        counts = [measure("counted", 60), measure("counted_of", 100)]
        assert indicator(warehouse, "value", [measure("a", 60.1), *counts]) == [(60.1, 60, 100, "observed")]
        assert indicator(warehouse, "value", [measure("a", 60.1), counts[0]]) == [(60.1, None, None, "observed")]
        withheld = [measure("a", None, "suppressed"), *counts]
        assert indicator(warehouse, "value", withheld) == [(None, None, None, "suppressed")]


def test_growth_needs_the_value_five_years_before() -> None:
    with warehouse_with_reference() as warehouse:
        years = {2019: 90, 2020: 100, 2025: 110}
        measures = [measure("a", value, day=date(year, 1, 1)) for year, value in years.items()]
        assert indicator(warehouse, "growth_5y", measures) == [(10, 110, 100, "observed")]
        from_nothing = [measure("a", 0, day=date(2020, 1, 1)), measure("a", 5)]
        assert indicator(warehouse, "growth_5y", from_nothing) == [(None, 5, 0, "not_applicable")]
        withheld = [measure("a", None, "suppressed", date(2020, 1, 1)), measure("a", 5)]
        assert indicator(warehouse, "growth_5y", withheld) == [(None, None, None, "suppressed")]


def test_growth_to_november_finds_november_five_years_before() -> None:
    with warehouse_with_reference() as warehouse:
        measures = [measure("a", 200, day=date(2019, 11, 30)), measure("a", 150, day=NOVEMBER)]
        assert indicator(warehouse, "growth_5y", measures) == [(-25, 150, 200, "observed")]


def test_only_figures_of_the_same_date_and_area_are_paired() -> None:
    with warehouse_with_reference() as warehouse:
        other_date = [measure("a", 50, day=NOVEMBER), measure("b", 200, day=JANUARY)]
        assert indicator(warehouse, "ratio", other_date) == [(None, 50, None, "missing")]
        other_area = [measure("a", 50), measure("b", 200, area="147")]
        assert indicator(warehouse, "ratio", other_area) == [(None, 50, None, "missing")]


def test_a_withheld_share_cannot_be_recomputed_from_what_stands_beside_it() -> None:
    with warehouse_with_reference() as warehouse:
        for bottom in (1, 5, 19):
            [(value, top, below, status)] = indicator(warehouse, "ratio", [measure("a", 1), measure("b", bottom)])
            assert (value, top, below, status) == (None, None, None, "suppressed")

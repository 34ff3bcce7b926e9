"""The mart from core rows: nothing absent, the newest period, one row per municipality with its groups and size."""

from __future__ import annotations

from datetime import date

import pytest

from tests.unit.models.sql_rows import Row, give, select, warehouse_with_reference
from transforms.warehouse import Warehouse

CORE_VALUE = "indicator_id area_code period reference_date value numerator denominator value_status _snapshot_id"
MUNICIPALITY = (
    "municipality_code municipality_name region_name province_name municipality_group_da size_band is_participant "
    "project_unit population_count"
)
MEASURE = "measure_id area_code period reference_date value value_status _snapshot_id"


def core_value(indicator: str, area: str, year: int, value: float | None, status: str = "observed") -> Row:
    return (indicator, area, str(year), date(year, 1, 1), value, None, None, status, "statbank_x/now")


def two_municipalities(warehouse: Warehouse, values: list[Row]) -> None:
    names = [("101", "København"), ("147", "Frederiksberg")]
    rows = [(code, name, "Region Hovedstaden", "Byen København", None, "large", False, None, 1) for code, name in names]
    give(warehouse, "mart.municipality", MUNICIPALITY, rows)
    give(warehouse, "core.indicator_area_value", CORE_VALUE, values)


def test_what_is_not_there_is_a_row_that_says_missing() -> None:
    with warehouse_with_reference() as warehouse:
        values = [core_value("x", "101", 2024, 3), core_value("x", "147", 2023, None, "suppressed")]
        two_municipalities(warehouse, [*values, core_value("x", "000", 2025, 9), core_value("x", "411", 2025, 9)])
        columns = "municipality_code period value value_status is_newest _snapshot_id"
        assert select(warehouse, "mart.indicator_value", columns) == [
            ("101", "2023", None, "missing", False, None),
            ("101", "2024", 3, "observed", True, "statbank_x/now"),
            ("147", "2023", None, "suppressed", False, "statbank_x/now"),
            ("147", "2024", None, "missing", True, None),
        ]


def test_the_newest_period_is_the_newest_in_which_somebody_has_a_value() -> None:
    with warehouse_with_reference() as warehouse:
        values = [core_value("x", "101", 2024, 3), core_value("x", "101", 2025, None, "missing")]
        two_municipalities(warehouse, values)
        found = select(warehouse, "mart.indicator_value", "municipality_code period is_newest", "is_newest")
        assert found == [("101", "2024", True), ("147", "2024", True)]


def test_an_indicator_nobody_has_a_value_of_has_no_newest_period() -> None:
    with warehouse_with_reference() as warehouse:
        two_municipalities(warehouse, [core_value("x", "101", 2025, None, "suppressed")])
        assert select(warehouse, "mart.indicator_value", "is_newest") == [(False,), (False,)]


def test_national_values_are_those_of_the_country_alone() -> None:
    with warehouse_with_reference() as warehouse:
        values = [core_value("x", "000", 2024, 8), core_value("x", "000", 2025, None, "missing")]
        two_municipalities(warehouse, [*values, core_value("x", "101", 2025, 3)])
        assert select(warehouse, "mart.indicator_national", "period value is_newest") == [
            ("2024", 8, True),
            ("2025", None, False),
        ]


def municipalities(warehouse: Warehouse, population: dict[str, float] | None = None) -> None:
    rows = warehouse.rows(
        "SELECT code, name_da, name_en, level, region_code, province_code FROM reference.areas ORDER BY code"
    )
    columns = "area_code area_name_da area_name_en area_level region_code province_code"
    give(warehouse, "core.area", columns, rows)
    days = [("population_month", "2025M11", date(2025, 11, 1)), ("population_quarter", "2025K3", date(2025, 7, 1))]
    measures = [
        (name, area, period, day, value if name == "population_month" else 1, "observed", "statbank_x/now")
        for area, value in (population or {}).items()
        for name, period, day in days
    ]
    give(warehouse, "core.measure", MEASURE, measures)


def test_there_are_98_municipalities_and_17_participants() -> None:
    with warehouse_with_reference() as warehouse:
        municipalities(warehouse)
        found = select(
            warehouse,
            "mart.municipality",
            "municipality_code region_name province_name municipality_group_code is_participant project_unit",
        )
        assert len(found) == 98
        assert "411" not in {row[0] for row in found}
        assert all(None not in row[:4] for row in found)
        assert {row[1] for row in found} == {
            f"Region {name}" for name in ("Hovedstaden", "Sjælland", "Syddanmark", "Midtjylland", "Nordjylland")
        }
        assert sum(row[4] for row in found) == 17
        assert len({row[5] for row in found if row[4]}) == 15
        assert {row[5] for row in found if not row[4]} == {None}


@pytest.mark.parametrize(
    ("population", "band"),
    [
        (24999, "very_small"),
        (25000, "small"),
        (39999, "small"),
        (40000, "middle"),
        (60000, "large"),
        (199999, "large"),
        (200000, "very_large"),
    ],
)
def test_size_band_follows_the_newest_population(population: float, band: str) -> None:
    with warehouse_with_reference() as warehouse:
        municipalities(warehouse, {"101": population})
        found = select(warehouse, "mart.municipality", "population_count size_band", "municipality_code = '101'")
        assert found == [(population, band)]


def test_a_municipality_without_a_count_has_no_size_band() -> None:
    with warehouse_with_reference() as warehouse:
        municipalities(warehouse, {"101": 600000})
        found = select(warehouse, "mart.municipality", "population_count size_band", "municipality_code = '147'")
        assert found == [(None, None)]


def test_the_mapping_is_one_row_per_municipality_with_dates_and_completeness() -> None:
    with warehouse_with_reference() as warehouse:
        two_municipalities(warehouse, [])
        indicators = [("immigrants_non_western_pct", True), ("unemployment_pct", True), ("women_pct", False)]
        give(warehouse, "mart.indicator", "indicator_id is_headline", indicators)
        day_a, day_b = date(2024, 1, 1), date(2025, 1, 1)
        values = [
            ("101", "immigrants_non_western_pct", "2024", day_a, 12.5, "observed", True),
            ("101", "immigrants_non_western_pct", "2019", date(2019, 1, 1), 9.0, "observed", False),
            ("101", "unemployment_pct", "2025", day_b, 3.5, "observed", True),
            ("101", "women_pct", "2020", date(2020, 1, 1), 50, "observed", True),
            ("147", "immigrants_non_western_pct", "2024", day_a, None, "suppressed", True),
        ]
        columns = "municipality_code indicator_id period reference_date value value_status is_newest"
        give(warehouse, "mart.indicator_value", columns, values)
        wanted = (
            "municipality_code non_western_share_pct unemployment_pct headline_count indicator_count "
            "missing_indicator_count completeness_pct oldest_reference_date newest_reference_date"
        )
        assert select(warehouse, "mart.mapping", wanted) == [
            ("101", 12.5, 3.5, 2, 3, 0, 100, day_a, day_b),
            ("147", None, None, 2, 0, 3, 0, None, None),
        ]

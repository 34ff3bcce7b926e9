"""Groups of municipalities: ratios of sums, the publisher's own figure first, never an average of rates."""

from __future__ import annotations

from datetime import date

from tests.unit.models.sql_rows import Row, give, select, warehouse_with_reference
from transforms.warehouse import Warehouse

INDICATOR = (
    "indicator_id operation unit numerator_measure denominator_measure counted_numerator_measure "
    "counted_denominator_measure scale"
)
VALUE = "municipality_code indicator_id period reference_date value numerator denominator value_status"
AREA_VALUE = "indicator_id area_code period reference_date value numerator denominator value_status _snapshot_id"
COLUMNS = "group_kind group_code value numerator denominator known_municipality_count value_status value_basis"


def cell(code: str, indicator: str, value: float | None, top: float | None = None, under: float | None = None) -> Row:
    status = "observed" if value is not None else "suppressed"
    return (code, indicator, "2024", date(2024, 11, 30), value, top, under, status)


def given(warehouse: Warehouse, indicators: list[Row], values: list[Row], published: list[Row] = []) -> None:  # noqa: B006
    give(warehouse, "mart.indicator", INDICATOR, indicators)
    give(warehouse, "mart.indicator_value", VALUE, values)
    give(warehouse, "core.indicator_area_value", AREA_VALUE, published)
    people = [("860", "081", "11", True), ("810", "081", "11", False), ("101", "084", "01", False)]
    give(warehouse, "mart.municipality", "municipality_code region_code province_code is_participant", people)
    give(warehouse, "mart.peer", "municipality_code peer_code", [("860", "810"), ("101", "860")])
    areas = [("081", "Region Nordjylland"), ("084", "Region Hovedstaden"), ("11", "Nordjylland"), ("01", "Byen Kbh.")]
    give(warehouse, "core.area", "area_code area_name_da area_name_en", [(code, name, name) for code, name in areas])


def test_a_rate_is_the_ratio_of_the_summed_counts() -> None:
    with warehouse_with_reference() as warehouse:
        rate = ("rate", "value", "pct", "rate_a", None, "employed", "persons", 1)
        values = [cell("860", "rate", 10, 10, 100), cell("810", "rate", 50, 450, 900), cell("101", "rate", 60, 60, 100)]
        given(warehouse, [rate], values)
        assert select(warehouse, "mart.group_value", COLUMNS, "group_kind = 'region'") == [
            ("region", "081", 46, 460, 1000, 2, "observed", "ratio_of_sums"),
            ("region", "084", 60, 60, 100, 1, "observed", "ratio_of_sums"),
        ]


def test_the_publishers_own_figure_comes_first() -> None:
    with warehouse_with_reference() as warehouse:
        rate = ("rate", "value", "pct", "rate_a", None, None, None, 1)
        own = ("rate", "081", "2024", date(2024, 11, 30), 44, None, None, "observed", "x/now")
        given(warehouse, [rate], [cell(code, "rate", 10) for code in ("860", "810", "101")], [own])
        assert select(warehouse, "mart.group_value", COLUMNS, "group_kind = 'region'") == [
            ("region", "081", 44, None, None, 2, "observed", "published"),
            ("region", "084", None, None, None, 1, "not_applicable", "none"),
        ]


def test_a_withheld_part_withholds_the_sum_and_the_median_is_told() -> None:
    with warehouse_with_reference() as warehouse:
        count = ("persons_count", "value", "persons", "persons", None, None, None, 1)
        given(warehouse, [count], [cell("860", "persons_count", 7), cell("810", "persons_count", None)])
        columns = "value known_municipality_count municipality_count median_value value_status value_basis"
        found = select(warehouse, "mart.group_value", columns, "group_kind = 'region'")
        assert found == [(None, 1, 2, 7, "missing", "sum")]


def test_a_gap_is_the_difference_of_the_groups_rates() -> None:
    with warehouse_with_reference() as warehouse:
        indicators: list[Row] = [
            ("first", "value", "pct", "rate_a", None, "a", "b", 1),
            ("second", "value", "pct", "rate_b", None, "c", "d", 1),
            ("gap", "difference", "pp", "rate_a", "rate_b", None, None, 1),
        ]
        values = [
            *(cell(code, "first", 50, 50, 100) for code in ("860", "810", "101")),
            cell("860", "second", 10, 10, 100),
            cell("810", "second", 40, 360, 900),
            cell("101", "second", 20, 20, 100),
            *(cell(code, "gap", 30) for code in ("860", "810", "101")),
        ]
        given(warehouse, indicators, values)
        where = "indicator_id = 'gap' AND group_kind NOT IN ('province', 'country')"
        assert select(warehouse, "mart.group_value", "group_kind group_code value value_basis", where) == [
            ("other_municipalities", "other_municipalities", 30, "difference_of_rates"),
            ("participants", "participants", 40, "difference_of_rates"),
            ("peers_of_participants", "peers_of_participants", 10, "difference_of_rates"),
            ("region", "081", 13, "difference_of_rates"),
            ("region", "084", 30, "difference_of_rates"),
        ]

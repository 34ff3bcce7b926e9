"""Measures from staging rows: sums only when every part is there, `..` never 0, zero cells 0, `_ALL` the total."""

from __future__ import annotations

from datetime import date

from tests.unit.models.sql_rows import Row, give_cells, select, warehouse_with_reference
from transforms.warehouse import Warehouse

FOLK1E = "area_code sex_code age_code ancestry_code period"
RAS201 = "area_code labour_status_code ancestry_code age_code sex_code period"
AGES = ("16-19", "20-24", "25-29", "30-34", "35-39", "40-44", "45-49", "50-54", "55-59", "60-64")
STATUSES = ("00", "50", "55")


def folk1e(warehouse: Warehouse, ages: dict[int, str]) -> list[Row]:
    """Return the measures of non-western immigrants in area 101, from figures by single age."""
    cells = [("101", "TOT", str(age), "25", "2025K1", text) for age, text in ages.items()]
    give_cells(warehouse, "statbank_folk1e", FOLK1E, cells)
    return select(warehouse, "core.measure_folk1e", "measure_id value value_status")


def test_a_sum_over_ages_needs_every_age() -> None:
    with warehouse_with_reference() as warehouse:
        every_age = {age: "2" for age in range(16, 65)}
        assert folk1e(warehouse, every_age) == [
            ("imm_non_western_1629", 28, "observed"),
            ("imm_non_western_1664", 98, "observed"),
            ("imm_non_western_3049", 40, "observed"),
            ("imm_non_western_5064", 30, "observed"),
        ]
        without_20 = {age: text for age, text in every_age.items() if age != 20}
        assert folk1e(warehouse, without_20)[:3] == [
            ("imm_non_western_1629", None, "missing"),
            ("imm_non_western_1664", None, "missing"),
            ("imm_non_western_3049", 40, "observed"),
        ]


def test_a_withheld_part_withholds_the_sum_and_is_never_zero() -> None:
    with warehouse_with_reference() as warehouse:
        found = folk1e(warehouse, {age: ".." if age == 30 else "2" for age in range(16, 65)})
        assert found[1:3] == [
            ("imm_non_western_1664", None, "suppressed"),
            ("imm_non_western_3049", None, "suppressed"),
        ]
        assert found[0] == ("imm_non_western_1629", 28, "observed")


def test_a_sum_of_zero_cells_is_zero() -> None:
    with warehouse_with_reference() as warehouse:
        found = folk1e(warehouse, {age: "-" if age % 2 else "0" for age in range(16, 65)})
        assert {row[1:] for row in found} == {(0.0, "zero")}


def test_ages_outside_the_bands_and_other_quarters_are_left_out() -> None:
    with warehouse_with_reference() as warehouse:
        cells = [("101", "TOT", str(age), "25", "2025K1", "1") for age in range(10, 70)]
        cells += [("101", "TOT", str(age), "25", "2025K2", "1") for age in range(16, 65)]
        cells += [("101", "1", str(age), "25", "2025K1", "1") for age in range(16, 65)]
        give_cells(warehouse, "statbank_folk1e", FOLK1E, cells)
        found = select(warehouse, "core.measure_folk1e", "measure_id period reference_date value")
        assert ("imm_non_western_1664", "2025K1", date(2025, 1, 1), 49) in found
        assert {row[1] for row in found} == {"2025K1"}


def test_the_publishers_total_is_taken_as_it_is() -> None:
    with warehouse_with_reference() as warehouse:
        cells = [
            ("101", "TOT", "IALT", "TOT", "2025K1", "650000"),
            ("411", "TOT", "IALT", "25", "2025K1", ".."),
            ("000", "TOT", "IALT", "1", "2025K1", "5000000"),
        ]
        give_cells(warehouse, "statbank_folk1e", FOLK1E, cells)
        assert select(warehouse, "core.measure_folk1e", "measure_id area_code value value_status") == [
            ("danish_all", "000", 5000000, "observed"),
            ("imm_non_western_all", "411", None, "suppressed"),
            ("population_all", "101", 650000, "observed"),
        ]


def ras201(
    warehouse: Warehouse, changed: dict[tuple[str, str], str | None], ancestries: tuple[str, ...] = ("25",)
) -> dict[str, Row]:
    """Return measure -> value and status in area 101; three persons in every cell but those changed (None: absent)."""
    cells = [
        ("101", status, ancestry, age, sex, "2024", changed.get((status, age), "3"))
        for ancestry in ancestries
        for status in STATUSES
        for age in AGES
        for sex in ("M", "K")
        if changed.get((status, age), "3") is not None
    ]
    give_cells(warehouse, "statbank_ras201", RAS201, cells)
    return {row[0]: row[1:] for row in select(warehouse, "core.measure_ras201", "measure_id value value_status")}


def test_labour_counts_need_ten_age_groups_of_both_sexes() -> None:
    with warehouse_with_reference() as warehouse:
        both = {"employed": 60, "outside": 60, "persons": 180, "unemployed": 60}
        found = ras201(warehouse, {})
        assert {name: row for name, row in found.items() if name.startswith("ras_imm_non_western")} == {
            f"ras_imm_non_western_{status}{sex}": (count / (2 if sex else 1), "observed")
            for status, count in both.items()
            for sex in ("", "_men", "_women")
        }
        found = ras201(warehouse, {("50", "20-24"): None})
        assert found["ras_imm_non_western_unemployed"] == (None, "missing")
        assert found["ras_imm_non_western_persons"] == (None, "missing")
        assert found["ras_imm_non_western_employed"] == (60, "observed")
        assert ras201(warehouse, {("50", "20-24"): ".."})["ras_imm_non_western_persons"] == (None, "suppressed")


def test_a_group_of_ancestries_needs_each_of_them() -> None:
    """The employed of all, of immigrants and of descendants are added up, never from some of their parts."""
    with warehouse_with_reference() as warehouse:
        found = ras201(warehouse, {}, ("999", "24", "25", "34", "35"))
        told = {"total": 5, "danish": 1, "immigrants": 2, "imm_western": 1, "imm_non_western": 1, "desc_non_western": 1}
        assert {name: found[f"ras_{name}_employed"] for name in told} == {
            name: (60 * parts, "observed") for name, parts in told.items()
        }
        two = ras201(warehouse, {}, ("999", "25"))
        assert two["ras_total_persons"] == two["ras_immigrants_persons"] == (None, "missing")
        assert two["ras_danish_persons"] == (180, "observed")


def test_a_dimension_left_out_is_the_publishers_total() -> None:
    countries = ("5486", "5216", "5404", "5436", "5438", "5289", "5258", "5214", "5278", "5414", "5103", "5704")
    columns = "area_code sex_code age_code last_residence_code citizenship_code period"
    with warehouse_with_reference() as warehouse:
        cells = [("101", "_ALL", "_ALL", "_ALL", country, "2024", "4") for country in countries]
        cells += [("101", "M", "_ALL", "_ALL", country, "2024", "2") for country in countries]
        give_cells(warehouse, "statbank_van1aar", columns, cells)
        found = select(warehouse, "core.measure_van1aar", "measure_id value value_status reference_date")
        assert found == [("immigration_refugee_countries", 48, "observed", date(2024, 1, 1))]


def test_dwellings_are_summed_over_owners_within_each_tenure() -> None:
    tenures, owners = ("EJ", "LEJ", "UB", "XX"), ("10", "20", "30", "41", "50", "90")
    columns = "area_code resident_type_code tenure_code dwelling_owner_code period"
    with warehouse_with_reference() as warehouse:
        cells = [("101", "1000", t, o, "2025", "1") for t in tenures for o in owners]
        cells += [("101", "2000", t, o, "2025", "7") for t in tenures for o in owners]
        give_cells(warehouse, "statbank_bol101", columns, cells)
        assert select(warehouse, "core.measure_bol101", "measure_id value") == [
            ("dwellings_all", 24),
            ("dwellings_rented", 6),
            ("dwellings_social", 4),
        ]


def test_november_figures_speak_of_the_last_day_of_november() -> None:
    with warehouse_with_reference() as warehouse:
        columns = "area_code ancestry_code age_code sex_code rate_measure_code period"
        cells = [("101", "25", "16-64", "TOT", "BFK", "2024", "61.5"), ("101", "25", "16-64", "K", "BFK", "2024", "..")]
        cells += [
            ("101", "25", "16-64", "TOT", "EFK", "2024", "70"),
            ("101", "25", "16-66", "TOT", "BFK", "2024", "60"),
        ]
        give_cells(warehouse, "statbank_ras200", columns, cells)
        assert select(warehouse, "core.measure_ras200", "measure_id reference_date value value_status") == [
            ("rate_imm_non_western", date(2024, 11, 30), 61.5, "observed"),
            ("rate_imm_non_western_women", date(2024, 11, 30), None, "suppressed"),
        ]

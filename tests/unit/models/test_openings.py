"""From the answers of Jobindsats and the entries of the programme to openings and shortage per industry."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from tests.unit.models.sql_rows import Row, give, give_cells, select, warehouse_with_reference
from transforms.errors import UsageError
from transforms.models.industries import match_industries, openings_in_reach
from transforms.models.steps import read
from transforms.tables import FOLDER, check_shortage, load_reference, read_all
from transforms.warehouse import Warehouse

CELL = "measure_name industry_code area_code period"
MONTHS = [f"2016M{month:02d}" for month in range(1, 13)]
HEADER = "class_list;valid_from;area_code;industry_code;shortage_class;source"


def give_areas(warehouse: Warehouse) -> None:
    give(warehouse, "core.area", "area_code area_level region_code province_code", [
        ("000", "country", None, None), ("101", "municipality", "084", "01"), ("147", "municipality", "084", "01"),
        ("400", "municipality", "084", "04"), ("461", "municipality", "083", "08"),
    ])  # fmt: skip


def posted(area: str, industry: str, texts: Sequence[str], months: Sequence[str] = MONTHS) -> list[Row]:
    return [("posted_count", industry, area, month, text) for month, text in zip(months, texts, strict=False)]


def test_openings_are_the_latest_twelve_months_and_a_withheld_month_withholds_them() -> None:
    with warehouse_with_reference() as warehouse:
        give_areas(warehouse)
        cells = [
            *posted("101", "G", ["4"] * 12), *posted("101", "G", ["900"], ["2015M12"]),
            *posted("147", "G", ["5"] * 11 + [".."]), *posted("461", "G", ["5"] * 11), *posted("461", "I", ["0"] * 12),
            *posted("000", "G", ["70"] * 12), *posted("101", "TOT", ["80"] * 12),
            ("open_count", "G", "101", "2016M12", "99"),
            ("posted_count", "Rengøringsassistent", "101", "2016M12", "99"),
        ]  # fmt: skip
        give_cells(warehouse, "jobindsats_y25i10", CELL, cells)
        columns = "municipality_code industry_code openings_posted_count value_status"
        assert select(warehouse, "core.openings", columns) == [
            ("101", "G", 48.0, "observed"), ("147", "G", None, "suppressed"), ("461", "G", None, "missing"),
            ("461", "I", 0.0, "zero"),
        ]  # fmt: skip


def test_a_withheld_staging_row_reaches_the_whole_commuting_area() -> None:
    with warehouse_with_reference() as warehouse:
        give_areas(warehouse)
        give_cells(warehouse, "jobindsats_y25i10", CELL, [
            *posted("101", "G", ["4"] * 12), *posted("147", "G", [".."] + ["5"] * 11),
            *posted("101", "I", ["2"] * 12), *posted("147", "I", ["3"] * 12),
        ])  # fmt: skip
        warehouse.execute(f"CREATE TABLE core.openings AS {read_all()['core.openings'].select}")
        areas = warehouse.frame("SELECT unnest(['101', '147']) AS municipality_code, '101' AS commuting_area_code")
        out = openings_in_reach(read(warehouse, "openings"), areas).set_index(["municipality_code", "industry_code"])
        assert out["openings_status"].to_dict() == {
            ("101", "G"): "suppressed", ("101", "I"): "observed", ("147", "G"): "suppressed", ("147", "I"): "observed",
        }  # fmt: skip
        assert out.loc[("147", "I"), "openings_count"] == 60


def shortage_known(as_of: datetime | None, *, synthetic: bool = False) -> list[Row]:
    """Return the classes a build of that day knows, from entries of two days for a region and one for a province."""
    with warehouse_with_reference() as warehouse:
        give_areas(warehouse)
        give(warehouse, "run.run", "started_at as_of is_synthetic", [(datetime(2026, 1, 1), as_of, synthetic)])
        for entry in (
            ("five_classes", "2019-07-01", "084", "I", "Mangel på arbejdskraft", "x"),
            ("five_classes", "2020-01-01", "084", "I", "Gode jobmuligheder", "x"),
            ("five_classes", "2020-01-01", "04", "I", "Mindre gode jobmuligheder", "x"),
        ):
            warehouse.execute("INSERT INTO reference.industry_shortage VALUES (?, ?, ?, ?, ?, ?)", entry)
        return select(warehouse, "core.industry_shortage", "municipality_code industry_code shortage_class")


def test_the_newest_shortage_entry_by_the_day_counts_and_a_province_before_its_region() -> None:
    short, good, less = "Mangel på arbejdskraft", "Gode jobmuligheder", "Mindre gode jobmuligheder"
    assert shortage_known(datetime(2019, 6, 30)) == []
    assert shortage_known(datetime(2019, 12, 31)) == [(code, "I", short) for code in ("101", "147", "400")]
    assert shortage_known(None) == [("101", "I", good), ("147", "I", good), ("400", "I", less)]


def test_an_entry_reaches_the_match_with_status_observed() -> None:
    with warehouse_with_reference() as warehouse:
        give(warehouse, "core.industry_shortage", "municipality_code industry_code shortage_class", [
            ("101", "I", "Mangel på arbejdskraft"),
        ])  # fmt: skip
        reach = warehouse.frame(
            "SELECT '101' AS municipality_code, unnest(['G', 'I']) AS industry_code, 9.0 AS jobs_in_reach_count, "
            "NULL::DOUBLE AS jobs_growth_pct"
        )
        absorption = warehouse.frame("SELECT unnest(['G', 'I']) AS industry_code, 10.0 AS absorption_pct")
        names = read(warehouse, "industries")
        match = match_industries(reach, absorption, names, shortage=read(warehouse, "shortage"))
        warehouse.load("model.industry_match", match)
        assert select(warehouse, "mart.industry_match", "industry_code shortage_class shortage_status") == [
            ("G", None, "missing"), ("I", "Mangel på arbejdskraft", "observed"),
        ]  # fmt: skip


def test_real_shortage_never_meets_invented_figures() -> None:
    assert shortage_known(None, synthetic=True) == []


def test_a_file_of_entries_with_a_header_only_is_an_empty_table() -> None:
    with warehouse_with_reference() as warehouse:
        entries, names = (warehouse.frame(f"SELECT * FROM reference.{n}") for n in ("industry_shortage", "codelists"))
        assert list(entries.columns) == HEADER.split(";")
        assert entries.empty
        assert not names.empty


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("five_classes;2019-07-01;084;ZZ;Gode jobmuligheder;x", "industry_code 'ZZ' is not an industry of db07_37"),
        ("five_classes;2019-07-01;101;I;Gode jobmuligheder;x", "area_code '101' is not the code of a region"),
        ("four_classes;2019-07-01;084;I;Omfattende mangel på arbejdskraft;x", "a class of the list 'four_classes'"),
        ("five_classes;1/7 2019;084;I;Gode jobmuligheder;x", "valid_from '1/7 2019' is not a day"),
        ("five_classes;2019-07-01;084;I;Gode jobmuligheder;", "source '' is not where the entry"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_used_is_refused_with_file_and_value(tmp_path: Path, entry: str, told: str) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "reference"))
    (folder / "industry_shortage.csv").write_text(f"{HEADER}\n{entry}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"industry_shortage\.csv: line 2") as caught, Warehouse.open() as warehouse:
        load_reference(warehouse, folder)
    assert told in str(caught.value)


def test_one_entry_a_day_for_an_area_and_industry(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "reference"))
    entry = "five_classes;2019-07-01;084;I;Gode jobmuligheder;x"
    (folder / "industry_shortage.csv").write_text(f"{HEADER}\n{entry}\n{entry}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"line 3: .* one entry a day; line 2 is the same"):
        check_shortage(folder)

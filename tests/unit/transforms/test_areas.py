"""Areas: the allow-list is Denmark as it has been since 2007, and names resolve exactly or not at all."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.areas import REFERENCE, area_code, areas, areas_at, comparable, suggest


def _read(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_counts_per_level() -> None:
    assert Counter(area.level for area in areas().values()) == {
        "country": 1,
        "region": 5,
        "province": 11,
        "municipality": 98,
        "christiansoe": 1,
        "municipality_group": 5,
        "abroad": 1,
        "unknown": 4,
    }


def test_municipalities_per_region() -> None:
    counted = Counter(area.region_code for area in areas_at(["municipality"]))
    assert counted == {"084": 29, "085": 17, "083": 22, "082": 19, "081": 11}


def test_every_municipality_lies_in_a_province_of_its_own_region() -> None:
    provinces = {area.code: area.region_code for area in areas_at(["province"])}
    assert all(provinces[area.province_code] == area.region_code for area in areas_at(["municipality", "christiansoe"]))


def test_order_is_statbanks_hierarchy() -> None:
    codes = [area.code for area in areas_at(["country", "region", "municipality"])]
    assert codes[:6] == ["000", "084", "101", "147", "155", "185"]
    assert codes.index("085") < codes.index("253") < codes.index("083")
    assert codes[-1] == "851"


def test_every_municipality_has_one_official_group() -> None:
    rows = _read("municipality_groups.csv")
    assert {row["municipality_code"] for row in rows} == {area.code for area in areas_at(["municipality"])}
    assert Counter(row["group_code"] for row in rows) == {"1": 24, "2": 3, "3": 16, "4": 24, "5": 31}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("101", "101"),
        ("084", "084"),
        ("01", "01"),
        ("0766", "766"),
        ("Copenhagen", "101"),
        ("københavns  KOMMUNE", "101"),
        ("All Denmark", "000"),
        ("Hele landet", "000"),
        ("Region Nordjylland", "081"),
        ("Province Byen København", "01"),
        ("Landsdel Vest- og Sydsjælland", "06"),
        ("Vesthimmerland Kommune", "820"),
        ("Vesthimmerlands Kommune", "820"),
        ("Bornholms Regionskommune", "400"),
        ("Århus", "751"),
        ("Høje Taastrup", "169"),
        ("Lyngby–Taarbæk", "173"),
        ("Brønderslev-Dronninglund", "810"),
        ("Christiansø", "411"),
        ("Ertholmene", "411"),
        ("Outside Denmark", "950"),
        (" Aalborg ", "851"),
        ("Å" + "benra\u030a", "580"),
    ],
)
def test_names_resolve(text: str, code: str) -> None:
    assert area_code(text) == code


@pytest.mark.parametrize(
    "text",
    [
        *("Værløse", "Grindsted", "Kjellerup", "Haslev", "Ølstykke"),  # ended in 2006
        *("Mors", "Nordjylland", "Hovedstaden"),  # an island; a region or a province; part of several names
        *("84", "1", "1084", "0411x", "0000", "Aarhuss", "Rebild, Skive", "kommune", ""),
    ],
)
def test_what_names_no_single_area_gives_none(text: str) -> None:
    assert area_code(text) is None


def test_every_official_name_finds_its_own_area() -> None:
    for area in areas().values():
        assert area_code(area.name_da) == area.code
        assert area_code(area.name_en) == area.code


def test_every_alias_finds_its_area_and_none_is_superfluous() -> None:
    official = {name.casefold() for area in areas().values() for name in (area.name_da, area.name_en)}
    for row in _read("area_aliases.csv"):
        assert area_code(row["alias"]) == row["code"]
        assert row["alias"].casefold() not in official


def test_suggestions_are_names_and_close() -> None:
    assert suggest("Vesthimmerlans")[0] == "Vesthimmerlands"
    assert suggest("Aarhuss Kommune")[0] == "Aarhus"
    assert suggest("qqqq") == []


@given(st.text())
def test_any_text_gives_a_known_code_or_none(text: str) -> None:
    code = area_code(text)
    assert code is None or code in areas()


@given(st.sampled_from([area.name_da for area in areas_at(["municipality"])]), st.sampled_from(["", " Kommune"]))
def test_case_and_spacing_do_not_matter(name: str, ending: str) -> None:
    assert area_code(f"  {name.upper()}{ending.upper()}\u00a0") == area_code(name)


@pytest.mark.real
def test_names_of_the_registers_resolve(real_dir: Path) -> None:
    import json

    kommuner = json.loads((real_dir / "codes" / "dawa_dagi_kommune.json").read_text(encoding="utf-8"))
    names = {kommune["navn"]: str(kommune["kode"]) for kommune in kommuner}
    tests = [
        name for name in names if "test" in name.casefold()
    ]  # the register's own test entries, which are no places
    assert sorted(tests) == ["Kommune test", "Testkommune"]
    assert all(area_code(name) is None and names.pop(name) for name in tests)
    assert len(names) == 99
    for name, code in names.items():
        assert area_code(name) == area_code(code) == code


@pytest.mark.parametrize(
    ("one", "other", "keep", "alike"),
    [
        ("Hele  landet ", "hele landet", None, True),
        ("Lyngby\u00a0-\u00a0Taarbæk", "LYNGBY – TAARBÆK", None, True),
        ("Åbenrå", "A\u030abenra\u030a", None, True),
        ("16−64 år", "16-64 år", None, True),
        ("Danmark, i alt", "Danmark i alt", None, False),
        ("Danmark, i alt", "Danmark i alt", "", True),
        ("Forskel (pct.point)", "Forskel (pct. point)", "%:+-", True),
        ("50+ år", "50- år", "%:+-", False),
        ("50+ år", "50- år", "", True),
        ("Høje Taastrup", "Høje-Taastrup", None, False),
    ],
)
def test_publishers_texts_are_compared_in_one_way(one: str, other: str, keep: str | None, alike: bool) -> None:
    assert (comparable(one, keep) == comparable(other, keep)) == alike

"""The source files as they are: they load, ask for codes that exist, and have a staging table each."""

from __future__ import annotations

import csv
import math
import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from transforms.areas import area_code
from transforms.catalogue import SOURCES, Catalogue, Code, Source, load_catalogue, load_codelists
from transforms.dictionary import load_dictionary
from transforms.errors import UsageError
from transforms.tables import ROOT, read_sql_file

STATBANK = sorted(path.stem for path in SOURCES.glob("statbank_*.yml"))
TABLES = {
    *("FOLK1A", "FOLK1AM", "FOLK1E", "INDOPH1", "VAN1AAR", "HFUDD11", "INDKP101", "BOL101", "REGK31"),
    *("RAS200", "RAS201", "RAS302", "RAS308", "PEND100", "PEND101", "ERHV2", "AULKP01", "AUK01", "KY038"),
}
YEARS = 14
PERIODS = {"year": 1, "quarter": 4, "month": 12}


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def codes_of(name: str, dimension: str) -> list[Code]:
    return catalogue().codes(catalogue().source(name), dimension)


def _periods(source: Source) -> int:
    """Return how many periods the source asks for in fourteen years ending with 2025."""
    (pattern,) = source.time.select
    if pattern.startswith("(-n+"):
        return int(pattern[4:-1])
    years = 2025 - int(pattern[2:6]) + 1 if pattern.startswith(">=") else YEARS
    return years if pattern == "*K1" else years * PERIODS[source.frequency or "year"]


def _cells(source: Source) -> int:
    return math.prod(len(catalogue().selected(source, d)) for d in source.dimensions[:-1]) * _periods(source)


def test_all_tables_of_the_mapping_are_there() -> None:
    assert {source.table for source in catalogue().sources.values() if source.table} >= TABLES


def test_the_whole_set_stays_small_enough_for_every_night() -> None:
    # Commuting and all ancestries of RAS201 from 2012 are 0.6 million: what a baseline of an earlier year rests on.
    assert 1_500_000 < sum(_cells(catalogue().sources[name]) for name in STATBANK) < 2_000_000


@pytest.mark.parametrize("name", STATBANK)
def test_every_dimension_selects_something_that_exists(name: str) -> None:
    source = catalogue().sources[name]
    for dimension in source.dimensions[:-1]:
        selected = catalogue().selected(source, dimension)
        assert selected, dimension.id
        assert len(selected) == len(set(selected))
    assert _cells(source) >= source.expectations.min_rows


@pytest.mark.parametrize("name", STATBANK)
def test_the_staging_table_passes_every_dimension_through(name: str) -> None:
    source = catalogue().sources[name]
    file = read_sql_file(ROOT / "staging" / f"{name}.sql")
    assert file.grain == tuple(dimension.column for dimension in source.dimensions)
    written = " ".join(file.select.split())
    for dimension in source.dimensions:
        assert f'"{dimension.id.upper()}" AS {dimension.column},' in written
    assert written.endswith(f'stat_status("INDHOLD") AS value_status, _snapshot_id FROM raw.{name}')
    assert source.table is not None
    assert source.table in file.label_da
    assert source.table in file.label_en


def test_staging_columns_are_described_and_codes_are_text() -> None:
    described = load_dictionary().columns
    for name in STATBANK:
        for dimension in catalogue().sources[name].dimensions:
            assert described[dimension.column].type == "VARCHAR"
    assert described["value"].type == "DECIMAL(18, 4)"
    assert described["_is_filled"].type == "BOOLEAN"
    assert set(described["value_status"].allowed or ()) >= {"observed", "zero", "suppressed", "missing"}


def test_codes_keep_their_zeros() -> None:
    lists = {name: {code.code for code in codes} for name, codes in load_codelists().items()}
    assert {"00", "50", "55"} == lists["labour_status_ras201"]
    assert "05" in lists["socio_employed"]
    assert {"00", "25"} <= lists["ancestry_ras200"]
    assert "02201" in lists["account_function"]
    assert "000" in {code.code for code in codes_of("statbank_folk1e", "OMRÅDE")}


def test_danish_origin_has_another_code_in_every_family_of_tables() -> None:
    found = {
        name: next(code.code for code in codes_of(name, "HERKOMST") if "dansk" in code.text_da.casefold())
        for name in ("statbank_folk1e", "statbank_ras200", "statbank_ras201", "statbank_hfudd11")
    }
    assert list(found.values()) == ["1", "10", "999", "5"]


@pytest.mark.parametrize(
    ("name", "dimension", "areas"),
    [
        ("statbank_folk1a", "OMRÅDE", 105),
        ("statbank_indoph1", "OMRÅDE", 104),
        ("statbank_bol101", "OMRÅDE", 115),
        ("statbank_pend100", "ARBEJDSSTED", 116),
        ("statbank_hfudd11", "BOPOMR", 105),
    ],
)
def test_number_of_areas_is_the_tables_own(name: str, dimension: str, areas: int) -> None:
    assert len(codes_of(name, dimension)) == areas


def test_industries_and_countries_are_complete() -> None:
    lists = load_codelists()
    assert len(lists["db07_37"]) == 37
    assert len(lists["db07_10"]) == 12
    countries = {code.code: code.text_en for code in lists["citizenship"]}
    assert len(countries) > 200
    wanted = {"5486": "Syria", "5216": "Eritrea", "5438": "Iran", "5404": "Afghanistan", "5103": "Stateless"}
    assert wanted.items() <= countries.items()


def test_a_text_names_one_code_of_a_list_only() -> None:
    for name, codes in load_codelists().items():
        for texts in ([code.text_da for code in codes], [code.text_en for code in codes]):
            assert len(set(texts)) == len(texts), name


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "table"),
    [
        ("folk1am_population_by_municipality.csv", "FOLK1AM"),
        ("indkp101_income_by_municipality.csv", "INDKP101"),
        ("hfudd11_h70.csv", "HFUDD11"),
        ("hfudd11_tot.csv", "HFUDD11"),
    ],
)
def test_every_text_of_a_real_file_is_known(real_dir: Path, file: str, table: str) -> None:
    source = catalogue().by_table(table)
    assert source is not None
    with (real_dir / "statbank" / "csv" / file).open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream, delimiter=";", quoting=csv.QUOTE_NONE)
    assert header == [dimension.id.upper() for dimension in source.dimensions] + ["INDHOLD"]
    for place, dimension in enumerate(source.dimensions[:-1]):
        known = {code.text_en: code.code for code in catalogue().codes(source, dimension)}
        texts = {row[place] for row in rows}
        assert texts <= known.keys(), dimension.id
        if dimension.role == "area":
            assert all(area_code(text) == known[text] for text in texts)
            assert texts == known.keys()


@pytest.mark.real
@pytest.mark.parametrize("name", STATBANK)
def test_labels_are_those_of_the_recorded_list_of_tables(real_dir: Path, name: str) -> None:
    import json

    source = catalogue().sources[name]
    for language, texts in {
        "da": [dimension.text_da for dimension in source.dimensions],
        "en": [dimension.text_en for dimension in source.dimensions],
    }.items():
        path = real_dir / "statbank" / "api" / f"tables_{language}.json"
        recorded = {table["id"]: table["variables"] for table in json.loads(path.read_text(encoding="utf-8"))}
        assert texts == recorded[source.table]


@pytest.mark.parametrize("source_id", STATBANK)
def test_a_source_may_grow_as_old_as_it_must(source_id: str) -> None:
    """What is published once a year is a year old at times: the bound must not stop a night for that."""
    source = catalogue().sources[source_id]
    yearly = source.frequency == "year" or source.time.select == ["*K1"]
    days_between = 366 if yearly else {"quarter": 92, "month": 31}[str(source.frequency)]
    assert source.max_age_days >= days_between + 30


def test_a_changed_file_is_read_anew_and_nobody_changes_anothers_catalogue(tmp_path: Path) -> None:
    folder = shutil.copytree(SOURCES, tmp_path / "sources")
    first = load_catalogue(folder)
    del first.sources["statbank_folk1a"]
    assert load_catalogue(folder).source("statbank_folk1a") is not None
    file = folder / "statbank_folk1a.yml"
    stamp = file.stat()
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("title_en: P", "title_en: Q"), encoding="utf-8")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as a quick hand may leave it
    assert load_catalogue(folder).source("statbank_folk1a").title_en.startswith("Q")
    file.write_text(text + "nonsense: 1\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(UsageError, match="nonsense"):
            load_catalogue(folder)

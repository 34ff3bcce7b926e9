"""A new source is written from tableinfo, loads, and stages its own test extract; nothing is overwritten."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.cli.manage import chooser
from flows.connectors import FetchOptions
from flows.connectors.http import open_client
from flows.connectors.statbank.client import canonical_rows, fetch_source
from flows.connectors.statbank.files import canonical_scan
from flows.connectors.statbank.query import TableInfo, Value, make_plan, parse_tableinfo
from flows.connectors.statbank.scaffold import Guess, new_source, slug
from flows.store.snapshots import SnapshotStore
from tests.conftest import ROOT
from tests.fixtures.replica import Replica, Table, Variable, serving
from transforms.areas import areas_at
from transforms.catalogue import Catalogue, load_catalogue
from transforms.dictionary import load_dictionary
from transforms.errors import UsageError
from transforms.load import CanonicalRows, load_staging
from transforms.tables import create_table, prepare, read_sql_file
from transforms.warehouse import Warehouse

AREAS = [(a.code, a.name_da, a.name_en) for a in areas_at(["country", "region", "municipality"])]
SEXES = [("TOT", "I alt", "Total"), ("1", "Mænd", "Men"), ("2", "Kvinder", "Women")]
PRICES = [("LOBM", "Løbende", "Current"), ("FAST", "Faste", "Constant")]
KINDS = [("01", "Hus; eget", "House"), ("02", "Lejlighed", "Flat")]
VARIABLES: list[dict[str, Any]] = [
    {"id": "OMRÅDE", "text": ("område", "region"), "values": [*AREAS, ("997", "Uoplyst", "Not stated")]},
    {"id": "KØN", "text": ("køn", "sex"), "values": SEXES},
    {"id": "PRISENHED", "text": ("prisenhed", "price unit"), "values": PRICES},
    {"id": "BOLIG", "text": ("boligens art, størrelse: m²", "kind of dwelling"), "values": KINDS},
    {"id": "Tid", "text": ("tid", "time"), "values": [("2023", "2023", "2023"), ("2024", "2024", "2024")]},
]


def described(lang: str, variables: list[dict[str, Any]] = VARIABLES, **more: Any) -> TableInfo:
    place = {"da": 1, "en": 2}[lang]
    entries = [
        {
            "id": variable["id"],
            "text": variable["text"][place - 1],
            "elimination": variable["id"] != "Tid",
            "time": variable["id"] == "Tid",
            "values": [{"id": value[0], "text": value[place]} for value in variable["values"]],
        }
        for variable in variables
    ]
    title = {"da": "Boliger: efter art", "en": "Dwellings: by kind"}[lang]
    answer = {"id": "BOLX9", "text": title, "unit": "Per cent", "updated": "2025-03-25T08:00:00", "variables": entries}
    return parse_tableinfo(json.dumps(answer | more).encode())


@cache
def small_dictionary() -> str:
    """Return the staging columns alone: reading the whole dictionary again and again takes seconds."""
    staging = {"period", "value", "value_status", "_snapshot_id", "_is_filled"}
    columns = load_dictionary().columns
    kept = {
        n: c.model_dump(exclude_none=True, mode="json") for n, c in columns.items() if n in staging or n[-5:] == "_code"
    }
    return yaml.safe_dump({"columns": kept}, allow_unicode=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a copy of what the scaffold reads and writes."""
    sources = tmp_path / "flows" / "sources"
    sources.mkdir(parents=True)
    for known in ("folk1a", "ras200"):
        shutil.copy(ROOT / "flows" / "sources" / f"statbank_{known}.yml", sources)
    (tmp_path / "transforms" / "reference").mkdir(parents=True)
    (tmp_path / "transforms" / "dictionary.yml").write_text(small_dictionary(), encoding="utf-8")
    shutil.copy(ROOT / "transforms" / "reference" / "codelists.csv", tmp_path / "transforms" / "reference")
    return tmp_path


def loaded(root: Path) -> Catalogue:
    transforms = root / "transforms"
    codelists = transforms / "reference" / "codelists.csv"
    return load_catalogue(root / "flows" / "sources", codelists=codelists, dictionary=transforms / "dictionary.yml")


def everything(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_written_source_loads_with_roles_and_lists(root: Path) -> None:
    made = new_source(described("da"), described("en"), root)
    assert [path.relative_to(root).as_posix() for path in made.paths] == [
        "flows/sources/statbank_bolx9.yml",
        "transforms/staging/statbank_bolx9.sql",
        "tests/fixtures/bolx9.csv",
        "transforms/reference/codelists.csv",
        "transforms/dictionary.yml",
    ]
    source = loaded(root).source("statbank_bolx9")
    assert [d.role for d in source.dimensions] == ["area", "category", "selector", "category", "time"]
    area, sex, price, kind, _ = source.dimensions
    assert (area.column, area.extra_codes, area.elimination) == ("area_code", ["997"], True)
    assert area.levels == ["country", "region", "municipality"]
    assert (sex.column, sex.codelist, sex.total, sex.select) == ("sex_code", "sex_tot_1_2", "TOT", ["TOT"])
    assert (price.codelist, price.select) == ("price_unit_bolx9", ["LOBM"])
    assert (kind.column, kind.codelist, kind.select) == ("kind_of_dwelling_code", "kind_of_dwelling_bolx9", ["*"])
    assert [c.text_da for c in loaded(root).codes(source, kind)] == ["Hus; eget", "Lejlighed"]
    assert (source.unit, source.decimals, source.frequency) == ("pct", 1, "year")
    assert source.title_da == "Boliger: efter art"


def test_what_a_person_must_settle_is_told_and_written(root: Path) -> None:
    made = new_source(described("da"), described("en"), root)
    pin = "PRISENHED: pinned to LOBM by guess; choose between it and FAST Constant"
    assert pin in made.questions
    assert "BOLIG: no total found; every code is selected" in made.questions
    assert f"# To settle: {pin}\n" in made.paths[0].read_text(encoding="utf-8")


def with_totals(language: str) -> TableInfo:
    """Return a description in which two texts of a dimension say that they are a total."""
    info = described(language)
    values = [
        Value(id="A", text="Vestlige lande i alt" if language == "da" else "Western countries, total"),
        Value(id="B", text="Ikke-vestlige lande i alt" if language == "da" else "Non-western countries, total"),
        Value(id="C", text="Syrien" if language == "da" else "Syria"),
    ]
    changed = [v.model_copy(update={"values": tuple(values)}) if v.id == "BOLIG" else v for v in info.variables]
    return info.model_copy(update={"variables": tuple(changed)})


@pytest.mark.parametrize(("said", "total", "select"), [("B", "B", ["B"]), ("-", None, ["*"]), (None, "A", ["A"])])
def test_which_of_several_totals_it_is_is_asked(
    root: Path, said: str | None, total: str | None, select: list[str]
) -> None:
    asked: list[Guess] = []

    def choose(guess: Guess) -> str | None:
        asked.append(guess)
        return said if guess.dimension == "BOLIG" else "FAST"

    made = new_source(with_totals("da"), with_totals("en"), root, choose)
    dwelling = loaded(root).source("statbank_bolx9").dimension("BOLIG")
    assert (dwelling.total, dwelling.select) == (total, select)
    assert [(guess.dimension, guess.what) for guess in asked] == [("PRISENHED", "code"), ("BOLIG", "total")]
    assert loaded(root).source("statbank_bolx9").dimension("PRISENHED").select == ["FAST"]
    told = "BOLIG: the total is taken to be A by guess; choose between it and B Non-western countries, total"
    assert (told in made.questions) == (said is None)
    assert not any(question.startswith("PRISENHED") for question in made.questions)


def test_a_choice_that_is_none_leaves_every_file_as_it_was(root: Path) -> None:
    before = everything(root)
    with pytest.raises(UsageError, match=r"BOLIG=X: not one of its codes; choose one of A, B, -"):
        new_source(with_totals("da"), with_totals("en"), root, lambda guess: "X" if guess.what == "total" else None)
    assert everything(root) == before


def test_the_command_takes_the_choice_as_an_option() -> None:
    answer = chooser(["bolig=B"], ["OMRÅDE", "BOLIG"])
    assert answer(Guess("BOLIG", "total", {"A": "a", "B": "b"}, "-")) == "B"
    assert answer(Guess("ENHED", "code", {"A": "a", "B": "b"}, "A")) is None, "nobody sits at a terminal"
    with pytest.raises(UsageError, match=r"--choose ALDER=1: give DIMENSION=CODE; the table has OMRÅDE, BOLIG"):
        chooser(["ALDER=1"], ["OMRÅDE", "BOLIG"])


def test_the_written_source_stages_its_own_extract(root: Path) -> None:
    made = new_source(described("da"), described("en"), root)
    catalogue = loaded(root)
    source = catalogue.source("statbank_bolx9")
    _, staging, fixture, *_ = made.paths
    assert canonical_scan(fixture, source, catalogue) is not None
    with Warehouse.open() as warehouse:
        prepare(warehouse)
        given = CanonicalRows(source=source, snapshot_id="statbank_bolx9/x", paths=[fixture])
        dictionary = load_dictionary(root / "transforms" / "dictionary.yml")
        create_table(warehouse, read_sql_file(ROOT / "transforms" / "quarantine" / "row.sql"), load_dictionary())
        count = load_staging(warehouse, read_sql_file(staging), given, dictionary)
        first = warehouse.rows("SELECT area_code, sex_code, period, value FROM staging.statbank_bolx9 ORDER BY value")[
            0
        ]
    assert (count.rows_in, count.rows_loaded, count.rows_rejected) == (6, 6, 0)
    assert (first[:3], int(first[3])) == (("000", "TOT", "2023"), 1)


def test_the_written_source_plans_a_query(root: Path) -> None:
    new_source(described("da"), described("en"), root)
    query = make_plan(loaded(root).source("statbank_bolx9"), described("en"), None).query
    assert query.cells == len(VARIABLES[0]["values"]) * 1 * 1 * 2 * 2


def test_nothing_is_overwritten(root: Path) -> None:
    new_source(described("da"), described("en"), root)
    before = everything(root)
    with pytest.raises(UsageError, match=r"^flows/sources/statbank_bolx9\.yml exists and is not overwritten"):
        new_source(described("da"), described("en"), root)
    assert everything(root) == before


def test_a_source_that_does_not_load_leaves_no_trace(root: Path) -> None:
    before = everything(root)
    empty_label = [*VARIABLES[:-2], {**VARIABLES[3], "text": ("", "")}, VARIABLES[-1]]
    with pytest.raises(UsageError):
        new_source(described("da", empty_label), described("en", empty_label), root)
    assert everything(root) == before


def test_strange_areas_are_told(root: Path) -> None:
    old = {**VARIABLES[0], "values": [*AREAS, ("345", "Hillerød før 2007", "Hillerød before 2007")]}
    variables = [old, *VARIABLES[1:]]
    made = new_source(described("da", variables), described("en", variables), root)
    assert any(question.startswith("OMRÅDE: 345 are not in") for question in made.questions)


def test_a_second_area_gets_a_column_of_its_own(root: Path) -> None:
    second = {**VARIABLES[0], "id": "ARBSTED", "text": ("arbejdssted", "workplace")}
    variables = [VARIABLES[0], second, *VARIABLES[1:]]
    new_source(described("da", variables), described("en", variables), root)
    columns = [d.column for d in loaded(root).source("statbank_bolx9").dimensions]
    assert columns[:2] == ["area_code", "arbsted_area_code"]


def test_other_periods_are_refused(root: Path) -> None:
    weeks = [*VARIABLES[:-1], {**VARIABLES[-1], "values": [("2024U52", "2024U52", "2024U52")]}]
    with pytest.raises(UsageError, match="periods such as 2024U52 are not supported"):
        new_source(described("da", weeks), described("en", weeks), root)


def test_languages_must_agree(root: Path) -> None:
    other = [{**VARIABLES[0], "values": VARIABLES[0]["values"][:-1]}, *VARIABLES[1:]]
    with pytest.raises(UsageError, match="the two languages describe OMRÅDE differently"):
        new_source(described("da", other), described("en"), root)


@pytest.mark.parametrize(
    ("periods", "lag", "frequency"),
    [(["2024", "2025"], 83, "year"), (["2025K1"], 83, "quarter"), (["2025M02"], 52, "month")],
)
def test_lag_and_frequency_come_from_the_newest_period(
    root: Path, periods: list[str], lag: int, frequency: str
) -> None:
    variables = [*VARIABLES[:-1], {**VARIABLES[-1], "values": [(p, p, p) for p in periods]}]
    new_source(described("da", variables), described("en", variables), root)
    source = loaded(root).source("statbank_bolx9")
    assert (source.publication_lag_days, source.frequency) == (lag, frequency)


def test_slug_is_ascii() -> None:
    assert slug("Boligens art, ærø & 2. størrelse") == "boligens_art_aeroe_2"
    assert slug("—") == "dimension"


@pytest.mark.real
def test_a_real_table_becomes_a_source(root: Path, real_dir: Path) -> None:
    folder = real_dir / "statbank" / "api"
    english = parse_tableinfo((folder / "table_info_straf42.json").read_bytes())
    danish = parse_tableinfo((folder / "table_info_straf42_da.json").read_bytes())
    new_source(danish, english, root)
    source = loaded(root).source("statbank_straf42")
    assert [d.total for d in source.dimensions] == ["00", "TOT", "000", "TOT", "TOT", None]
    assert make_plan(source, english, None).query.cells == 30


@pytest.mark.real
def test_a_recorded_table_is_fetched_from_the_replica(root: Path, real_dir: Path, tmp_path: Path) -> None:
    raw = {
        lang: json.loads((real_dir / "statbank" / "api" / f"table_info_straf42{end}.json").read_text("utf-8"))
        for lang, end in (("en", ""), ("da", "_da"))
    }
    danish, english = (parse_tableinfo(json.dumps(raw[lang]).encode()) for lang in ("da", "en"))
    new_source(danish, english, root)
    catalogue = loaded(root)
    source = catalogue.source("statbank_straf42")
    texts = {(v["id"], value["id"]): value["text"] for v in raw["da"]["variables"] for value in v["values"]}
    variables = [
        Variable(
            v["id"], [(value["id"], texts[v["id"], value["id"]], value["text"]) for value in v["values"]],
            elimination=v["elimination"], time=v["time"],
        )
        for v in raw["en"]["variables"]
    ]  # fmt: skip
    table = Table("STRAF42", english.text, variables, lambda at: at["Tid"], updated=raw["en"]["updated"])
    replica, store = Replica({"STRAF42": table}), SnapshotStore(tmp_path / "snapshots")
    with serving(replica) as base, open_client(f"{base}/v1") as client:
        result = fetch_source(client, source, store, catalogue, FetchOptions())
        assert (result.status, result.message, result.trouble) == ("new", "30 rows", "")
        again = fetch_source(client, source, store, catalogue, FetchOptions())
    assert again.status == "unchanged"
    assert result.snapshot is not None
    rows = canonical_rows(source, result.snapshot, catalogue, tmp_path / "canonical")
    read = [line.rsplit(";", 2) for path in rows.paths for line in path.read_text("utf-8-sig").split()[1:]]
    assert sorted((period, figure) for _, period, figure in read) == [(str(y), str(y)) for y in range(1995, 2025)]

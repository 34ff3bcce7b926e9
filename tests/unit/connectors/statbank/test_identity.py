"""A table that fits is not yet that table: what shows a file to be one, and the look-alikes that must not be taken."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.connectors.statbank.files import Told, normalise, recognise, recognise_directory
from tests.unit.connectors.statbank.statbank_extracts import write
from transforms.areas import areas
from transforms.catalogue import LEFT_OUT, Source, load_catalogue
from transforms.errors import DataRefused

CATALOGUE = load_catalogue()
STATBANK = [source for source in CATALOGUE.sources.values() if source.connector == "statbank"]
PERIODS = {"year": ["2022", "2023"], "quarter": ["2022K1", "2023K1"], "month": ["2022M01", "2022M02"]}
PLACES = ("000", "101", "461", "840")


def selected(source: Source, name: str, most: int = 3) -> list[str]:
    """A few codes a source asks for in a dimension."""
    dimension = source.dimension(name)
    if dimension.role == "area":
        held = {code.code for code in CATALOGUE.codes(source, dimension)}
        return [place for place in PLACES if place in held]
    if dimension.role == "time":
        return PERIODS[str(source.frequency)]
    codes = [code for code in CATALOGUE.selected(source, dimension) if code != LEFT_OUT]
    return (codes or [code.code for code in CATALOGUE.codes(source, dimension) if code.code != LEFT_OUT])[:most]


def extract(source: Source, columns: list[str], *, start: int = 846, step: int = 37) -> str:
    """A CSV in the columns of a source, with figures that are nobody's inhabitants."""
    cells = product(*(selected(source, name) for name in columns))
    rows = [";".join([*cell, str(start + step * number)]) for number, cell in enumerate(cells)]
    return "\n".join([";".join([*(name.upper() for name in columns), "INDHOLD"]), *rows]) + "\n"


def shared_columns(source: Source, variables: set[str]) -> list[str] | None:
    """The dimensions of a source that a table with these variables has, when the others can be left out."""
    columns = [d.id for d in source.dimensions if d.text_en in variables]
    others = [d for d in source.dimensions if d.id not in columns]
    needed = any(d.role in ("area", "time", "selector") or d.total is None for d in others)
    return None if needed or len(columns) < 2 else columns


def frequency_of(latest: str) -> str:
    return "month" if "M" in latest else "quarter" if "Q" in latest else "year"


def lookalikes(real: Path) -> Iterator[tuple[str, Source, list[str]]]:
    """Every recorded table that shares its dimensions with a known one, when variables are left out."""
    tables = json.loads((real / "statbank" / "api" / "tables_en.json").read_text(encoding="utf-8"))
    for table, source in product(tables, STATBANK):
        if table["id"] == source.table or frequency_of(table["latestPeriod"]) != source.frequency:
            continue
        columns = shared_columns(source, set(table["variables"]))
        if columns is not None:
            yield table["id"], source, columns


def taken_for(path: Path) -> str | None:
    try:
        return recognise(path, CATALOGUE).source_id
    except DataRefused:
        return None


@pytest.mark.long
@pytest.mark.real
def test_no_recorded_table_is_taken_for_another(real_dir: Path, tmp_path: Path) -> None:
    seen: set[tuple[str, tuple[str, ...]]] = set()
    pairs = 0
    for table, source, columns in lookalikes(real_dir):
        pairs += 1
        for name in (table, table.lower(), "download"):
            if (key := (f"{name}{source.frequency}", tuple(columns))) in seen:
                continue
            seen.add(key)
            path = write(tmp_path / f"{name}.csv", extract(source, columns))
            found = taken_for(path)
            assert found in (None, f"statbank_{table.lower()}"), f"{name}.csv ({columns}) was taken for {found}"
    assert pairs > 116


@pytest.mark.parametrize("source", [s for s in STATBANK if s.lookalikes], ids=lambda s: s.table)
def test_a_known_lookalike_needs_the_users_word(source: Source, tmp_path: Path) -> None:
    columns = [d.id for d in source.dimensions if d.total != LEFT_OUT]
    text = extract(source, columns)
    for name in (source.lookalikes[0], "udtræk"):
        with pytest.raises(DataRefused, match=rf"--as '{name}\.csv={source.table}'"):
            recognise(write(tmp_path / f"{name}.csv", text), CATALOGUE)


def people(source: Source, share: float = 1.0) -> str:
    """An extract of inhabitants: every category at its total, a number each area can have."""
    rows = []
    for area, period in product(("000", "101", "840"), PERIODS[str(source.frequency)]):
        inhabitants = {"000": 5_900_000, "101": 640_000, "840": 30_000}[area]
        cells = [area if d.role == "area" else period if d.role == "time" else str(d.total) for d in source.dimensions]
        rows.append(";".join([*cells, str(int(inhabitants * share))]))
    return "\n".join([";".join([*(d.id.upper() for d in source.dimensions), "INDHOLD"]), *rows]) + "\n"


def test_inhabitants_are_told_by_their_number(tmp_path: Path) -> None:
    month = CATALOGUE.sources["statbank_folk1am"]
    taken = recognise(write(tmp_path / "a.csv", people(month)), CATALOGUE)
    assert (taken.source_id, taken.why) == ("statbank_folk1am", "its figures are the inhabitants of the areas")
    with pytest.raises(DataRefused, match="nothing shows which"):
        recognise(write(tmp_path / "b.csv", people(month, 0.02)), CATALOGUE)


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 3.0])
@pytest.mark.parametrize("table", ["FOLK1A", "FOLK1AM", "FOLK1E"])
def test_figures_that_are_no_inhabitants_are_refused_whatever_the_name(
    table: str, share: float, tmp_path: Path
) -> None:
    source = CATALOGUE.by_table(table)
    assert source is not None
    path = write(tmp_path / f"{table}.csv", people(source, share))
    with pytest.raises(DataRefused, match=rf"cannot be {table} "):
        recognise(path, CATALOGUE)
    with pytest.raises(DataRefused, match=rf"cannot be {table} "):
        recognise(path, CATALOGUE, told=Told(table))


def test_a_rate_that_lost_its_comma_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{area};TOT;TOT;2023K1;{35 + n}\n" for n, area in enumerate(("101", "147", "840")))
    path = write(tmp_path / "aulkp01.csv", "OMRÅDE;ALDER;KØN;TID;INDHOLD\n" + rows)
    with pytest.raises(DataRefused, match=r"3 of 3 figures are outside what AULKP01 can be \(from 0 to 25\), first 35"):
        recognise(path, CATALOGUE)


def test_what_shows_a_table(tmp_path: Path) -> None:
    """The user's word before the file's own, that before its name; a title counts when it names no other variable."""
    source = CATALOGUE.sources["statbank_hfudd11"]
    text = extract(source, [d.id for d in source.dimensions], start=330_000, step=0)
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("000", "461", "840"))) + "\n"
    title = "Educational attainment (15-69 years) by region, ancestry, highest education completed, age, sex and time"

    def why(name: str, content: str, told: Told | None = None) -> str:
        return recognise(write(tmp_path / name, content), CATALOGUE, told=told).why

    assert why("a.csv", text, Told("HFUDD11")) == "you say so"
    assert why("b.csv", f"HFUDD11: Uddannelse\n{text}") == "the file says so"
    assert why("HFUDD11 i alt.csv", text) == "its name says so"
    assert why("20231218103028495137612HFUDD1159838937121.csv", text) == "its name says so"
    assert why("c.csv", f'"{title}"\n{text}') == "its title says so"
    with pytest.raises(DataRefused, match="nothing shows which"):
        why("d.csv", f'"{title.replace("sex", "sex, occupation")}"\n{text}')
    with pytest.raises(DataRefused, match="its name says HFUDD21, but its columns are those of HFUDD11"):
        why("HFUDD21.csv", text)
    with pytest.raises(DataRefused, match="its name says FOLK1A, but its columns are those of HFUDD11"):
        why("folk1a.csv", text)
    with pytest.raises(DataRefused, match="the unit is per cent, and HFUDD11 is in persons"):
        why("HFUDD11 b.csv", f"HFUDD11: Uddannelse\nEnhed: Pct.\n{text}")


def test_figures_of_the_last_time_show_a_table(tmp_path: Path) -> None:
    source = CATALOGUE.sources["statbank_regk31"]
    text = extract(source, [d.id for d in source.dimensions])
    path = write(tmp_path / "regnskab.csv", text)
    with pytest.raises(DataRefused, match=r"other tables share them \(REGK100, BUDK100\), and nothing shows which"):
        recognise(path, CATALOGUE)
    last = dict(line.rpartition(";")[::2] for line in text.splitlines()[1:])
    taken = recognise(path, CATALOGUE, earlier=lambda source_id: last if source_id == "statbank_regk31" else {})
    assert (taken.source_id, taken.why) == ("statbank_regk31", "its figures are those of the last time")
    other = {key: str(float(value) * 2) for key, value in last.items()}
    with pytest.raises(DataRefused, match="nothing shows which"):
        recognise(path, CATALOGUE, earlier=lambda source_id: other)


def test_a_selection_no_indicator_is_made_of_is_named_with_what_to_choose(tmp_path: Path) -> None:
    text = "OMRÅDE;HERKOMST;ALDER;KØN;BEREGNING;TID;INDHOLD\n101;25;20-24;TOT;BFK;2022;61.5\n"
    with pytest.raises(DataRefused, match=r"a RAS200 with alder 20-24 år, .*; choose alder 16-64 år"):
        recognise(write(tmp_path / "ras200.csv", text), CATALOGUE)


def test_the_user_may_say_what_a_file_is(tmp_path: Path) -> None:
    month = CATALOGUE.sources["statbank_folk1am"]
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "AUF02.csv", people(month))
    [(_, refused)] = recognise_directory(folder, CATALOGUE).refused
    assert "its name says AUF02, but its columns are those of FOLK1AM" in refused
    found = recognise_directory(folder, CATALOGUE, told={"AUF02.csv": Told("FOLK1AM")})
    assert [recognised.source_id for _, recognised in found.accepted] == ["statbank_folk1am"]


NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyzæøå _-()", min_size=1, max_size=12).map(str.strip).filter(bool)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.sampled_from([s for s in STATBANK if s.lookalikes]),
    name=NAMES,
    data=st.data(),
    start=st.integers(1, 40_000),
)
def test_a_file_nothing_is_said_of_is_not_taken(
    tmp_path: Path, source: Source, name: str, data: st.DataObject, start: int
) -> None:
    """Whatever columns a file has and however it is called: without a sign it is not taken, also as another table."""
    free = [d.id for d in source.dimensions if d.role == "category" and d.total not in (None, LEFT_OUT)]
    gone = data.draw(st.sets(st.sampled_from(free), max_size=2)) if free else set()
    columns = [d.id for d in source.dimensions if d.id not in gone and d.total != LEFT_OUT]
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    path = write(folder / "file.csv", extract(source, columns, start=start, step=1))
    try:
        taken = recognise(path, CATALOGUE, name=f"{name}.csv")
    except DataRefused:
        return
    assert not CATALOGUE.sources[taken.source_id].lookalikes, f"taken for {taken.source_id}: {taken.why}"


def test_every_area_of_a_population_table_has_bounds() -> None:
    from transforms.areas import inhabitants

    levels = {"country", "region", "municipality", "christiansoe"}
    assert set(inhabitants()) == {code for code, area in areas().items() if area.level in levels}
    assert all(0 < low < high for low, high in inhabitants().values())


@pytest.mark.parametrize("language", ["en", "da", "codes"])
def test_a_rate_with_zeros_behind_it_is_read_by_the_language_of_its_texts(language: str, tmp_path: Path) -> None:
    """Three decimals where the table has one: 7.3 per cent, and never 7,300."""
    source = CATALOGUE.sources["statbank_aulkp01"]
    cells = {d.id: d.text_en if language == "en" else d.text_da for d in source.dimensions}
    texts: dict[str, str] = {}
    for dimension in source.dimensions:
        total = "000" if dimension.role == "area" else dimension.total or dimension.select[0]
        code = next((c for c in CATALOGUE.codes(source, dimension) if c.code == total), None)
        if dimension.role == "time":
            texts[dimension.id] = "2023K1" if language != "en" else "2023Q1"
        elif language == "codes" or code is None:
            texts[dimension.id] = str(total)
        else:
            texts[dimension.id] = code.text_en if language == "en" else code.text_da
    figure = "7.300" if language != "da" else "7,300"
    text = ";".join([*cells, "INDHOLD"]) + "\n" + ";".join([*texts.values(), figure]) + "\n"
    path = write(tmp_path / "AULKP01.csv", text)
    if language == "codes":
        with pytest.raises(DataRefused, match="neither another value nor the texts' language decides"):
            recognise(path, CATALOGUE)
        return
    assert recognise(path, CATALOGUE).source_id == source.id
    normalise(path, source, CATALOGUE, tmp_path / "out.csv", seen={})
    assert float((tmp_path / "out.csv").read_text().rstrip().rpartition(";")[2]) == 7.3


# What the files beside a file, and the totals within it, show.


def test_cells_of_another_file_of_the_folder_show_a_table(tmp_path: Path) -> None:
    source = CATALOGUE.sources["statbank_regk31"]
    text = extract(source, [d.id for d in source.dimensions])
    more = text.replace("2023;", "2021;")
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.csv", text + more.partition("\n")[2])
    assert "nothing shows which" in recognise_directory(folder, CATALOGUE).refused[0][1]
    write(folder / "REGK31.csv", text)
    found = {path.name: taken.why for path, taken in recognise_directory(folder, CATALOGUE).accepted}
    assert found == {"REGK31.csv": "its name says so", "a.csv": "its figures are those of another file of the folder"}
    write(folder / "b.csv", extract(source, [d.id for d in source.dimensions], start=9_000))
    assert [path.name for path, _ in recognise_directory(folder, CATALOGUE).refused] == ["b.csv"]


def whole_country(source: Source, figure: dict[str, float]) -> str:
    """The country and its 98 municipalities at the total of every category, figures by level."""
    rows = []
    for code, area in areas().items():
        if area.level not in figure:
            continue
        cells = [
            code if d.role == "area" else PERIODS[str(source.frequency)][0] if d.role == "time"
            else d.select[0] if d.role == "selector" else selected(source, d.id, 1)[0]
            for d in source.dimensions
        ]  # fmt: skip
        rows.append(";".join([*cells, f"{figure[area.level]:g}"]))
    return "\n".join([";".join([*(d.id.upper() for d in source.dimensions), "INDHOLD"]), *rows]) + "\n"


@pytest.mark.parametrize(
    ("table", "country", "municipality", "fits"),
    [
        ("AUK01", 98_000, 1_000, True), ("AUK01", 90_000, 1_000, True), ("AUK01", 1_000, 1_000, False),
        ("AUK01", 2_000, 1_500, False), ("ERHV2", 294_000, 3_000, True), ("ERHV2", 3_000, 3_000, False),
        ("INDKP101", 220_000, 215_000, True), ("INDKP101", 196_000, 2_000, False),
        ("AULKP01", 3.5, 3.6, True), ("AULKP01", 24.5, 0.25, False),
    ],
)  # fmt: skip
def test_numbers_add_up_to_the_countrys_and_means_do_not(
    table: str, country: float, municipality: float, fits: bool, tmp_path: Path
) -> None:
    """A number of persons is no rate, and a mean no number, whatever a file is called."""
    source = CATALOGUE.by_table(table)
    assert source is not None
    path = write(tmp_path / f"{table}.csv", whole_country(source, {"country": country, "municipality": municipality}))
    if fits:
        assert recognise(path, CATALOGUE).source_id == source.id
        return
    for told in (None, Told(table)):
        with pytest.raises(DataRefused, match="the municipalities' sum of"):
            recognise(path, CATALOGUE, told=told)


RATE = "OMRÅDE;ALDER;KØN;TID;INDHOLD\n"
NINE = ("101", "147", "155", "461", "621", "751", "787", "840", "851")


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        (["0.035", "0.021", "0.04"], "they are shares of one, and AULKP01 is in per cent"),
        (["1", "0,5"], "they are shares of one"),
        (["12", "2", "9", "4", "3", "8", "21", "5", "6"], "every figure is whole, and AULKP01 has 1 decimal"),
    ],
)
def test_shares_of_one_and_numbers_are_no_rates(figures: list[str], why: str, tmp_path: Path) -> None:
    lines = [f"{area};TOT;TOT;2023K1;{figure}\n" for area, figure in zip(NINE, figures, strict=False)]
    path = write(tmp_path / "aulkp01.csv", RATE + "".join(lines))
    for told in (None, Told("AULKP01")):
        with pytest.raises(DataRefused, match=why):
            recognise(path, CATALOGUE, told=told)


def test_letters_of_a_mac_and_years_of_pandas_are_read(tmp_path: Path) -> None:
    text = unicodedata.normalize("NFD", people(CATALOGUE.sources["statbank_folk1am"]))
    assert recognise(write(tmp_path / "a.csv", text), CATALOGUE).source_id == "statbank_folk1am"
    source = CATALOGUE.sources["statbank_hfudd11"]
    yearly = people(source, 0.7).replace(";2022;", ";2022.0;").replace(";2023;", ";2023.0;")
    assert recognise(write(tmp_path / "hfudd11.csv", yearly), CATALOGUE).periods == ("2022", "2023")

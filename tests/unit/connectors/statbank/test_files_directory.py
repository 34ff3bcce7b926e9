"""A folder of downloaded files: what can be read is read, the others are refused with the reason."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from flows.connectors.statbank.files import normalise, recognise, recognise_directory
from flows.connectors.statbank.forms import open_table
from flows.connectors.statbank.match import Content
from tests.unit.connectors.statbank.statbank_extracts import catalogue_in, folk1e_text, write
from transforms.catalogue import Catalogue, load_catalogue
from transforms.errors import DataRefused


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return catalogue_in(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load_catalogue()


def test_a_refused_file_does_not_stop_the_others(tmp_path: Path, catalogue: Catalogue) -> None:
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    write(folder / "b.csv", folk1e_text("da"))
    write(folder / "deeper" / "a.txt", folk1e_text("en", "Code"), gz=True)
    write(folder / "README.md", "# Read me\n")
    write(folder / "broken.csv", "")
    outside = write(tmp_path / "outside.csv", folk1e_text())
    (folder / "link.csv").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "dangling.csv").symlink_to(folder / "nowhere")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    os.mkfifo(folder / "pipe")
    latin = folder / os.fsdecode("nøgne.csv".encode("latin-1"))
    write(latin, "nothing")
    found = recognise_directory(folder, catalogue)
    assert [(path.name, recognised.source_id) for path, recognised in found.accepted] == [
        ("b.csv", "statbank_folk1e"),
        ("a.txt", "statbank_folk1e"),
    ]
    reasons = {path.name: reason for path, reason in found.refused}
    assert set(reasons) == {
        "README.md",
        "broken.csv",
        "link.csv",
        "linked",
        "dangling.csv",
        "pipe",
        "loop.csv",
        latin.name,
    }
    assert reasons["link.csv"].startswith("link.csv: a link that leads out of the folder; copy the file itself")
    assert reasons["linked"].startswith("linked: a link that leads out of the folder")
    assert reasons["pipe"] == "pipe: not a file that can be read; give a downloaded extract"
    assert reasons["loop.csv"] == "loop.csv: not a file that can be read; give a downloaded extract"
    assert found.names[latin] == r"n\xf8gne.csv"
    assert reasons["broken.csv"] == "broken.csv: the file is empty; download it again"


@pytest.mark.parametrize("figure", ["x", "nan", "inf", ""])
def test_a_figure_that_is_none_far_into_a_file_is_left_to_the_rule_on_rows(
    tmp_path: Path, shipped: Catalogue, figure: str
) -> None:
    cells = [f"101;TOT;{age};TOT;{year}K1;5" for year in range(2008, 2026) for age in range(100)]
    cells[900] = cells[900].removesuffix("5") + figure
    path = write(tmp_path / "folk1e.csv", "\n".join(["OMRÅDE;KØN;ALDER;HERKOMST;TID;INDHOLD", *cells, ""]))
    found = recognise_directory(tmp_path, shipped)
    assert ([taken.source_id for _, taken in found.accepted], found.refused) == (["statbank_folk1e"], [])
    seen = Content.of(path, len(cells), shipped.sources["statbank_folk1e"], {})
    assert (seen.rows, seen.figures, seen.largest) == (1800, 1799, 5)


def test_a_missing_folder_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(DataRefused, match="no such folder"):
        recognise_directory(tmp_path / "none", catalogue)


def last_raw_value(path: Path, area: str) -> tuple[str, str]:
    """The newest period and value of an area's first series, read with nothing of this project."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter=";", quoting=csv.QUOTE_NONE) if row[0] == area]
    newest = max(rows, key=lambda row: row[-2])
    return newest[-2], newest[-1]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "source_id", "key"),
    [
        ("folk1am_population_by_municipality.csv", "statbank_folk1am", "101;TOT;IALT"),
        ("indkp101_income_by_municipality.csv", "statbank_indkp101", "101;116;MOK;100"),
        ("hfudd11_tot.csv", "statbank_hfudd11", "101;TOT;TOT;TOT;TOT"),
        ("hfudd11_h70.csv", "statbank_hfudd11", "101;TOT;H70;TOT;TOT"),
    ],
)
def test_real_files_keep_their_figures(
    real_dir: Path, tmp_path: Path, shipped: Catalogue, name: str, source_id: str, key: str
) -> None:
    path = real_dir / "statbank" / "csv" / name
    recognised = recognise(path, shipped)
    assert (recognised.source_id, recognised.presentation, recognised.language) == (source_id, "text", "en")
    out = tmp_path / "out.csv"
    done = normalise(path, shipped.sources[source_id], shipped, out)
    assert done.rejects == []
    assert done.repeated == 0
    lines = out.read_text(encoding="utf-8").splitlines()
    assert done.rows_out == len(lines) - 1 == len(path.read_text(encoding="utf-8-sig").splitlines()) - 1
    period, value = last_raw_value(path, "Copenhagen")
    assert f"{key};{period};{value}" in lines


@pytest.mark.real
def test_the_real_folder(real_dir: Path, shipped: Catalogue) -> None:
    found = recognise_directory(real_dir / "statbank", shipped)
    accepted = {path.name: recognised.source_id for path, recognised in found.accepted}
    assert accepted == {
        "folk1am_population_by_municipality.csv": "statbank_folk1am",
        "hfudd11_h70.csv": "statbank_hfudd11",
        "hfudd11_tot.csv": "statbank_hfudd11",
        "indkp101_income_by_municipality.csv": "statbank_indkp101",
    }
    reasons = {path.name: reason for path, reason in found.refused}
    assert "table INDKP107, which has no source file" in reasons["INDKP107.xlsx"]
    assert "table ARE207, which has no source file" in reasons["areal.xlsx"]
    assert "table STRAF42, which has no source file" in reasons["data_straf42_json.json"]
    for wide in ("van1aar_syria.csv", "folk1b_syria_q1.csv"):
        assert "only area and time, so nothing in the file says which table it is" in reasons[wide]
    assert all(reason.isprintable() and "; " in reason for reason in reasons.values())


@pytest.mark.real
def test_real_jsonstat_and_workbooks_are_read_as_they_stand(real_dir: Path) -> None:
    table = open_table(real_dir / "statbank" / "api" / "data_straf42_json.json")
    assert (table.table_id, table.names) == ("STRAF42", ("HERKOMST1", "Tid"))
    (chunk,) = table.chunks()
    assert (list(chunk.columns), list(chunk.values)) == ([("00",), ("2023",)], ["233454"])
    workbook = open_table(real_dir / "statbank" / "xlsx" / "INDKP107.xlsx")
    (cells,) = workbook.chunks()
    last = len(cells.values) - 1
    assert workbook.names == (None, None, None, None, None, "TID")
    assert [column[last] for column in cells.columns][:1] == ["1 Disposable income (2+30-31-32-35)"]
    assert cells.columns[4][last] == "Aalborg"
    assert set(cells.columns[5]) == {str(year) for year in range(2004, 2018)}

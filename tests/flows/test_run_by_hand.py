"""Folders of files by hand, through the door a user takes: taken for what they are, or not at all."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st

from flows.cli.run import settings_with
from flows.connectors.statbank.client import canonical_rows
from flows.connectors.statbank.files import Told, read_assignments
from flows.run.fetch import fetch, snapshot_names
from flows.run.record import FetchReport
from flows.run.summary import folder_lines
from flows.settings import Settings
from flows.store.snapshots import SnapshotStore
from tests.fixtures.world import Published, hurry, run_from
from transforms import tables
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.errors import DataRefused, UsageError
from transforms.load import load_staging
from transforms.tables import ROOT as TRANSFORMS
from transforms.tables import read_sql_file
from transforms.warehouse import Warehouse

CATALOGUE = load_catalogue()
REAL = Path(os.environ.get("KOMMUNEKORT_REAL", Path(__file__).resolve().parents[3] / "shared" / "real"))
CASES = REAL.parent / "cases"
in_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside the real publisher files")
HEAD = "OMRÅDE;KØN;ALDER;CIVILSTAND;TID;INDHOLD\n"
ROWS = "København;I alt;Alder i alt;I alt;2022K1;644431\nRebild;I alt;Alder i alt;I alt;2022K1;30000\n"


def take(folder: Path, data: Path, **settings: object) -> FetchReport:
    return fetch(Settings(data=data, **settings), CATALOGUE, str(folder), [])  # type: ignore[arg-type]


def folder_of(target: Path, **files: str | bytes) -> Path:
    """Write files whose names are given with `__` for a slash and `_dot_` for a point."""
    for name, content in files.items():
        path = target / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return target


READ = ["base", "sep", "title", "foot", "pandas2", "zwsp", "utf16", "cp850", "mac", "dup", "cat"]
REFUSED = {
    "sb_xerr.xlsx": "an error of Excel stands where a figure was",
    "sb_table.px": "an incomplete PX file",
    "sb_pxweb.json": "PxWeb's own JSON",
}


@in_cases
@pytest.mark.parametrize("name", [*(f"sb_{name}.csv" for name in READ), "sb_xnote.xlsx", "sb.zip"])
def test_each_form_people_have_is_read(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(CASES / "statbank" / name, folder)
    report = take(folder, tmp_path / "data")
    assert report.new == ["statbank_folk1am"]
    [snapshot] = SnapshotStore(tmp_path / "data" / "snapshots").of("statbank_folk1am")
    rows = canonical_rows(CATALOGUE.sources["statbank_folk1am"], snapshot, CATALOGUE, tmp_path / "work")
    lines = rows.paths[0].read_text(encoding="utf-8-sig").splitlines()[1:]
    assert "840;TOT;IALT;2022M10;30000" in lines
    assert len(lines) == rows.rows
    assert rows.repeated == (name == "sb_dup.csv")
    assert not rows.rejected


@in_cases
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_named_for_what_it_is(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(CASES / "statbank" / name, folder)
    with pytest.raises(DataRefused, match=rf"none of 1 files could be read \({name}: .*{REFUSED[name]}"):
        take(folder, tmp_path / "data")


FOLDERS = {
    "danish_name_among_english": {"statbank_folk1a"},
    "footnotes_below": {"statbank_folk1a"},
    "sep_line": {"statbank_folk1a"},
    "matrix_csv": {"statbank_folk1a"},
    "two_selections_of_one_table": {"statbank_folk1a", "statbank_hfudd11"},
    "two_selections_in_one_file": {"statbank_folk1a", "statbank_hfudd11"},
    "small_areas_removed_by_hand": {"statbank_folk1a", "statbank_hfudd11"},
    "emigration_looks_like_immigration": {"statbank_folk1a", "statbank_folk1am"},
    "unemployed_look_like_population": {"statbank_folk1a", "statbank_indkp101"},
    "rate_lost_its_comma": {"statbank_folk1am"},
}


@in_cases
@pytest.mark.parametrize("name", FOLDERS)
def test_each_folder_is_taken_for_what_it_is(name: str, tmp_path: Path) -> None:
    report = take(CASES / "statbank_folders" / name, tmp_path / "data")
    assert set(report.new) == FOLDERS[name]
    for taken in report.taken:
        assert taken["why"]
    for reason in report.refused_files.values():
        assert reason.isprintable()
        assert "; " in reason


@in_cases
def test_two_files_pasted_together_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match=r"samlet\.csv: .*nothing shows which; say which table it is with --as"):
        take(CASES / "statbank_folders" / "two_files_pasted_together", tmp_path / "data")


@pytest.mark.long
@in_cases
@pytest.mark.parametrize(
    "name", ["two_selections_of_one_table", "two_selections_in_one_file", "small_areas_removed_by_hand"]
)
def test_absent_is_missing_and_never_zero(name: str, tmp_path: Path) -> None:
    published = Published(Settings(data=tmp_path / "data", threads=1), CASES / "statbank_folders" / name)
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        assert run_from(published.settings, published.origin).status == "published"
    assert published.rows("SELECT sum(rows_filled_count)::INTEGER FROM meta.snapshot") == [(0,)]
    masters = "FROM mart.indicator_value WHERE indicator_id = 'masters_degree_pct'"
    assert published.rows(f"SELECT count(*) {masters} AND value_status = 'zero'") == [(0,)]
    if name == "small_areas_removed_by_hand":
        small = f"SELECT count(*) {masters} AND municipality_code IN ('825', '741', '563', '492') AND value_status = "
        assert published.rows(f"{small} 'missing' AND value IS NULL") == [(13,)], "the rows that were removed"
        assert published.rows(f"{small} 'observed'") == [(4 * 5 - 13,)]
        return
    told = f"SELECT period, value_status {masters} AND municipality_code = '101' ORDER BY 1"
    assert published.rows(told) == [
        *((year, "missing") for year in ("2008", "2011", "2015", "2019")),
        ("2022", "observed"),
    ]


JOBINDSATS = {
    "j_dot.json": 5,
    "j_pct2.json": 5,
    "j_dup.csv": 5,
    "j_rar.json": 10,
    "j_ukendt.json": 10,
    "j_area.json": 15,
    "j_exp.xlsx": 4,
}


@in_cases
@pytest.mark.parametrize("name", JOBINDSATS)
def test_saved_answers_of_jobindsats_reach_their_source(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(CASES / "jobindsats" / name, folder)
    report = take(folder, tmp_path / "data")
    assert report.new == ["jobindsats_refugees"]
    assert [taken["rows"] for taken in report.taken] == [JOBINDSATS[name]]


PLAIN = [("Hele landet", "2022M10", "5900000"), ("København", "2022M10", "644431"), ("Rebild", "2022M10", "30000")]
HEADING = "OMRÅDE;KØN;ALDER;TID;INDHOLD"


def month_file(rows: list[tuple[str, str, str]] = PLAIN, heading: str = HEADING) -> str:
    """A FOLK1AM of a few areas, as the site's CSV."""
    return "\n".join([heading, *(f"{area};I alt;Alder i alt;{period};{figure}" for area, period, figure in rows), ""])


def workbook(lines: list[list[object]]) -> bytes:
    """A workbook of one sheet."""
    import openpyxl

    book = openpyxl.Workbook()
    for line in lines:
        book.worksheets[0].append(line)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def packed(**files: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_dot_", "."), content)
    return stream.getvalue()


TITLE = "Befolkningen den 1. i måneden efter område, køn, alder og tid\n\n"
FOOT = "\n* Foreløbige tal.\nKilde: Danmarks Statistik\n"
WIDE: list[list[object]] = [
    ["FOLK1AM: Befolkningen den 1. i måneden efter område, køn, alder og tid"], ["Enhed: Antal"],
    [None, None, None, "2022M10", "2022M11"], ["Hele landet", "I alt", "Alder i alt", 5900000, 5901000],
    ["Rebild", "I alt", "Alder i alt", 30000, 30010],
]  # fmt: skip
FORMS: dict[str, str | bytes] = {
    "plain.csv": month_file(),
    "sep.csv": f"sep=;\n{month_file()}",
    "title.csv": f"FOLK1AM: {TITLE}{month_file()}",
    "foot.csv": month_file() + FOOT,
    "invisible.csv": month_file().replace("Rebild", "\u200bRebild\u200b"),
    "utf16.csv": month_file().encode("utf-16"),
    "dos.csv": month_file().encode("cp850"),
    "mac.csv": month_file().encode("mac_roman"),
    "twice.csv": month_file([*PLAIN, PLAIN[2]]),
    "pasted.csv": month_file(PLAIN[:2]) + month_file(PLAIN[2:]),
    "packed.zip": packed(folk1am_dot_csv=month_file()),
    "note.xlsx": workbook([*WIDE, [], ["* Foreløbige tal."]]),
    "pipe.csv": month_file().replace(";", "|"),
    "blank column.csv": month_file().replace("\n", ";\n"),
    "named.csv": month_file(heading="Område;Køn;Alder;Tid;Antal"),
    "grouped.csv": month_file([(area, period, f"{int(figure):,}".replace(",", ".")) for area, period, figure in PLAIN]),
    "codes without zeros.csv": month_file([("0", *PLAIN[0][1:]), ("101", *PLAIN[1][1:]), ("840", *PLAIN[2][1:])]),
    "floats.csv": month_file([("0.0", *PLAIN[0][1:]), ("101.0", *PLAIN[1][1:]), ("840.0", "2022M10", "30000.0")]),
    "na.csv": month_file([*PLAIN, ("Skive", "2022M10", "NA"), ("Læsø", "2022M10", "nan")]),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_table_in_any_form_gives_the_same_figures(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    content = FORMS[name]
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    report = take(folder, tmp_path / "data")
    assert report.new == ["statbank_folk1am"]
    [snapshot] = SnapshotStore(tmp_path / "data" / "snapshots").of("statbank_folk1am")
    rows = canonical_rows(CATALOGUE.sources["statbank_folk1am"], snapshot, CATALOGUE, tmp_path / "work")
    lines = rows.paths[0].read_text(encoding="utf-8-sig").splitlines()[1:]
    assert {"000;TOT;IALT;2022M10;5900000", "840;TOT;IALT;2022M10;30000"} <= set(lines)
    assert (rows.repeated, list(rows.rejected)) == (int(name == "twice.csv"), [])
    if name == "na.csv":
        assert {"779;TOT;IALT;2022M10;", "825;TOT;IALT;2022M10;"} <= set(lines), "missing, and never 0"


NO_TABLES: dict[str, tuple[str | bytes, str]] = {
    "error.xlsx": (workbook([*WIDE[:4], ["Rebild", "I alt", "Alder i alt", "#N/A", 30010]]), "error of Excel"),
    "pxweb.json": ('{"columns": [], "data": []}', "PxWeb's own JSON"),
    "half.px": ('CHARSET="ANSI";\nSTUB="område";\nHEADING="tid";\nVALUES("område")="Rebild";\nDATA=\n1;\n', "tid"),
    "no heading.csv": (month_file(heading="Område;Køn;Alder;Tid;Folk"), "no column headed INDHOLD"),
    "cut.csv": (month_file()[:-3], "cut off inside a value"),
    "two tables.csv": (month_file() + "OMRÅDE;TID;INDHOLD\nRebild;2022M10;30000\n", "a second heading"),
}


@pytest.mark.parametrize("name", NO_TABLES)
def test_what_cannot_be_read_is_named_for_what_it_is(name: str, tmp_path: Path) -> None:
    content, why = NO_TABLES[name]
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataRefused, match=rf"none of 1 files could be read \({name}: .*{why}"):
        take(folder, tmp_path / "data")


PX = """CHARSET="ANSI";
CODEPAGE="Windows-1252";
MATRIX="FOLK1AM";
TITLE="Befolkningen den 1. i måneden efter område, køn, alder "
"og tid";
UNITS="Antal";
STUB="område","køn","alder";
HEADING="tid";
VALUES("område")="Hele landet","Rebild";
CODES("område")="000","840";
VALUES("køn")="I alt";
VALUES("alder")="Alder i alt";
VALUES("tid")="2022M10","2022M11";
DATA=
5900000 5901000
30000 "..";
"""
ROW_NAMES = """,OMRÅDE,KØN,ALDER,TID,INDHOLD
0,Hele landet,I alt,Alder i alt,2022M10,5900000
1,Rebild,I alt,Alder i alt,2022M10,30000
"""
R_NAMES = """"OMRÅDE";"KØN";"ALDER";"TID";"INDHOLD"
"1";"Hele landet";"I alt";"Alder i alt";"2022M10";5900000
"2";"Rebild";"I alt";"Alder i alt";"2022M10";30000
"""


@pytest.mark.parametrize(
    ("name", "content", "cells"),
    [("a.px", PX.encode("cp1252"), 4), ("a.csv", ROW_NAMES.encode(), 2), ("b.csv", R_NAMES.encode("utf-16"), 2)],
)
def test_px_and_row_names_are_read(name: str, content: bytes, cells: int, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(content)
    report = take(folder, tmp_path / "data")
    [snapshot] = SnapshotStore(tmp_path / "data" / "snapshots").of("statbank_folk1am")
    rows = canonical_rows(CATALOGUE.sources["statbank_folk1am"], snapshot, CATALOGUE, tmp_path / "work")
    lines = rows.paths[0].read_text(encoding="utf-8").splitlines()
    assert "840;TOT;IALT;2022M10;30000" in lines
    assert len(lines) - 1 == cells == report.taken[0]["rows"]


def test_one_bad_file_blocks_no_other_and_both_places_of_a_contradiction_are_named(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path / "in",
        folk1a_dot_csv=HEAD + ROWS,
        folk1a_2_dot_csv=HEAD + ROWS.replace("30000", "30001"),
        folk1am_dot_csv="OMRÅDE;KØN;ALDER;TID;INDHOLD\nRebild;I alt;Alder i alt;2022M01;30000\n",
        x_dot_csv="<html>",
    )
    report = take(folder, tmp_path / "data")
    assert report.new == ["statbank_folk1am"]
    assert "statbank_folk1a" in report.missing
    told = "840 TOT IALT TOT 2022K1 is 30001 here and 30000 in folk1a.csv row 3; keep the file that is right"
    both = {
        name
        for name, reason in report.refused_files.items()
        if told in reason or told.replace("01 h", "00 h") in reason
    }
    swapped = "is 30000 here and 30001 in folk1a_2.csv row 3"
    both |= {name for name, reason in report.refused_files.items() if swapped in reason}
    assert both == {"folk1a.csv", "folk1a_2.csv"}


def test_overlaps_copies_names_that_collide_and_downloads_that_have_not_ended(tmp_path: Path) -> None:
    more = HEAD + ROWS + "Skive;I alt;Alder i alt;I alt;2022K1;44000\n"
    folder = folder_of(
        tmp_path / "in",
        a__folk1a_dot_csv=HEAD + ROWS,
        **{"folk1a (1)_dot_csv": HEAD + ROWS, "folk1a_dot_csv_dot_crdownload": HEAD},
    )
    (folder / "a__folk1a.csv").write_text(more, encoding="utf-8")
    report = take(folder, tmp_path / "data")
    assert report.new == ["statbank_folk1a"]
    assert len(report.taken) == 2
    assert any("a copy of" in reason for reason in report.refused_files.values())
    assert "a download that has not ended" in report.refused_files["folk1a.csv.crdownload"]
    [snapshot] = SnapshotStore(tmp_path / "data" / "snapshots").of("statbank_folk1a")
    rows = canonical_rows(CATALOGUE.sources["statbank_folk1a"], snapshot, CATALOGUE, tmp_path / "work")
    assert (rows.rows, rows.repeated) == (3, 2)
    assert snapshot_names(["a/x.csv", "a__x.csv", "A/X.CSV", "b"]) == ["a__x.csv", "a__x-2.csv", "A__X-3.CSV", "b"]


def test_a_later_partial_file_tells_what_is_gone(tmp_path: Path) -> None:
    whole = HEAD + ROWS + ROWS.replace("2022K1", "2023K1")
    take(folder_of(tmp_path / "a", folk1a_dot_csv=whole), tmp_path / "data")
    report = take(folder_of(tmp_path / "b", folk1a_dot_csv=HEAD + ROWS.splitlines()[0] + "\n"), tmp_path / "data")
    [warning] = report.warnings
    assert "these files lack 1 of 2 periods (2023K1 to 2023K1) and 1 areas that were there before" in warning
    again = take(
        folder_of(tmp_path / "c", folk1am_dot_csv="OMRÅDE;KØN;ALDER;TID;INDHOLD\n840;TOT;IALT;2022M01;30000\n"),
        tmp_path / "data",
    )
    assert again.earlier == ["statbank_folk1a"], "what came from an earlier folder is not missing"
    assert "statbank_folk1a" not in again.missing


def test_assumptions_are_told_and_kept(tmp_path: Path) -> None:
    text = "OMRÅDE;KØN;ALDER;TID;INDHOLD\n101;TOT;IALT;2022K1;644431\n"
    report = take(folder_of(tmp_path / "in", folk1a_dot_csv=text), tmp_path / "data")
    [line] = folder_lines(report, {})
    assert "ASSUMED CIVILSTAND = TOT" in line
    assert "its name says so" in line
    [snapshot] = SnapshotStore(tmp_path / "data" / "snapshots").of("statbank_folk1a")
    assert snapshot.manifest.query["assumed"] == {"folk1a.csv": {"CIVILSTAND": "TOT"}}


def test_the_users_word_comes_by_option_or_file(tmp_path: Path) -> None:
    text = "OMRÅDE;KØN;ALDER;TID;INDHOLD\n101;TOT;IALT;2022M01;644431\n"
    folder = folder_of(tmp_path / "in", AUF02_dot_csv=text)
    with pytest.raises(DataRefused, match="its name says AUF02, but its columns are those of FOLK1AM"):
        take(folder, tmp_path / "data")
    report = take(folder, tmp_path / "data", files_as=("AUF02.csv=FOLK1AM",))
    assert [(taken["table"], taken["why"]) for taken in report.taken] == [("FOLK1AM", "you say so")]
    (folder / "kommunekort.yml").write_text("files:\n  AUF02.csv: FOLK1AM\n", encoding="utf-8")
    assert take(folder, tmp_path / "data2").new == ["statbank_folk1am"]
    for wrong in ("nothere.csv=FOLK1AM", "AUF02.csv=FOLK9", "AUF02.csv"):
        with pytest.raises(UsageError, match="--as "):
            take(folder, tmp_path / "data", files_as=(wrong,))
    (folder / "kommunekort.yml").write_text("filer:\n  AUF02.csv: FOLK1AM\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"kommunekort\.yml:1: holds `files:`"):
        take(folder, tmp_path / "data3")


def test_the_users_word_reaches_the_process_of_a_run_under_prefect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMMUNEKORT_FILES_AS", "[]")
    assert settings_with(tmp_path, "sample", None).files_as == ()
    assert settings_with(tmp_path, str(tmp_path), ["a=b.csv=FOLK1AM", "x.csv=FOLK1A"]).files_as
    told = Settings(data=tmp_path).files_as
    assert told == ("a=b.csv=FOLK1AM", "x.csv=FOLK1A"), "read from the environment, as a child does"
    assert read_assignments(tmp_path, told) == {"a=b.csv": Told("FOLK1AM"), "x.csv": Told("FOLK1A")}


def test_an_empty_folder_and_one_of_rubbish_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataRefused, match="the folder is empty; put the downloaded files into it"):
        take(empty, tmp_path / "data")
    rubbish = folder_of(tmp_path / "in", a_dot_md="# Read me\n", b_dot_md="Hello\n")
    with pytest.raises(DataRefused, match=r"none of 2 files could be read \(a\.md, b\.md: no value column INDHOLD"):
        take(rubbish, tmp_path / "data")


def statuses(folder: Path, data: Path, source_id: str) -> Iterator[tuple[str, ...]]:
    """Yield the cells that stand as zero in staging after a folder was taken in."""
    take(folder, data)
    source = CATALOGUE.sources[source_id]
    snapshot = SnapshotStore(data / "snapshots").of(source_id)[-1]
    rows = canonical_rows(source, snapshot, CATALOGUE, data / "work")
    keys = ", ".join(dimension.column for dimension in source.dimensions)
    with Warehouse.open() as warehouse:
        tables.prepare(warehouse)
        tables.build_table(warehouse, read_sql_file(TRANSFORMS / "quarantine" / "row.sql"), load_dictionary())
        file = read_sql_file(TRANSFORMS / "staging" / f"{source_id}.sql")
        load_staging(warehouse, file, rows, load_dictionary())
        yield from warehouse.rows(f"SELECT {keys} FROM {file.table} WHERE value_status = 'zero'")


CELLS = list(product(("101", "840", "825"), ("TOT", "H10", "H70"), ("2021", "2022")))
Chosen = dict[tuple[str, str, str], int]


def hfudd(cells: Chosen) -> str:
    lines = [f"{area};TOT;{code};TOT;TOT;{year};{value}" for (area, code, year), value in cells.items()]
    return "\n".join(["BOPOMR;HERKOMST;HFUDD;ALDER;KØN;TID;INDHOLD", *lines, ""])


def figure(area: str, code: str) -> int:
    return {"101": 430_000, "840": 20_000, "825": 1_200}[area] // (1 if code == "TOT" else 10)


@pytest.mark.long
@tried(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_zero_appears_that_the_publisher_did_not_state_or_leave_out(tmp_path: Path, data: st.DataObject) -> None:
    """Any rows taken out of any files: zeros are those written, and those left out of a file known as BULK."""
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    chosen: list[Chosen] = []
    for number in range(data.draw(st.integers(1, 2))):
        cells = data.draw(st.lists(st.sampled_from(CELLS), min_size=1, unique=True), label=f"file {number}")
        chosen.append({cell: figure(cell[0], cell[1]) for cell in cells})
    zeros = data.draw(st.sets(st.sampled_from([c for c in CELLS if c[1] == "H70"]), max_size=2))
    written = [{cell: 0 if cell in zeros else value for cell, value in cells.items()} for cells in chosen]
    bulk = data.draw(st.booleans())
    for number, cells in enumerate(written):
        text = hfudd(cells)
        path = root / "in" / f"hfudd11 {number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if bulk:
        (root / "in" / "kommunekort.yml").write_text(
            "files:\n  hfudd11 0.csv: {table: HFUDD11, form: bulk}\n", encoding="utf-8"
        )
    allowed = {cell for cells in written for cell, value in cells.items() if value == 0}
    first = written[0]
    if bulk and 0 not in first.values():
        spans: list[Callable[[tuple[str, str, str]], str]] = [lambda c: c[0], lambda c: c[1], lambda c: c[2]]
        allowed |= set(product(*({span(cell) for cell in first} for span in spans)))
    try:
        found = {(row[0], row[2], row[5]) for row in statuses(root / "in", root / "data", "statbank_hfudd11")}
    except DataRefused:
        return
    assert found <= allowed
    taken = [cells for cells in written if any(cells.values())]  # one of noughts alone is refused by its name
    assert {cell for cells in taken for cell, value in cells.items() if value == 0} <= found

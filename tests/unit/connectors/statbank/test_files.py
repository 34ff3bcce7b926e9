"""Every form of one small table becomes the same canonical CSV, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from flows.connectors.statbank.files import canonical_scan, normalise, recognise
from flows.connectors.statbank.forms import FileShape, open_table
from tests.unit.connectors.statbank.statbank_extracts import (
    FOLK1E_AXES,
    FOLK1E_IDS,
    canonical_folk1e,
    catalogue_in,
    folk1e_cells,
    folk1e_text,
    shown,
    write,
)
from transforms.catalogue import Catalogue
from transforms.errors import DataRefused

PRESENTATIONS = {"Code": "code", "Value": "text", "CodeAndValue": "both", "ValueAndCode": "both"}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return catalogue_in(tmp_path_factory.mktemp("sources"))


def canonical_bytes(path: Path, catalogue: Catalogue, source_id: str = "statbank_folk1e") -> bytes:
    """What a scan of the normalised file reads: BOM and CR are not data."""
    out = path.with_name("canonical.csv")
    done = normalise(path, catalogue.sources[source_id], catalogue, out)
    assert done.rows_in == done.rows_out
    assert done.rejects == []
    assert out.exists() is not done.canonical
    content = path.read_bytes() if done.canonical else out.read_bytes()
    if not done.canonical:
        assert b"\r" not in content
        assert not content.startswith(b"\xef\xbb\xbf")
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("encoding", "bom"), [("utf-8", False), ("utf-8", True), ("cp1252", False)])
@pytest.mark.parametrize("presentation", PRESENTATIONS)
@pytest.mark.parametrize("language", ["da", "en"])
def test_every_csv_form_becomes_the_same_bytes(
    tmp_path: Path,
    catalogue: Catalogue,
    language: str,
    presentation: str,
    encoding: str,
    bom: bool,
    newline: str,
    gz: bool,
) -> None:
    text = folk1e_text(language, presentation, newline=newline)
    path = write(tmp_path / "anything.bin", text, encoding=encoding, bom=bom, gz=gz)
    recognised = recognise(path, catalogue)
    assert recognised.source_id == "statbank_folk1e"
    assert recognised.presentation == PRESENTATIONS[presentation]
    assert recognised.language == ("" if presentation == "Code" else language)
    assert canonical_bytes(path, catalogue) == canonical_folk1e()


@pytest.mark.parametrize(("delimiter", "quote"), [(";", '"'), ("\t", ""), ("\t", '"'), (",", '"')])
@pytest.mark.parametrize("language", ["da", "en"])
def test_delimiters_and_quotes(tmp_path: Path, catalogue: Catalogue, delimiter: str, quote: str, language: str) -> None:
    path = write(tmp_path / "f.csv", folk1e_text(language, "Value", delimiter, quote=quote))
    assert open_table(path).shape.delimiter == delimiter
    assert recognise(path, catalogue).source_id == "statbank_folk1e"
    assert canonical_bytes(path, catalogue) == canonical_folk1e()


def test_a_table_tells_the_whole_shape(tmp_path: Path) -> None:
    path = write(tmp_path / "f", folk1e_text("en"), bom=True, gz=True)
    header = (*FOLK1E_IDS, "INDHOLD")
    assert open_table(path).shape == FileShape("csv", True, "utf-8", ";", "long", header)
    assert (
        open_table(write(tmp_path / "g", folk1e_text("da", newline="\n"), encoding="cp1252")).shape.encoding == "cp1252"
    )


@pytest.mark.parametrize(
    "labels", [["område", "køn", "alder", "herkomst", "tid"], ["REGION", "Sex", "age", "ancestry", "time"]]
)
def test_headings_may_be_labels_and_columns_in_any_order(
    tmp_path: Path, catalogue: Catalogue, labels: list[str]
) -> None:
    lines = [";".join([*reversed(labels), "Indhold"])]
    lines += [";".join([*(part[2] for part in reversed(cell)), value]) for cell, value in folk1e_cells()]
    path = write(tmp_path / "f.csv", "\n".join(lines) + "\n")
    assert recognise(path, catalogue).source_id == "statbank_folk1e"
    assert canonical_bytes(path, catalogue) == canonical_folk1e()


def sheet_rows(language: str, presentation: str = "Value") -> list[list[Any]]:
    """The table as statistikbanken.dk lays it out: title, unit, periods in row 3, a stub written once per group."""
    quarters = FOLK1E_AXES[-1]
    titles = {"da": ("Folketal efter område", "Enhed: Antal"), "en": ("Population by region", "Units: Number")}
    rows: list[list[Any]] = [[title] for title in titles[language]]
    rows.append([None] * 4 + [shown(quarter, language, "Value") for quarter in quarters])
    cells = folk1e_cells()
    above: list[str] = [""] * 4
    for start in range(0, len(cells), len(quarters)):
        stub = [shown(part, language, presentation) for part in cells[start][0][:-1]]
        changed = next(i for i, (new, old) in enumerate(zip(stub, above, strict=True)) if new != old)
        values = [value for _, value in cells[start : start + len(quarters)]]
        figures = [int(value) if value.isdigit() else value for value in values]
        rows.append([*([None] * changed), *stub[changed:], *figures])
        above = stub
    footnote = {"da": "Der er databrud mellem 2015 og 2016.", "en": "There is a databreak between 2015 and 2016."}
    return [*rows, [], [footnote[language]]]


def save_sheet(path: Path, rows: list[list[Any]], name: str = "FOLK1E") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = name
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("sheet_name", ["FOLK1E", "Ark1"])
@pytest.mark.parametrize("presentation", ["Value", "CodeAndValue"])
@pytest.mark.parametrize("language", ["da", "en"])
def test_workbooks(tmp_path: Path, catalogue: Catalogue, language: str, presentation: str, sheet_name: str) -> None:
    path = save_sheet(tmp_path / "f.xlsx", sheet_rows(language, presentation), sheet_name)
    recognised = recognise(path, catalogue)
    assert (recognised.source_id, recognised.language) == ("statbank_folk1e", language)
    assert canonical_bytes(path, catalogue) == canonical_folk1e()


def test_wide_csv_that_one_table_fits(tmp_path: Path, catalogue: Catalogue) -> None:
    lines = [
        ",".join(f'"{cell}"' if isinstance(cell, str) else "" if cell is None else str(cell) for cell in row)
        for row in sheet_rows("en")
    ]
    path = write(tmp_path / "f.csv", "\n".join(lines) + "\n")
    assert open_table(path).shape.layout == "wide"
    assert recognise(path, catalogue).source_id == "statbank_folk1e"
    assert canonical_bytes(path, catalogue) == canonical_folk1e()


def test_a_variable_in_the_head_beside_the_periods(tmp_path: Path, catalogue: Catalogue) -> None:
    rows: list[list[Any]] = [
        ["Title"],
        ["Units: Number"],
        [None, None, "Men", None, "Women", None],
        [None, None, "2024Q1", "2024Q2", "2024Q1", "2024Q2"],
        ["Copenhagen", "18 years", 1, 2, 3, 4],
    ]
    path = save_sheet(tmp_path / "f.xlsx", rows)
    out = tmp_path / "out.csv"
    normalise(path, catalogue.sources["statbank_folk1e"], catalogue, out)
    expected = ["101;1;18;TOT;2024K1;1", "101;1;18;TOT;2024K2;2", "101;2;18;TOT;2024K1;3", "101;2;18;TOT;2024K2;4"]
    assert out.read_text().splitlines()[1:] == expected


def jsonstat(version: int) -> dict[str, Any]:
    ids = ["OMRÅDE", "KØN", "ALDER", "HERKOMST", "ContentsCode", "Tid"]
    axes = [*FOLK1E_AXES[:-1], [("FOLK1E", "Folketal", "Population")], FOLK1E_AXES[-1]]
    dimension: dict[str, Any] = {
        name: {
            "label": name,
            "category": {
                "index": {cell[0]: i for i, cell in enumerate(axis)},
                "label": {cell[0]: cell[2] for cell in axis},
            },
        }
        for name, axis in zip(ids, axes, strict=True)
    }
    values = [value for _, value in folk1e_cells()]
    numbers = [int(value) if value.isdigit() else None for value in values]
    status = {str(i): value for i, value in enumerate(values) if not value.isdigit() and value != ".."}
    place = {"id": ids, "size": [len(axis) for axis in axes]}
    if version == 1:
        return {"dataset": {"dimension": {**dimension, **place}, "value": numbers, "status": status}}
    sparse = {str(i): number for i, number in enumerate(numbers) if number is not None}
    return {"version": "2.0", "class": "dataset", "dimension": dimension, **place, "value": sparse, "status": status}


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("version", [1, 2])
def test_jsonstat(tmp_path: Path, catalogue: Catalogue, version: int, gz: bool) -> None:
    path = write(tmp_path / "f", json.dumps(jsonstat(version), ensure_ascii=False), gz=gz)
    recognised = recognise(path, catalogue)
    assert (recognised.source_id, recognised.presentation) == ("statbank_folk1e", "code")
    assert canonical_bytes(path, catalogue) == canonical_folk1e()


def test_eliminated_dimensions_are_filled_with_their_total(tmp_path: Path, catalogue: Catalogue) -> None:
    text = "OMRÅDE;HERKOMST;TID;INDHOLD\nCopenhagen;Immigrants from western countries;2024Q1;7\n"
    path = write(tmp_path / "folk1e.csv", text)
    recognised = recognise(path, catalogue)
    assert recognised.filled == (("KØN", "TOT"), ("ALDER", "IALT"))
    out = tmp_path / "out.csv"
    normalise(path, catalogue.sources["statbank_folk1e"], catalogue, out)
    assert out.read_text().splitlines()[1] == "101;TOT;IALT;24;2024K1;7"


def test_a_selector_without_column_is_taken_from_the_title_or_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    body: list[list[Any]] = [["", "", "2022", "2023"], ["Copenhagen", "Immigrants", 61.5, 63.25]]
    said = save_sheet(tmp_path / "a.xlsx", [["Employment rate by region"], ["Units: Per cent"], *body], "RAS200")
    out = tmp_path / "out.csv"
    normalise(said, catalogue.sources["statbank_ras200"], catalogue, out)
    assert out.read_text().splitlines()[1:] == ["101;20;MOK;BFK;2022;61.5", "101;20;MOK;BFK;2023;63.25"]
    unsaid = save_sheet(tmp_path / "b.xlsx", [["Rates by region"], ["Units: Per cent"], *body], "RAS200")
    with pytest.raises(
        DataRefused, match=r"b\.xlsx: column BEREGNING of RAS200 is missing and nothing in the file says"
    ):
        normalise(unsaid, catalogue.sources["statbank_ras200"], catalogue, out)


def test_tables_with_the_same_columns_are_told_by_their_periods_and_codes(tmp_path: Path, catalogue: Catalogue) -> None:
    month = write(tmp_path / "a.csv", "OMRÅDE;KØN;ALDER;TID;INDHOLD\n101;TOT;IALT;2024M01;7\n")
    quarter = write(tmp_path / "b folk1e.csv", "OMRÅDE;KØN;ALDER;TID;INDHOLD\n101;TOT;IALT;2024K1;7\n")
    assert recognise(month, catalogue).source_id == "statbank_folk1am"
    recognised = recognise(quarter, catalogue)
    assert (recognised.source_id, recognised.filled) == ("statbank_folk1e", (("HERKOMST", "TOT"),))


CANONICAL = canonical_folk1e()


@pytest.mark.parametrize(
    ("change", "canonical"),
    [
        (lambda b: b, True),
        (lambda b: b"\xef\xbb\xbf" + b.replace(b"\n", b"\r\n"), True),
        (lambda b: b.replace("OMRÅDE".encode(), "område".encode()), False),
        (lambda b: b.replace(b";1000\n", b";1.000\n"), False),
        (lambda b: b.replace(b";1000\n", b";1000,0\n"), False),
        (lambda b: b.replace(b";1000\n", b';"1000"\n'), False),
        (lambda b: b.replace(b"\n101;", "\nKøbenhavn;".encode(), 1), False),
        (lambda b: b + b"\n", False),
        (lambda b: b.replace(b"\n", b"\r\n") + b"\r\n", False),
        (lambda b: b.replace(b"\n101;", b"\n\n101;", 1), False),
        (lambda b: b.replace(b"\n", b"\r\n").replace(b"\r\n101;", b"\r\n\r\n101;", 1), False),
        (lambda b: b.replace(b"\n101;", b"\r101;", 1), False),
        (lambda b: b.replace(b";1000\n", b";10\r00\n", 1), False),
        (lambda b: b.replace(b"\n", b"\r\n").replace(b";1000\r\n", b";1.000\r\n"), False),
        (lambda b: b.removesuffix(b"\n"), False),
        (lambda b: b.replace(b"2024K1", b"2024Q1"), False),
        (lambda b: b.replace(b"\n101;", b"\n9999;"), False),
        (lambda b: b.split(b"\n")[0] + b"\n", False),
    ],
)
def test_what_can_be_scanned_in_place(tmp_path: Path, catalogue: Catalogue, change: Any, canonical: bool) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(change(CANONICAL))
    assert (canonical_scan(path, catalogue.sources["statbank_folk1e"], catalogue) is not None) is canonical


def test_the_middle_of_a_large_file_is_looked_at_too(tmp_path: Path, catalogue: Catalogue) -> None:
    row = b"101;TOT;IALT;TOT;2024K1;5\n"
    header = CANONICAL.split(b"\n")[0] + b"\n"
    source = catalogue.sources["statbank_folk1e"]
    path = tmp_path / "f.csv"
    path.write_bytes(header + row * 30_000)
    assert canonical_scan(path, source, catalogue) is not None
    for odd in (b"101;TOT;Alder i alt;TOT;2024K1;5\n", b"101;TOT;IALT;TOT;2024K1;1.229\n", b"\n"):
        path.write_bytes(header + row * 15_000 + odd + row * 15_000)
        assert canonical_scan(path, source, catalogue) is None

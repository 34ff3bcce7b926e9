"""Every fault of an extract ends in its own sentence: file, row, value, rule, next step; never in a traceback."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.connectors.statbank.files import normalise, recognise
from flows.connectors.statbank.forms import open_table
from tests.unit.connectors.statbank.statbank_extracts import canonical_folk1e, catalogue_in, folk1e_text, write
from transforms.catalogue import Catalogue
from transforms.errors import DataRefused

HEADER = "OMRÅDE;KØN;ALDER;HERKOMST;TID;INDHOLD\n"
GOOD = "Copenhagen;Total;Age, total;Total;2024Q1;5\n"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return catalogue_in(tmp_path_factory.mktemp("sources"))


def workbook(rows: list[list[object]], name: str = "FOLK1E") -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = name
    for row in rows:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def archive(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(member, content)
    return buffer.getvalue()


def dataset(**change: object) -> bytes:
    axis = {"category": {"index": {"101": 0, "147": 1}}}
    whole = {"id": ["OMRÅDE"], "size": [2], "dimension": {"OMRÅDE": axis}, "value": [1, 2]}
    return json.dumps({**whole, **change}).encode()


FAULTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "f.csv: the file is empty; download it again"),
    "blank": (b"\r\n  \r\n", "f.csv: the file is empty; download it again"),
    "web page": (b"<!DOCTYPE html><html>Siden kan ikke findes</html>", "f.csv: the file is a web page, not data"),
    "error answer": (
        b'{"errorTypeCode":"EXTRACT-NOTFOUND","message":"Tabel findes ikke: X\\r\\n"}',
        "f.csv: an error answer instead of data (EXTRACT-NOTFOUND: Tabel findes ikke: X ); correct the query",
    ),
    "other json": (b'[{"id": "2401"}]', "f.csv: JSON, but no JSON-stat dataset; ask for the table as CSV"),
    "cut json": (b'{"dataset": {"dim', "f.csv: the JSON is cut off or damaged"),
    "latin json": ('{"dataset": "Ø"}'.encode("cp1252"), "f.csv: the JSON is not UTF-8"),
    "json sizes": (dataset(size=[3]), "f.csv: 2 values and sizes [3] do not fit the categories"),
    "json without category": (dataset(dimension={"OMRÅDE": {}}), "f.csv: the JSON-stat dataset is incomplete"),
    "json huge size": (dataset(size=[10**12]), "f.csv: the JSON-stat dataset is incomplete"),
    "json measures": (
        dataset(id=["ContentsCode"], dimension={"ContentsCode": {"category": {"index": ["a", "b"]}}}),
        "f.csv: several measures in one dataset; ask for one measure at a time",
    ),
    "json table": (
        dataset(extension={"px": {"tableid": "FOLK1F"}}),
        "f.csv: the file says it is table FOLK1F, which has no source file, the nearest known: FOLK1",
    ),
    "image": (b"\x89PNG\r\n\x1a\n\x00", "f.csv: the file is an image; download the table as CSV"),
    "pdf": (b"%PDF-1.7\n", "f.csv: the file is a PDF; download the table as CSV"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1", "f.csv: the file is an old .xls or a password-protected workbook; save"),
    "cut utf-16": ((HEADER + GOOD).encode("utf-16")[:-1], "f.csv: the UTF-16 is cut off or damaged; save it as CSV"),
    "web page as a workbook": (b"<html><table><tr><td>1", "f.csv: the file is a web page, not data; download"),
    "boundaries": (b'{"type": "FeatureCollection", "features": []}', "f.csv: a boundary file, which the report reads"),
    "pxweb": (
        b'{"columns": [], "data": []}',
        "f.csv: PxWeb's own JSON, which names no table; ask for the table as CSV",
    ),
    "two tables in one file": (
        (HEADER + GOOD + HEADER.replace("HERKOMST;", "") + "Copenhagen;Total;Age, total;2024Q1;5\n").encode(),
        "f.csv: row 3: 'OMRÅDE;KØN;ALDER;TID;INDHOLD': a second heading: two tables stand in one file; save each",
    ),
    "text between the rows": (
        (HEADER + GOOD + "Source: Statistics Denmark\n" + GOOD).encode(),
        "f.csv: row 3: 'Source: Statistics Denmark': text between the rows, as where files were pasted together",
    ),
    "binary": (b"abc\x00\x01;def\n", "f.csv: the file is binary"),
    "prose": (b"# README\nSome text, with a comma\n", "f.csv: row 1: '# README': no value column INDHOLD and no row"),
    "old mac": (b"OMR;TID;INDHOLD\r101;2024;5\r", "f.csv: its lines end with CR alone; save it as CSV UTF-8 again"),
    "unknown byte": (
        b"OMR\xccDE;K\xdbN;ALDER;HERKOMST;TID;INDHOLD\n",
        "f.csv: byte 0xcc is a Danish letter neither in UTF-8 nor in the code pages of Windows, DOS and Mac; save it",
    ),
    "mojibake": (
        (HEADER + GOOD).encode().decode("cp1252").encode(),
        "f.csv: row 1: 'OMRÃ…DE;KÃ˜N;ALDE': letters were garbled by an earlier conversion",
    ),
    "mojibake below": (
        (HEADER + GOOD + "KÃ¸benhavn;Total;Age, total;Total;2024Q1;5\n").encode(),
        "f.csv: row 3: 'l;2024Q1;5 KÃ¸benhavn;Tota': letters were garbled",
    ),
    "replacement": (
        (HEADER + "K\ufffdbenhavn;Total;Age, total;Total;2024Q1;5\n").encode(),
        "f.csv: row 2: ",
    ),
    "cut in letter": ((HEADER + "Christians\u00f8").encode()[:-1], "f.csv: cut off inside a letter at the end"),
    "cut in value": (
        (HEADER + GOOD + GOOD[:-1]).encode(),
        "f.csv: 'Copenhagen;Total;Age, total;Total;2024Q1;5': the last line has no line break",
    ),
    "cut in row": (
        (HEADER + GOOD + "Copenhagen;Total\n").encode(),
        "f.csv: row 3: 'Copenhagen;Total': 2 fields where the header has 6; it may be cut off",
    ),
    "cut gzip": (gzip.compress((HEADER + GOOD * 99).encode())[:-12], "f.csv: the gzip stream is cut off; download"),
    "bad gzip": (b"\x1f\x8b\x08\x00garbage-garbage-garbage", "f.csv: the gzip stream is"),
    "stray quote": (
        (HEADER + GOOD + '"Copenhagen;Total;Age, total;Total;2024Q1;5\n' + GOOD * 3).encode(),
        """f.csv: row 3: '"Copenhagen': neither a code nor a text of OMRÅDE in FOLK1E; nearest known: 101 København""",
    ),
    "comma in comma file": (
        (HEADER + GOOD).replace(";", ",").encode(),
        "f.csv: row 2: 'Copenhagen,Total,Age, total,Total,2024Q1,5': 7 fields where the header has 6; a text may hold",
    ),
    "header only": (HEADER.encode(), "f.csv: a header but no rows; download the table again"),
    "column twice": (
        b"OMR\xc3\x85DE;TID;tid;INDHOLD\n101;2024;2024;5\n",
        "f.csv: row 1: 'TID': the column stands twice",
    ),
    "renamed column": (
        (HEADER.replace("HERKOMST", "HERKOMSTEN") + GOOD).encode(),
        "f.csv: row 1: 'HERKOMSTEN': no dimension of FOLK1E (OMRÅDE, KØN, ALDER, HERKOMST, Tid), the nearest known "
        "table; rename it to HERKOMST",
    ),
    "extra column": (
        (HEADER.replace("TID", "IELAND;TID") + GOOD.replace("2024Q1", "Syria;2024Q1")).encode(),
        "f.csv: row 1: 'IELAND': no dimension of FOLK1E (OMRÅDE, KØN, ALDER, HERKOMST, Tid), the nearest known table; "
        "download the table without it",
    ),
    "strange columns": (b"NAVN;ADRESSE;INDHOLD\na;b;5\n", "f.csv: row 1: 'NAVN': no known table has this column"),
    "missing area": (
        (HEADER + GOOD).replace("OMRÅDE;", "").replace("Copenhagen;", "").encode(),
        "f.csv: row 1: column OMRÅDE of FOLK1E is missing and no total can stand for it; download the table with OMR",
    ),
    "missing time": (
        (HEADER + GOOD).replace("TID;", "").replace("2024Q1;", "").encode(),
        "f.csv: row 1: column Tid of FOLK1E is missing",
    ),
    "unknown area": (
        (HEADER + GOOD + GOOD.replace("Copenhagen", "Kobenhavn")).encode(),
        "f.csv: row 3: 'Kobenhavn': neither a code nor a text of OMRÅDE in FOLK1E; nearest known: 101 København",
    ),
    "old municipality": (
        (HEADER + GOOD.replace("Copenhagen", "Værløse")).encode(),
        "f.csv: row 2: 'Værløse': neither a code nor a text of OMRÅDE in FOLK1E",
    ),
    "area of another level": (
        (HEADER + GOOD.replace("Copenhagen", "Province Fyn")).encode(),
        "f.csv: row 2: 'Province Fyn': neither a code nor a text of OMRÅDE",
    ),
    "code beside another text": (
        (HEADER + GOOD.replace("Copenhagen", "101 Aarhus")).encode(),
        "f.csv: row 2: '101 Aarhus': neither a code nor a text of OMRÅDE",
    ),
    "age that begins like a code": (
        (HEADER + GOOD.replace("Age, total", "10 years and over")).encode(),
        "f.csv: row 2: '10 years and over': neither a code nor a text of ALDER in FOLK1E; nearest known: 10 10 år",
    ),
    "period": (
        (HEADER + GOOD + GOOD.replace("2024Q1", "2024Q5")).encode(),
        "f.csv: row 3: '2024Q5': not a period of this table in Tid",
    ),
    "languages": (
        (HEADER + GOOD + GOOD.replace("Age, total", "Alder i alt")).encode(),
        "f.csv: row 2: 'Age, total': English beside Danish 'Alder i alt' in ALDER; download the table in one language",
    ),
    "shared text": (
        b"OMR\xc3\x85DE;STATUS;TID;INDHOLD\n101;Not stated;2024;5\n",
        "f.csv: row 2: 'Not stated': the text of A and B alike in STATUS in STAT1; download the table with codes",
    ),
    "selector": (
        "OMRÅDE;HERKOMST;KØN;BEREGNING;TID;INDHOLD\n101;10;M;Activity rate;2023;5.5\n".encode(),
        "f.csv: row 2: 'Activity rate': the source holds BEREGNING BFK only; download RAS200 with that one",
    ),
    "bare grid": (
        b'"Kommune","2022","2023"\n\n"Copenhagen",9,7\n',
        "f.csv: only area and time, so nothing in the file",
    ),
    "zip": (archive("a.txt", b"text"), "f.csv: a zip file that is no .xlsx workbook"),
    "broken workbook": (workbook([["a"]])[:-40], "f.csv: the workbook is damaged"),
    "strange workbook": (archive("xl/workbook.xml", b"<not-xml"), "f.csv: the workbook cannot be read"),
    "empty workbook": (workbook([]), "f.csv: 0 filled sheets where StatBank writes one"),
    "workbook of another table": (
        workbook([["Area"], ["Units: km2"], [None, "2019"], ["All Denmark", 42937.8]], "ARE207"),
        "f.csv: the file says it is table ARE207, which has no source file; "
        "add it with kommunekort new-source statbank ARE207",
    ),
    "workbook without periods": (workbook([["a", "b"], ["c", 5]]), "f.csv: no row of periods above the figures"),
    "workbook without figures": (workbook([["a"], [None, "2024Q1"]]), "f.csv: row 2: no figures below the periods"),
    "workbook with a stray figure": (
        workbook([["a"], [None, "2024Q1", None], ["Copenhagen", 5, 6]]),
        "f.csv: row 3: '6': a figure stands under no period",
    ),
    "workbook with unknown text": (
        workbook([["a"], [None, None, "2024Q1"], ["Copenhagen", "Mennesker", 5]]),
        "f.csv: row 3: 'Mennesker': not found in the code lists of FOLK1E",
    ),
    "bomb": (archive("xl/workbook.xml", b" " * 3_000_000), "f.csv: the workbook unfolds from"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_sentence(tmp_path: Path, catalogue: Catalogue, fault: str) -> None:
    content, sentence = FAULTS[fault]
    path = tmp_path / "f.csv"
    path.write_bytes(content)
    with pytest.raises(DataRefused) as refused:
        recognise(path, catalogue)
    message = str(refused.value)
    assert message.startswith(sentence)
    assert "; " in message
    assert message.isprintable()


def test_two_tables_that_fit_alike_are_named(tmp_path: Path) -> None:
    both = catalogue_in(tmp_path / "sources", ["FOLK1E", "FOLK1AM"])
    twin = both.sources["statbank_folk1e"].model_copy(update={"id": "statbank_folk1x", "table": "FOLK1X"})
    both.sources["statbank_folk1x"] = twin
    path = write(tmp_path / "f.csv", folk1e_text())
    with pytest.raises(DataRefused, match=r"fits FOLK1E and FOLK1X alike; say which table it is with --as 'f\.csv="):
        recognise(path, both)


def test_a_file_that_must_be_read_whole_has_a_bound(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.connectors.statbank.forms.IN_MEMORY_BYTES", 1000)
    for name, content in (
        ("a.json", dataset(label="x" * 1000)),
        ("b.json.gz", gzip.compress(dataset(label="x" * 1000))),
        ("c.xlsx", workbook([["Title"], [None, "2024Q1"]])),
        ("d.csv", b'"Kommune","2022"\n' + b'"Copenhagen",9\n' * 100),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataRefused, match=r"read into memory|too large to be read"):
            recognise(path, catalogue)


def test_an_endless_line_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(HEADER.encode() + b"x" * 5_000_000)
    with pytest.raises(DataRefused, match=r"f\.csv: a line has no end"):
        recognise(path, catalogue)


ROW = "101;TOT;IALT;TOT;2024K1;"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["1.229", "1,229"], "f.csv: row 3: '1,229': contradicts '1.229' before it: one is Danish, the other English"),
        (["5", "5"], None),
    ],
)
def test_numbers_that_contradict(tmp_path: Path, catalogue: Catalogue, rows: list[str], sentence: str | None) -> None:
    path = write(tmp_path / "f.csv", HEADER + "".join(f"{ROW}{value}\n" for value in rows))
    out = tmp_path / "out.csv"
    source = catalogue.sources["statbank_folk1e"]
    if sentence is None:
        assert normalise(path, source, catalogue, out).rows_out == 2
        return
    with pytest.raises(DataRefused) as refused:
        normalise(path, source, catalogue, out)
    assert str(refused.value).startswith(sentence)
    assert list(tmp_path.glob("out*")) == []


def test_a_doubtful_number_is_decided_by_a_later_one_or_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    source = catalogue.sources["statbank_folk1e"].model_copy(update={"decimals": 3})
    out = tmp_path / "out.csv"
    decided = write(tmp_path / "a.csv", f"{HEADER}{ROW}1.229\n{ROW}0,5\n")
    normalise(decided, source, catalogue, out)
    assert [line.split(";")[-1] for line in out.read_text().splitlines()] == ["INDHOLD", "1229", "0.5"]
    undecided = write(tmp_path / "b.csv", f"{HEADER.lower()}{ROW}1.229\n{ROW}1.300\n")
    with pytest.raises(DataRefused, match=r"b\.csv: '1\.229': can be a thousands group or decimals"):
        normalise(undecided, source, catalogue, out)


def test_rows_that_cannot_be_read_are_rejects_with_their_row(tmp_path: Path, catalogue: Catalogue) -> None:
    bad = ["Copenhagen;Total;Age, total;Total;2024Q1;12.5", "Atlantis;Total;Age, total;Total;2024Q1;5"]
    path = write(tmp_path / "f.csv", HEADER + GOOD + "\n".join(bad) + "\n" + GOOD + GOOD.replace("5\n", "..\n"))
    out = tmp_path / "out.csv"
    done = normalise(path, catalogue.sources["statbank_folk1e"], catalogue, out)
    assert (done.rows_in, done.rows_out) == (5, 3)
    assert [(r.row, r.field, r.value) for r in done.rejects] == [(3, "INDHOLD", "12.5"), (4, "OMRÅDE", "Atlantis")]
    assert done.rejects[0].rule == "must be a whole number or a mark"
    assert out.read_text().splitlines()[1:] == [f"{ROW}5", f"{ROW}5", f"{ROW}.."]


def test_another_selector_than_the_sources_is_refused_when_writing(tmp_path: Path, catalogue: Catalogue) -> None:
    text = "OMRÅDE;HERKOMST;KØN;BEREGNING;TID;INDHOLD\n101;10;M;Employment rate;2023;5.5\n101;10;M;EFK;2023;6.5\n"
    path = write(tmp_path / "f.csv", text)
    with pytest.raises(DataRefused, match=r"f\.csv: row 3: 'EFK': the source holds BEREGNING BFK only"):
        normalise(path, catalogue.sources["statbank_ras200"], catalogue, tmp_path / "out.csv")
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.long
def test_too_many_rejects_refuse_the_file(tmp_path: Path, catalogue: Catalogue) -> None:
    path = write(tmp_path / "f.csv", HEADER + GOOD.replace("Copenhagen", "Atlantis") * 10_001)
    with pytest.raises(DataRefused, match="row 2: 'Atlantis': the first of more than 10,000 unreadable rows"):
        normalise(path, catalogue.sources["statbank_folk1e"], catalogue, tmp_path / "out.csv")
    assert list(tmp_path.glob("out*")) == []


def survives(path: Path, catalogue: Catalogue, content: bytes) -> None:
    """The only error a file may cause is DataRefused, on one printable line."""
    path.write_bytes(content)
    actions: list[Callable[[], object]] = [
        lambda: open_table(path),
        lambda: recognise(path, catalogue),
        lambda: normalise(path, catalogue.sources["statbank_folk1e"], catalogue, path.with_name("out.csv")),
    ]
    for action in actions:
        message = ""
        try:
            action()
        except DataRefused as refused:
            message = str(refused)
        assert message.isprintable()


SEEDS = [
    canonical_folk1e(),
    folk1e_text("en").encode(),
    dataset(),
    workbook([["Title"], ["Unit"], [None, "2024Q1"], ["Copenhagen", 5]]),
    b'"Kommune","2022","2023"\n"Copenhagen",9,7\n',
    gzip.compress(folk1e_text().encode()),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_end_in_a_sentence(tmp_path: Path, catalogue: Catalogue, content: bytes) -> None:
    survives(tmp_path / "f", catalogue, content)


@pytest.mark.long
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    at=st.floats(0, 1),
    length=st.integers(0, 40),
    insert=st.one_of(st.binary(max_size=12), st.text(alphabet=';,"\n\r\t.0Ã¸[]{}K', max_size=12).map(str.encode)),
)
def test_any_damage_ends_in_a_sentence(
    tmp_path: Path, catalogue: Catalogue, seed: bytes, at: float, length: int, insert: bytes
) -> None:
    place = int(at * len(seed))
    survives(tmp_path / "f", catalogue, seed[:place] + insert + seed[place + length :])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    key=st.sampled_from(["id", "size", "dimension", "value", "status", "extension", "label"]),
)
def test_any_json_ends_in_a_sentence(tmp_path: Path, catalogue: Catalogue, value: object, key: str) -> None:
    survives(tmp_path / "f", catalogue, dataset(**{key: value}))

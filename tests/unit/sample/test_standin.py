"""The stand-in obeys StatBank's protocol: metadata, formats, presentations, and the very same refusals."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from openpyxl import load_workbook

from flows.sample.standin import running_standin
from tests.unit.connectors.statbank.statbank_fakes import FakeCubes, small_catalogue

ALL_AGES_IN_ONE_CELL = {"OMRÅDE": ["101"], "KØN": ["*"], "ALDER": ["1*"], "CIVILSTAND": ["TOT"], "Tid": ["(1)"]}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running_standin(FakeCubes(), small_catalogue()) as url, httpx.Client(base_url=url) as client:
        yield client


def ask(
    client: httpx.Client, table: str, file_format: str, values: dict[str, list[str]], **more: Any
) -> httpx.Response:
    variables = [{"code": code, "values": wanted} for code, wanted in values.items()]
    return client.post("data", json={"table": table, "format": file_format, "variables": variables, **more})


def lines(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return answer.content.decode("utf-8-sig").split("\r\n")[:-1]


def test_start_and_metadata_need_neither_time_nor_cells() -> None:
    cubes = FakeCubes()
    began = time.monotonic()
    with running_standin(cubes, small_catalogue()) as url:
        assert httpx.get(f"{url}/tables").status_code == 200
        assert httpx.get(f"{url}/tableinfo/FOLK1A").status_code == 200
        assert time.monotonic() - began < 5.0  # a third of a second on an idle machine; the world takes longer
    assert cubes.answered == []


def test_it_listens_on_loopback_only(client: httpx.Client) -> None:
    assert client.base_url.host == "127.0.0.1"


def test_tables_speak_both_languages_and_say_synthetic(client: httpx.Client) -> None:
    danish = client.get("tables", params={"lang": "da", "format": "json"})
    english = client.post("tables", json={"lang": "en"}).json()
    assert danish.headers["content-type"] == "text/json; charset=utf-8"
    assert danish.headers["statbankapi-request-id"]
    assert [table["id"] for table in english] == ["FOLK1A", "RAS200", "RAS302"]
    assert english[0]["variables"] == ["region", "sex", "age", "marital status", "time"]
    assert danish.json()[0]["variables"][-1] == "tid"
    assert (english[0]["firstPeriod"], danish.json()[0]["latestPeriod"]) == ("2008Q1", "2025K3")
    assert "SYNTHETIC" in english[0]["text"]
    assert "SYNTETISKE" in danish.json()[0]["text"]


@pytest.mark.parametrize("way", ["query", "path", "post"])
def test_tableinfo_three_ways(client: httpx.Client, way: str) -> None:
    answer = {
        "query": lambda: client.get("tableinfo", params={"id": "folk1a", "lang": "en"}),
        "path": lambda: client.get("tableinfo/folk1a", params={"lang": "en"}),
        "post": lambda: client.post("tableinfo", json={"table": "folk1a", "lang": "en"}),
    }[way]()
    info = answer.json()
    assert (info["id"], info["suppressedDataValue"], info["updated"]) == ("FOLK1A", "0", "2025-08-11T08:00:00")
    assert [v["id"] for v in info["variables"]] == ["OMRÅDE", "KØN", "ALDER", "CIVILSTAND", "Tid"]
    assert [len(v["values"]) for v in info["variables"]] == [105, 3, 127, 5, 71]
    assert info["variables"][-1]["values"][3] == {"id": "2008K4", "text": "2008Q4"}
    assert [v["time"] for v in info["variables"]] == [False] * 4 + [True]
    assert info["variables"][-1]["elimination"] is False
    assert info["variables"][0]["map"] == "denmark_municipality_07"
    assert {"id": "101", "text": "Copenhagen"} in info["variables"][0]["values"]


def test_our_code_for_left_out_is_not_the_publishers(client: httpx.Client) -> None:
    sex = client.get("tableinfo/RAS302").json()["variables"][3]
    assert [value["id"] for value in sex["values"]] == ["M", "K"]
    assert sex["elimination"] is True


def test_csv_has_a_mark_crlf_and_no_column_for_what_is_left_out(client: httpx.Client) -> None:
    answer = ask(client, "folk1a", "csv", {"køn": ["*"], "TID": ["(-n+2)"]})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == "attachment; filename=FOLK1A.csv"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert lines(answer) == [
        "KØN;TID;INDHOLD",
        *("I alt;2025K2;1", "I alt;2025K3;2", "Mænd;2025K2;3", "Mænd;2025K3;4", "Kvinder;2025K2;5", "Kvinder;2025K3;6"),
    ]


@pytest.mark.parametrize(("name", "sign"), [("Semicolon", ";"), ("Tab", "\t"), ("comma", ","), ("Pipe", ";")])
@pytest.mark.parametrize("file_format", ["CSV", "BULK"])
def test_the_delimiter_is_the_one_asked_for(client: httpx.Client, file_format: str, name: str, sign: str) -> None:
    answer = lines(ask(client, "FOLK1A", file_format, ALL_AGES_IN_ONE_CELL, delimiter=name, valuePresentation="Code"))
    assert {line.count(sign) for line in answer} == {5}


def test_csv_of_nothing_is_the_latest_total(client: httpx.Client) -> None:
    assert lines(ask(client, "FOLK1A", "CSV", {})) == ["TID;INDHOLD", "2025K3;1"]


def test_csv_keeps_zeros_and_bulk_leaves_them_out(client: httpx.Client) -> None:
    csv = lines(ask(client, "FOLK1A", "CSV", ALL_AGES_IN_ONE_CELL))
    bulk = lines(ask(client, "FOLK1A", "BULK", ALL_AGES_IN_ONE_CELL))
    # 37 ages begin with 1; nobody is older than 110, so 22 are left per sex, as seen in a logged live call.
    assert (len(csv) - 1, len(bulk) - 1) == (3 * 37, 3 * 22)
    assert any(line.endswith(";0") for line in csv)
    assert not any(line.endswith(";0") for line in bulk)
    assert not ask(client, "FOLK1A", "BULK", ALL_AGES_IN_ONE_CELL).content.startswith(b"\xef\xbb\xbf")


def test_bulk_has_its_own_order(client: httpx.Client) -> None:
    wanted = {**ALL_AGES_IN_ONE_CELL, "ALDER": ["IALT", "2", "1", "10", "100"], "Tid": ["2008K1", "2008K2", "2009K1"]}
    rows = [line.split(";") for line in lines(ask(client, "FOLK1A", "BULK", wanted, valuePresentation="Code"))[1:]]
    assert list(dict.fromkeys(row[1] for row in rows)) == ["1", "2", "TOT"]
    assert list(dict.fromkeys(row[2] for row in rows)) == ["1", "10", "100", "2", "IALT"]
    assert list(dict.fromkeys(row[4] for row in rows)) != sorted({row[4] for row in rows})


def test_bulk_needs_every_variable(client: httpx.Client) -> None:
    some = {code: values for code, values in ALL_AGES_IN_ONE_CELL.items() if code != "CIVILSTAND"}
    answer = ask(client, "FOLK1A", "BULK", some, lang="en")
    assert answer.json()["message"] == "Values must be selected for variable: CIVILSTAND"


@pytest.mark.parametrize(
    ("way", "shown"),
    [
        ("Default", "Copenhagen;2015Q1"),
        ("Code", "101;2015K1"),
        ("Value", "Copenhagen;2015Q1"),
        ("CodeAndValue", "101 Copenhagen;2015K1 2015Q1"),
        ("ValueAndCode", "Copenhagen 101;2015Q1 2015K1"),
    ],
)
def test_presentations(client: httpx.Client, way: str, shown: str) -> None:
    values = {"OMRÅDE": ["101"], "Tid": ["2015K1"]}
    answer = ask(client, "FOLK1A", "CSV", values, lang="en", valuePresentation=way)
    assert lines(answer)[1] == f"{shown};1"


@pytest.mark.parametrize(("lang", "value"), [("da", "40,0"), ("en", "40.0")])
def test_decimals_follow_the_language_and_marks_stay(client: httpx.Client, lang: str, value: str) -> None:
    values = {"OMRÅDE": ["101", "411"], "KØN": ["M"], "BEREGNING": ["BFK"], "Tid": ["2015"]}
    answer = lines(ask(client, "RAS200", "BULK", values, lang=lang, valuePresentation="Code"))
    assert answer[1:] == [f"101;M;BFK;2015;{value}", "411;M;BFK;2015;.."]


def test_a_variable_without_total_is_summed_when_left_out(client: httpx.Client) -> None:
    both = lines(ask(client, "RAS200", "CSV", {"OMRÅDE": ["101"], "KØN": ["*"], "BEREGNING": ["BFK"], "Tid": ["(1)"]}))
    summed = lines(ask(client, "RAS200", "CSV", {"OMRÅDE": ["101"], "BEREGNING": ["BFK"], "Tid": ["(1)"]}))
    parts = [float(line.rsplit(";", 1)[1].replace(",", ".")) for line in both[1:]]
    assert float(summed[1].rsplit(";", 1)[1].replace(",", ".")) == pytest.approx(sum(parts))


def test_a_selector_cannot_be_left_out(client: httpx.Client) -> None:
    assert "BEREGNING" in ask(client, "RAS200", "CSV", {"OMRÅDE": ["101"]}).json()["message"]


@pytest.mark.parametrize(
    ("expression", "periods"),
    [
        (["*K1"], 18),
        (["202*"], 23),
        (["202*K1"], 6),
        (["(2)"], 1),
        (["(-n+5)"], 5),
        ([">=2023K1"], 11),
        (["<=2008K2"], 2),
        ([">=2023K1<=2024K2"], 6),
        (["2015K1", "2016K1", "(1)"], 3),
        (["*"], 71),
    ],
)
def test_time_expressions(client: httpx.Client, expression: list[str], periods: int) -> None:
    assert len(lines(ask(client, "FOLK1A", "CSV", {"Tid": expression}))) == 1 + periods


def test_time_order_and_head_variables(client: httpx.Client) -> None:
    newest_first = lines(ask(client, "FOLK1A", "CSV", {"Tid": ["(-n+2)"]}, timeOrder="Descending"))
    assert [line.split(";")[0] for line in newest_first[1:]] == ["2025K3", "2025K2"]
    variables = [{"code": "KØN", "values": ["1"], "placement": "head"}, {"code": "Tid", "values": ["(1)"]}]
    answer = client.post("data", json={"table": "FOLK1A", "format": "CSV", "variables": variables})
    assert lines(answer)[0] == "TID;KØN;INDHOLD"


def test_get_and_path_forms(client: httpx.Client) -> None:
    by_get = client.get("data/FOLK1A/CSV", params={"OMRÅDE": "101,147", "Tid": "(1)", "valuePresentation": "Code"})
    posted = {"variables": [{"code": "OMRÅDE", "values": ["101", "147"]}], "valuePresentation": "Code"}
    assert lines(by_get) == ["OMRÅDE;TID;INDHOLD", "101;2025K3;1", "147;2025K3;2"]
    assert client.post("data/folk1a/csv", json=posted).content == by_get.content


def test_xlsx_is_laid_out_like_the_web_page(client: httpx.Client) -> None:
    values = {"OMRÅDE": ["101", "147"], "KØN": ["TOT", "1"], "Tid": ["(-n+2)"]}
    answer = ask(client, "FOLK1A", "XLSX", values, lang="en")
    sheet = load_workbook(io.BytesIO(answer.content)).active
    assert sheet is not None
    assert sheet.title == "FOLK1A"
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0][0] == "Population at the first day of the quarter (SYNTHETIC DATA) by region, sex and time"
    assert rows[1][0] == "Units: Number"
    assert rows[2] == (None, None, "2025Q2", "2025Q3")
    assert rows[3:7] == [
        *(("Copenhagen", "Total", 1, 2), (None, "Men", 3, 4)),
        *(("Frederiksberg", "Total", 5, 6), (None, "Men", 7, 8)),
    ]
    assert rows[7] == (None,) * 4
    assert rows[8][0] == "SYNTHETIC DATA."


def test_faulty_cubes_break_the_connection_and_are_named(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeCubes):
        def answer(self, table: str, selection: Any) -> pa.Table:
            raise KeyError("no such cube")

    with running_standin(Broken(), small_catalogue()) as url, pytest.raises(httpx.RemoteProtocolError):
        ask(httpx.Client(base_url=url), "FOLK1A", "CSV", {"Tid": ["*"]})
    assert "broke while answering FOLK1A: KeyError('no such cube')" in caplog.text


@pytest.mark.real
def test_metadata_has_the_keys_of_the_real_answers(client: httpx.Client, real_dir: Path) -> None:
    folder = real_dir / "statbank" / "api"
    real_table = json.loads((folder / "tables_da.json").read_text("utf-8"))[0]
    real_info = json.loads((folder / "table_info_straf42.json").read_text("utf-8"))
    real_subject = json.loads((folder / "subjects_da.json").read_text("utf-8"))[0]
    info = client.get("tableinfo/RAS200").json()
    assert list(client.get("tables").json()[0]) == list(real_table)
    assert list(info) == list(real_info)
    assert list(info["variables"][-1]) == list(real_info["variables"][-1])
    assert list(client.get("subjects").json()[0]) == list(real_subject)


@pytest.mark.real
def test_jsonstat_has_the_shape_of_the_real_answer(client: httpx.Client, real_dir: Path) -> None:
    real = json.loads((real_dir / "statbank" / "api" / "data_straf42_json.json").read_text("utf-8"))["dataset"]
    values = {"OMRÅDE": ["101", "411"], "KØN": ["M"], "BEREGNING": ["BFK"], "Tid": ["2015"]}
    ours = ask(client, "RAS200", "JSONSTAT", values, lang="en").json()["dataset"]
    assert list(ours) == list(real)
    assert list(ours["extension"]["px"]) == list(real["extension"]["px"])
    contents = ours["dimension"]["ContentsCode"]
    assert list(contents) == list(real["dimension"]["ContentsCode"])
    assert list(contents["category"]) == list(real["dimension"]["ContentsCode"]["category"])
    assert ours["dimension"]["id"] == ["OMRÅDE", "KØN", "BEREGNING", "ContentsCode", "Tid"]
    assert ours["dimension"]["size"] == [2, 1, 1, 1, 1]
    assert ours["value"] == [40.0, None]
    assert datetime.fromisoformat(ours["updated"]) == datetime.fromisoformat("2025-08-11T06:00:00+00:00")


def all_of_folk1a(tid: list[str]) -> list[dict[str, Any]]:
    return [{"code": c, "values": ["*"]} for c in ("OMRÅDE", "KØN", "ALDER", "CIVILSTAND")] + [
        {"code": "Tid", "values": tid}
    ]


def without(code: str) -> list[dict[str, Any]]:
    return [variable for variable in all_of_folk1a(["*"]) if variable["code"] != code]


# The requests of the recorded refusals, in the order of the file.
REFUSED: list[tuple[str, str, Any]] = [
    ("POST", "data", {"table": "INVALIDTABLE999", "format": "CSV"}),
    ("POST", "data", {"table": "FOLK1A", "format": "JSON"}),
    ("POST", "data", {"format": "CSV"}),
    ("POST", "data", {"table": "FOLK1A", "format": "CSV", "variables": [{"code": "INVALIDVAR", "values": ["*"]}]}),
    ("POST", "data", {"table": "FOLK1A", "format": "CSV", "variables": [{"code": "OMRÅDE", "values": ["999999"]}]}),
    (
        "POST",
        "data",
        {
            "table": "FOLK1A",
            "format": "BULK",
            "variables": [{"code": "OMRÅDE", "values": ["INVALID999"]}, *without("OMRÅDE")],
        },
    ),
    ("POST", "data", b"this is not JSON"),
    ("POST", "data", b""),
    ("GET", "data", None),
    ("GET", "no/such/place", None),
    ("POST", "data", {"table": "FOLK1A", "format": "BULK", "variables": without("OMRÅDE")}),
    ("POST", "data", {"table": "FOLK1A", "format": "BULK", "variables": without("Tid")}),
    (
        "POST",
        "data",
        {"table": "FOLK1A", "format": "BULK", "timeOrder": "Ascending", "variables": all_of_folk1a(["*"])},
    ),
    ("POST", "data", {"table": "FOLK1A", "format": "JSONSTAT", "variables": all_of_folk1a(["*"])}),
    ("POST", "data", {"table": "FOLK1A", "format": "CSV", "variables": all_of_folk1a(["(-n+4)"])}),
]


NO_AREA = [{"code": "OMRÅDE", "values": []}]
UNKNOWN_FOR_AREA = [{"code": "X", "values": ["*"]}, *without("OMRÅDE")]
# Other requests refused in the same words, by the place of those words: the file says so of tables left out and of
# values left out; of the other formats and of GET it is inferred.
ALSO_REFUSED: list[tuple[int, str, str, Any]] = [
    (0, "GET", "tableinfo/INVALIDTABLE999", None),
    (0, "GET", "data/INVALIDTABLE999/XLSX", None),
    (1, "GET", "data/FOLK1A/JSON", None),
    (2, "POST", "tableinfo", {"lang": "da"}),
    (2, "GET", "tableinfo", None),
    (7, "POST", "data", {}),
    (10, "POST", "data", {"table": "FOLK1A", "format": "BULK", "variables": [*NO_AREA, *without("OMRÅDE")]}),
    (10, "POST", "data", {"table": "FOLK1A", "format": "BULK", "variables": UNKNOWN_FOR_AREA}),
    (13, "POST", "data", {"table": "FOLK1A", "format": "XLSX", "variables": all_of_folk1a(["*"])}),
    (13, "POST", "data", {"table": "FOLK1A", "format": "CSV", "variables": all_of_folk1a(["*"])}),
    (14, "POST", "data", {"table": "FOLK1A", "format": "XLSX", "variables": all_of_folk1a(["(-n+4)"])}),
]


@pytest.mark.real
@pytest.mark.parametrize(
    ("place", "method", "path", "body"), [*((n, *request) for n, request in enumerate(REFUSED)), *ALSO_REFUSED]
)
def test_refuses_as_the_real_one_did(
    client: httpx.Client, real_dir: Path, place: int, method: str, path: str, body: Any
) -> None:
    recorded = json.loads((real_dir / "statbank/api/transcribed_error_responses.json").read_text("utf-8"))["responses"]
    assert len(recorded) == len(REFUSED)
    given = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    answer = client.request(method, path, **given)
    assert (answer.status_code, answer.text) == (recorded[place]["status"], recorded[place]["body"])
    assert answer.headers["content-type"] == "text/json; charset=utf-8"
    assert answer.headers["statbankapi-request-id"]


def test_every_format_in_one_piece_has_the_limit(client: httpx.Client) -> None:
    # 105 areas, 127 ages and 19 periods in rows of four columns.
    for file_format in ("CSV", "JSONSTAT", "XLSX"):
        below = {"OMRÅDE": ["000"], "ALDER": ["*"], "Tid": ["(-n+2)"]}
        above = {"OMRÅDE": ["*"], "ALDER": ["*"], "Tid": ["(-n+19)"]}
        assert ask(client, "FOLK1A", file_format, below).status_code == 200
        answer = ask(client, "FOLK1A", file_format, above, lang="en")
        assert (answer.status_code, answer.json()["errorTypeCode"]) == (400, "REQUEST-LIMIT")
        assert "up to 1,013,460 cells exceeds the limit of 1,000,000 cells" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("tableinfo", {"id": "FOLK1A"}, "REQUEST-MISSING"),
        ("tableinfo", {"table": "NOPE"}, "EXTRACT-NOTFOUND"),
        ("data", {"table": "FOLK1A", "format": "BULK", "variables": NO_AREA}, "EXTRACT-NOTALLOWED"),
        ("data", {"table": "FOLK1A", "format": "CSV", "variables": NO_AREA}, "EXTRACT-NOTALLOWED"),
        ("data", {"table": "FOLK1A", "format": "BULK", "variables": UNKNOWN_FOR_AREA}, "EXTRACT-NOTALLOWED"),
        ("data", ["a", "list"], "REQUEST-EMPTY"),
    ],
)
def test_other_refusals(client: httpx.Client, path: str, body: Any, code: str) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json()["errorTypeCode"]) == (400, code)

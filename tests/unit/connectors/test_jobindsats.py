from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from flows.connectors.http import Patience
from flows.connectors.jobindsats import Tidied, connect, fetch, parameters, read_answer, tidy
from transforms.catalogue import Source, load_catalogue, query_of
from transforms.errors import DataRefused, UsageError
from transforms.periods import parse_period, span

TOKEN = SecretStr("hemmeligt-token-42")
BASE = "https://api.jobindsats.dk/v3"
COLUMNS = ["Periode", "Område", "Antal flygtninge og familiesammenførte", "Antal med lønmodtagerbeskæftigelse",
           "Andel med lønmodtagerbeskæftigelse (pct.)", "Antal med mindst 190 løntimer",
           "Andel med mindst 190 løntimer (pct.)"]  # fmt: skip
ROWS: list[list[Any]] = [
    ["2016M03", "Hele landet", 24000, 6000, 25.0, 4000, 16.7],
    ["2016M03", "Rebild", 120, 40, 33.3, 0, 0],
    ["2016M03", "Læsø", 4, None, None, None, None],
]


@pytest.fixture(scope="module")
def source() -> Source:
    return load_catalogue().source("jobindsats_refugees")


def v3(rows: list[list[Any]], columns: list[str] | None = None) -> bytes:
    return json.dumps({"columns": columns or COLUMNS, "rows": rows}, ensure_ascii=False).encode()


def v2(rows: list[list[Any]]) -> bytes:
    labels = ["Periode", "Area", *(f"Gruppe: {name}" for name in COLUMNS[2:])]
    data = [[repr(cell).replace(".", ",") if isinstance(cell, float) else cell for cell in row] for row in rows]
    return json.dumps([{"Variables": [{"Label": label} for label in labels], "Data": data}]).encode()


def v2_csv(rows: list[list[Any]], encoding: str) -> bytes:
    lines = [
        ["Periode", "Area", *COLUMNS[2:]],
        *([str("" if c is None else c).replace(".", ",") for c in row] for row in rows),
    ]
    return "\r\n".join(";".join(line) for line in lines).encode(encoding)


def tidied(
    content: bytes, source: Source, folder: Path, name: str = "answer.json"
) -> tuple[Tidied, dict[tuple[str, str, str], str]]:
    (folder / name).write_bytes(content)
    counts = tidy(folder / name, source, folder / "tidy.csv")
    lines = [line.split(";") for line in (folder / "tidy.csv").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["area_code", "period", "measure_id", "value", "status"]
    return counts, {(line[0], line[1], line[2]): f"{line[3]}|{line[4]}" for line in lines[1:]}


SHAPES: dict[str, Callable[[], bytes]] = {
    "v3": lambda: v3(ROWS),
    "v3 with BOM": lambda: b"\xef\xbb\xbf" + v3(ROWS),
    "v3 with double BOM": lambda: "\ufeff".encode().decode("cp1252").encode() + v3(ROWS),
    "v3 with two BOMs": lambda: b"\xef\xbb\xbf\xef\xbb\xbf" + v3(ROWS),
    "v2": lambda: v2(ROWS),
    "v2 csv": lambda: v2_csv(ROWS, "utf-8"),
    "v2 csv windows": lambda: v2_csv(ROWS, "cp1252"),
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_shape_of_an_answer_gives_the_same_tidy_rows(source: Source, tmp_path: Path, shape: str) -> None:
    counts, cells = tidied(SHAPES[shape](), source, tmp_path)
    assert counts.rows_in == 3
    assert cells["000", "2016M03", "any_job_pct"] in ("25.0|observed", "25|observed")
    assert cells["840", "2016M03", "any_job_pct"] == "33.3|observed"
    assert cells["840", "2016M03", "hours190_count"] == "0|zero"
    assert cells["825", "2016M03", "any_job_count"] == "|suppressed"
    assert cells["825", "2016M03", "population_count"] == "4|observed"
    assert counts.suppressed == 4


def test_a_municipality_without_a_row_is_missing_and_not_zero(source: Source, tmp_path: Path) -> None:
    counts, cells = tidied(v3(ROWS), source, tmp_path)
    assert cells["101", "2016M03", "population_count"] == "|missing"
    assert counts.missing == 96 * 5
    assert counts.rows_out == 3 * 5 + counts.missing


def test_danish_thousands_and_decimals_in_texts(source: Source, tmp_path: Path) -> None:
    rows = [["2016M03", "Hele landet", "24.000", "6.001,5", "25,04", "-", "."]]
    _, cells = tidied(v3(rows), source, tmp_path)
    assert [cells["000", "2016M03", name] for name in ("population_count", "any_job_count", "any_job_pct")] == [
        "24000|observed", "6001.5|observed", "25.04|observed"
    ]  # fmt: skip
    assert cells["000", "2016M03", "hours190_count"] == "0|zero"
    assert cells["000", "2016M03", "hours190_pct"] == "|suppressed"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (v3(ROWS, [*COLUMNS[:-1], "Ny overskrift"]), "'Ny overskrift' is not known; has the publisher renamed it"),
        (v3([row[:-1] for row in ROWS], COLUMNS[:-1]), "no column for measure hours190_pct"),
        (v3([row[:-1] for row in ROWS]), "has 6 cells for 7 columns"),
        (v3([["2016M03", "Værløse", 1, 1, 1, 1, 1]]), "area 'Værløse' is not known"),
        (v3([["2016M13", "Rebild", 1, 1, 1, 1, 1]]), "period '2016M13'"),
        (v3([["2016M03", "Rebild", "mange", 1, 1, 1, 1]]), "'mange' is not a number"),
        (v3([ROWS[1], ROWS[1]]), "is given twice"),
        (b'{"code":422,"cause":"Unknown hierarchies"}', "refused the question: Unknown hierarchies"),
        (b"<html></html>", "not a table of Jobindsats"),
        (b"[]", "neither an answer"),
        (b'{"columns": ["a"]}', "neither an answer"),
        (b"", "not a table"),
    ],
)
def test_what_cannot_be_trusted_is_refused_in_a_sentence(
    source: Source, tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(DataRefused, match=r"answer\.json") as caught:
        tidied(content, source, tmp_path)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "period", "first", "last"),
    [
        ("2024M02", "2024M02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2024Q04", "2024K4", date(2024, 10, 1), date(2024, 12, 31)),
        ("2024Q1", "2024K1", date(2024, 1, 1), date(2024, 3, 31)),
        ("2024Y01", "2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("2024", "2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("1. kvt 2021", "2021K1", date(2021, 1, 1), date(2021, 3, 31)),
        ("Maj 2021", "2021M05", date(2021, 5, 1), date(2021, 5, 31)),
        # A rolling year: the four quarters that end with the named one.
        ("2024QMAT02", "2024QMAT02", date(2023, 7, 1), date(2024, 6, 30)),
        ("2024QMAT04", "2024QMAT04", date(2024, 1, 1), date(2024, 12, 31)),
    ],
)
def test_periods_have_one_meaning(text: str, period: str, first: date, last: date) -> None:
    assert parse_period(text) == period
    assert span(parse_period(text)) == (first, last)


@pytest.mark.parametrize("text", ["2024QMAT05", "2024QMAT10", "2024Q05", "2024M00", "2024Y02", "", "foo 2024", "24M01"])
def test_a_period_that_may_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(DataRefused, match="none of the kinds"):
        parse_period(text)


def client_of(handler: Callable[[httpx.Request], httpx.Response], base: str = BASE) -> httpx.Client:
    return connect(base, TOKEN, transport=httpx.MockTransport(handler))


def test_version_3_asks_with_a_bearer_and_version_2_with_the_bare_token(source: Source, tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=v3(ROWS))

    for base in (BASE, "https://api.jobindsats.dk/v2"):
        with client_of(handler, base) as client:
            files, query = fetch(source, client, tmp_path)
        assert "hemmeligt" not in json.dumps(dict(query)) + str(files)
    assert [request.headers["authorization"] for request in seen] == ["Bearer hemmeligt-token-42", "hemmeligt-token-42"]
    assert seen[0].url.path == "/v3/data/y21mm13"
    assert dict(seen[0].url.params) == {
        "mgroup.*": "*",
        "period.M": "latest:24",
        "hierarchy._nykom": "*",
        "format": "json",
    }
    assert seen[1].url.path == "/v2/data/y21mm13/json"
    assert dict(seen[1].url.params) == {"period": "l(m:24)", "area": "*"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            422,
            {"code": 422, "cause": "Unknown hierarchies: ['_omrade']", "request_id": "a-1"},
            r"422: Unknown hierarchies: \['_omrade'\] \(request a-1\)",
        ),
        (401, {"code": 401, "cause": "x"}, "refuses the token"),
        (404, "not json", "answered 404"),
    ],
)
def test_the_publishers_own_reason_is_shown_and_the_token_never(
    source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, body: Any, said: str
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    with (
        caplog.at_level(logging.DEBUG),
        client_of(lambda _: httpx.Response(status, text=content)) as client,
        pytest.raises(DataRefused, match=said) as caught,
    ):
        fetch(source, client, tmp_path, patience=Patience(attempts=1))
    assert "hemmeligt" not in caplog.text + str(caught.value) + repr(client)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_service_is_asked_again(source: Source, tmp_path: Path) -> None:
    answers = [httpx.Response(503), httpx.Response(200, content=v3(ROWS))]
    with client_of(lambda _: answers.pop(0)) as client:
        fetch(source, client, tmp_path, patience=Patience(wait_initial=0.01))
    assert (tmp_path / "jobindsats_refugees.json").read_bytes() == v3(ROWS)


def test_without_a_token_or_a_version_the_way_out_is_told() -> None:
    with pytest.raises(UsageError, match="KOMMUNEKORT_JOBINDSATS_TOKEN"):
        connect(BASE, None)
    with pytest.raises(UsageError, match="must end in /v3 or /v2"):
        connect("https://api.jobindsats.dk", TOKEN)


def test_the_sources_are_whole() -> None:
    sources = [each for each in load_catalogue().sources.values() if each.connector == "jobindsats"]
    assert {each.id for each in sources} == {
        f"jobindsats_{name}" for name in ("refugees", "y30r21", "y35a02", "ptva02", "y14d03", "otij01", "y25i07")
    }
    for each in sources:
        query = query_of(each)
        headings = [heading for measure in query.measures for heading in measure.headings]
        assert len(headings) == len(set(headings))
        assert parameters(query, 3)[0] == f"data/{query.table}"


def test_a_wrong_query_names_its_file(source: Source) -> None:
    wrong = source.model_copy(update={"jobindsats": {**(source.jobindsats or {}), "latest": 0}})
    with pytest.raises(UsageError, match=r"jobindsats_refugees.yml: jobindsats.latest"):
        query_of(wrong)


@pytest.mark.real
def test_recorded_answers_are_read(real_dir: Path) -> None:
    import dataclasses

    recorded = json.loads((real_dir / "jobindsats/v3/jur-api-probe_20260727T182638.json").read_text(encoding="utf-8"))
    folder = Path(__file__).parent
    assert folder.is_dir()
    total = suppressed = 0
    for answer in recorded["results"].values():
        from flows.connectors.jobindsats import read_json

        table = read_json(json.dumps(answer).encode(), "recorded")
        assert dataclasses.is_dataclass(table)
        total += len(table.rows)
        suppressed += sum(cell is None for row in table.rows for cell in row)
        assert all(parse_period(str(row[0])) for row in table.rows)
    assert total > 500
    assert suppressed > 0


@pytest.mark.real
def test_an_export_made_by_hand_is_read(real_dir: Path) -> None:
    answer = read_answer(real_dir / "jobindsats/xlsx/industries_ft.xlsx")
    assert answer.headings[:2] == ("Periode", "Område")
    by_industry = {(row[0], row[-2]): row[-1] for row in answer.rows}
    assert len({row[0] for row in answer.rows}) >= 14
    assert {row[1] for row in answer.rows} == {"Hele landet"}
    assert by_industry["2015", "Industri"] == "74"
    assert by_industry["2008", "Råstofindvinding"] == "."
    permits = read_answer(real_dir / "jobindsats/xlsx/permits_all_jobs.xlsx")
    found = {(row[0], row[3]): row[-1] for row in permits.rows}
    assert found["2008", "Familiesammenføring"] == "19"
    assert found["2011", "Ophold til studie (3. lande)"] == "6"


def test_an_export_becomes_tidy_rows(source: Source, tmp_path: Path) -> None:
    import io

    import openpyxl

    def export(rows: list[list[Any]]) -> bytes:
        book = openpyxl.Workbook()
        for row in rows:
            book.worksheets[0].append(row)
        stream = io.BytesIO()
        book.save(stream)
        return stream.getvalue()

    measures = COLUMNS[2:]
    wide = [
        ["Udlændinge/ Flygtninge"],
        [None, None, "Marts 2016"],
        [None, None, *measures],
        ["Hele landet", None, 24000, 6000, 25, 4000, 16.7],
        ["Rebild", None, 120, 40, 33.3, ".", "."],
        [],
        ["Kilde: STAR"],
        ["Anm.: foreløbige tal"],
    ]
    wide = [[cell for n, cell in enumerate(row) if n != 1] if len(row) > 1 else row for row in wide]
    _, cells = tidied(export(wide), source, tmp_path, "answer.xlsx")
    assert cells["840", "2016M03", "any_job_pct"] == "33.3|observed"
    assert cells["840", "2016M03", "hours190_pct"] == "|suppressed"
    # The same, turned: measures down the side, each given once; areas over the columns.
    turned = [["Udlændinge/ Flygtninge"], [None, None, "Hele landet", "Rebild"]]
    turned += [
        [name, "2016M03", *values]
        for name, values in zip(measures, [(24000, 120), (6000, 40), (25, 33.3), (4000, "."), (16.7, ".")], strict=True)
    ]
    _, again = tidied(export(turned), source, tmp_path, "answer.xlsx")
    assert again == cells
    with pytest.raises(DataRefused, match="axes look like Periode"):
        tidied(export([["x"], [None, "Rebild"], [measures[0], 4]]), source, tmp_path, "answer.xlsx")

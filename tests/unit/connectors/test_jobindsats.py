from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from flows.connectors.http import Patience
from flows.connectors.jobindsats import Description, connect, download, parameters, query_of, read_answer, write_rows
from tests.fixtures.answering import answered
from tests.fixtures.replica_jobindsats import TABLES
from transforms.catalogue import Measure, Source, load_catalogue
from transforms.errors import DataRefused, UsageError
from transforms.load import CanonicalRows
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


CATALOGUE = load_catalogue()


def read(
    content: bytes, source: Source, folder: Path, name: str = "answer.json"
) -> tuple[CanonicalRows, dict[tuple[str, ...], str]]:
    """Return what an answer comes to: the canonical rows, and key -> value or mark."""
    (folder / name).write_bytes(content)
    rows = write_rows(source, [folder / name], CATALOGUE, folder / "canonical")
    header, *lines = rows.paths[0].read_text(encoding="utf-8").splitlines()
    assert header.split(";") == [*(dimension.id for dimension in source.dimensions), "INDHOLD"]
    cells = {tuple(line.split(";")[:-1]): line.split(";")[-1] for line in lines}
    assert rows.rows == len(lines) == len(cells)
    return rows, cells


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
def test_every_shape_of_an_answer_gives_the_same_rows(source: Source, tmp_path: Path, shape: str) -> None:
    rows, cells = read(SHAPES[shape](), source, tmp_path)
    assert (rows.rows, list(rows.rejected), list(rows.notes)) == (15, [], [])
    assert float(cells["000", "any_job_pct", "2016M03"]) == 25
    assert cells["840", "any_job_pct", "2016M03"] == "33.3"
    assert cells["840", "hours190_count", "2016M03"] == "0"
    assert cells["825", "any_job_count", "2016M03"] == "..."
    assert cells["825", "population_count", "2016M03"] == "4"


def test_a_municipality_without_a_row_is_missing_and_not_zero(source: Source, tmp_path: Path) -> None:
    rows, _ = read(v3(ROWS), source, tmp_path)
    (absent,) = rows.absent
    assert absent.status == "missing"
    assert len(absent.codes["OMRÅDE"]) == 98
    assert set(absent.within) == {"MÅLING", "TID"}


def test_a_null_is_withheld_only_where_the_publisher_says_so(source: Source, tmp_path: Path) -> None:
    assert query_of(source).nulls == "missing"
    told = source.model_copy(update={"jobindsats": query_of(source).model_copy(update={"nulls": "suppressed"})})
    _, cells = read(v3(ROWS), told, tmp_path)
    assert cells["825", "any_job_count", "2016M03"] == ".."


@pytest.mark.parametrize(("rate", "kept"), [(33.3, ".."), (0, ".."), (None, "...")])
def test_a_rate_beside_a_withheld_count_is_withheld_too(
    source: Source, tmp_path: Path, rate: float | None, kept: str
) -> None:
    """A count that is null beside its own rate is there, and withheld: the rate would give it away."""
    row = ["2016M03", "Rebild", 120, None, rate, 4, 16.7]
    _, cells = read(v3([row]), source, tmp_path)
    assert cells["840", "any_job_count", "2016M03"] == cells["840", "any_job_pct", "2016M03"] == kept
    assert cells["840", "hours190_pct", "2016M03"] == "16.7"
    _, marked = read(v3([["2016M03", "Rebild", 120, "*", "33,3", 4, 16.7]]), source, tmp_path)
    assert marked["840", "any_job_pct", "2016M03"] == ".."


def test_danish_thousands_and_decimals_in_texts(source: Source, tmp_path: Path) -> None:
    rows = [["2016M03", "Hele landet", "24.000", "6.001,5", "25,04", "-", "."]]
    _, cells = read(v3(rows), source, tmp_path)
    assert [cells["000", name, "2016M03"] for name in ("population_count", "any_job_count", "any_job_pct")] == [
        "24000", "6001.5", "25.04"
    ]  # fmt: skip
    assert cells["000", "hours190_count", "2016M03"] == "0"
    assert cells["000", "hours190_pct", "2016M03"] == ".."


HOURS = load_catalogue().source("jobindsats_otij01")


@pytest.mark.parametrize(
    ("unit", "text", "beside", "value"),
    [
        ("pct", "49.812", "1", "49.812"),
        ("pct", "49,812", "1", "49.812"),
        ("persons", "1.229", "1", "1229"),
        ("persons", "1.229.000", "1", "1229000"),
        ("hours", "1.229", "49,8", "1229"),
        ("hours", "1.229", "49.8", "1.229"),
        ("hours", "1.229", "49", None),
        ("hours", "1.229,5", "49", "1229.5"),
        ("persons", "NaN", "1", None),
        ("persons", "mange", "1", None),
    ],
)
def test_a_number_has_one_reading_or_none(tmp_path: Path, unit: str, text: str, beside: str, value: str | None) -> None:
    query = query_of(HOURS)
    measures = [
        Measure(id="first", unit=unit, text_da="a", text_en="a", headings=["A"]),  # type: ignore[arg-type]
        Measure(id="second", unit="hours", text_da="b", text_en="b", headings=["B"]),
    ]
    changed = query.model_copy(update={"measures": measures, "dimensions": []})
    plain = Source.model_validate({**HOURS.model_dump(exclude={"dimensions"}), "jobindsats": changed.model_dump()})
    rows, cells = read(v3([["2016M03", "Rebild", text, beside]], ["Periode", "Område", "A", "B"]), plain, tmp_path)
    assert cells.get(("840", "first", "2016M03")) == value
    assert [reject.rule for reject in rows.rejected] == ([] if value else ["value_readable"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (v3([row[:-1] for row in ROWS], COLUMNS[:-1]), "no column for measure hours190_pct"),
        (v3([row[:-1] for row in ROWS]), "has 6 cells for 7 columns"),
        (v3([ROWS[1], ["2016M03", "Rebild", 121, 40, 33.3, 0, 0]]), "is given twice, as 120 and as 121"),
        (b'{"code":422,"cause":"Unknown hierarchies"}', "refused the question: Unknown hierarchies"),
        (b'{"next":"/v3/data/y21mm13?page=2",' + v3(ROWS)[1:], r"only a part of the answer (next: /v3/data/"),
        (b'{"has_more":true,' + v3(ROWS)[1:], "only a part of the answer (has_more: True)"),
        (b'{"total_rows":900,' + v3(ROWS)[1:], "only 3 of 900 rows are there"),
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
        read(content, source, tmp_path)
    assert reason in str(caught.value)


def test_what_an_answer_says_of_its_own_length_may_be_right(source: Source, tmp_path: Path) -> None:
    whole = b'{"next":null,"has_more":false,"row_count":3,"page":1,' + v3(ROWS)[1:]
    assert read(whole, source, tmp_path)[1] == read(v3(ROWS), source, tmp_path)[1]


def test_cells_that_cannot_be_read_are_put_aside_one_by_one(source: Source, tmp_path: Path) -> None:
    bad = [["2016M13", "Rebild", 1, 1, 1, 1, 1], ["2016M04", "Rebild", "mange", 1, 1, 1, 1]]
    rows, cells = read(v3([*ROWS, *bad]), source, tmp_path)
    assert [(reject.row, reject.rule) for reject in rows.rejected] == [(4, "period_readable")] * 5 + [
        (5, "value_readable")
    ]
    assert len(cells) + len(rows.rejected) == 5 * 5


def test_equal_copies_count_once_and_are_told(source: Source, tmp_path: Path) -> None:
    rows, cells = read(v3([*ROWS, ROWS[1]]), source, tmp_path)
    assert len(cells) == 15
    assert list(rows.notes) == ["5 cells came twice with the same figure and count once"]


def test_areas_that_are_no_municipality_are_taken_and_named(source: Source, tmp_path: Path) -> None:
    areas = ["RAR Nordjylland", "Region Nordjylland", "Uoplyst område", "Udlandet mv.", "Værløse", "Rebild"]
    rows, cells = read(v3([["2016M03", area, 5, 1, 20, 1, 20] for area in areas]), source, tmp_path)
    assert {key[0] for key in cells} == {"RAR Nordjylland", "081", "998", "997", "Værløse", "840"}
    assert [code.code for code in rows.new_codes["OMRÅDE"]] == ["RAR Nordjylland", "Værløse"]
    assert "RAR Nordjylland, Værløse" in rows.notes[0]


def test_two_texts_of_one_residual_area_are_two_figures(source: Source, tmp_path: Path) -> None:
    given = [["2016M03", "Uoplyst område", 5, 1, 20, 1, 20], ["2016M03", "Uoplyst kommune", 7, 1, 14.3, 1, 14.3]]
    _, cells = read(v3(given), source, tmp_path)
    assert {cells[area, "population_count", "2016M03"] for area in {key[0] for key in cells}} == {"5", "7"}


def test_a_further_measure_is_left_out_and_named(source: Source, tmp_path: Path) -> None:
    rows, cells = read(v3([[*row, 17] for row in ROWS], [*COLUMNS, "Ny overskrift"]), source, tmp_path)
    assert len(cells) == 15
    assert list(rows.notes) == ["measure 'Ny overskrift' is not asked for and left out"]


def test_a_further_dimension_is_kept_at_its_total(source: Source, tmp_path: Path) -> None:
    both = [[*row, text] for row in ROWS for text in ("Målgrupper i alt", "Jobparate")]
    rows, cells = read(v3(both, [*COLUMNS, "Målgruppe"]), source, tmp_path)
    assert len(cells) == 15
    assert "only 'Målgrupper i alt' of it is kept" in rows.notes[0]
    without = [[*row, text] for row in ROWS for text in ("Aktivitetsparate", "Jobparate")]
    with pytest.raises(DataRefused, match="none of them the total"):
        read(v3(without, [*COLUMNS, "Målgruppe"]), source, tmp_path)


def test_headings_as_municipalities_receive_them_are_known(tmp_path: Path) -> None:
    """The headings of facts.md: with other measures beside, extra dimensions, and a leading name of the group."""
    support = [
        "Antal personer",
        "Antal fuldtidspersoner",
        "Fuldtidspersoner i pct. af arbejdsstyrken 16-66 år",
        "Fuldtidspersoner i pct. af befolkningen 16-66 år",
    ]
    given = {
        "jobindsats_ptva02": ["Periode", "Område", "Ydelsesgrupper", "Køn", *support],
        "jobindsats_y35a02": ["Periode", "Område", "Køn", *support],
        "jobindsats_y60a02": ["Periode", "Område", "Køn", *support],
        "jobindsats_otij01": [
            "Periode", "Område", "Ydelsesgrupper", "Målgruppe", "Antal personer i alt",
            "Antal personer med ordinære timer", "Andel personer med ordinære timer",
            "Gennemsnitligt timetal pr person med ordinære timer", "Gennemsnitligt antal ordinære timer pr. måned",
        ],
        "jobindsats_y14d03": [
            "Periode", "Område", "Ydelsesgrupper", "Virksomhedsrettede tilbud", "Målgruppe", "Antal afsluttede forløb",
            *(f"Efterfølgende beskæftigelse: {text}" for text in (
                "I samme virksomhed", "I anden virksomhed i samme branche", "I anden virksomhed i anden branche",
                "Ingen beskæftigelse")),
            "Gennemsnitlig beskæftigelsesgrad",
        ],
        "jobindsats_y30r21": [
            "Periode", "Area", "Ydelsesgrupper", *(
                f"Forventet og faktisk antal fuldtidspersoner på offentlig forsørgelse: {text}" for text in (
                    "Forventet antal", "Faktisk antal", "Forskel mellem forventet og faktisk antal",
                    "Forventet andel (pct.)", "Faktisk andel (pct.)",
                    "Forskel mellem forventet og faktisk andel (pct. point)", "Placering på benchmarkranglisten")),
        ],
    }  # fmt: skip
    for source_id, columns in given.items():
        by = ("Ydelsesgrupper", "Målgruppe", "Virksomhedsrettede tilbud", "Køn")
        texts = sum(column in by for column in columns)
        figures = list(range(10, 10 + len(columns) - 2 - texts))
        row = ["2024QMAT02", "Rebild", *["I alt"] * texts, *figures]
        women = ["2024QMAT02", "Rebild", *["I alt"] * (texts - 1), "Kvinder", *(figure + 1 for figure in figures)]
        source = CATALOGUE.source(source_id)
        has_sex = "Køn" in columns
        rows, cells = read(v3([row, women] if has_sex else [row], columns), source, tmp_path)
        assert {key[-2] for key in cells} == {measure.id for measure in query_of(source).measures}
        assert len(cells) == len(query_of(source).measures), "the total alone, where there is a further dimension"
        assert any("Køn" in note for note in rows.notes) == has_sex


ARRIVES = {query_of(each).table: each for each in CATALOGUE.sources.values() if each.connector == "jobindsats"}
TOTALS = ("I alt", "Alder i alt", "Alle aldre", "Total")


@pytest.mark.long
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_beside_or_is_turned_the_figures_are_the_same(tmp_path: Path, data: st.DataObject) -> None:
    """Columns in any order, measures and dimensions nobody asked for, leading names, rows twice: the same cells."""
    name = data.draw(st.sampled_from(sorted(ARRIVES)))
    table, source = TABLES[name], ARRIVES[name]
    columns, rows = table.columns, table.rows(("Hele landet", "Rebild", "Læsø", "Uoplyst område"))
    _, plain = read(v3(rows, columns), source, tmp_path)
    lead = data.draw(st.sampled_from(["", "Gruppe: ", "Personer på ydelse: ", "Ydelser: Antal og andel: "]))
    taken = len(columns) - len(table.measures)
    headings = [*columns[:taken], *(lead + heading for heading in columns[taken:])]
    if data.draw(st.booleans(), label="a further measure"):
        headings, rows = [*headings, "Antal noget andet"], [[*row, 7] for row in rows]
    if data.draw(st.booleans(), label="a further dimension"):
        total = data.draw(st.sampled_from(TOTALS))
        parts = [[*row, text] for row in rows for text in (total, "18-24 år")]
        headings = [*headings, "Alder"]
        rows = [[7 if isinstance(c, int | float) and row[-1] != total else c for c in row] for row in parts]
    if data.draw(st.booleans(), label="rows twice"):
        rows = rows + rows[:: data.draw(st.integers(1, 5))]
    if data.draw(st.booleans(), label="the area headed otherwise"):
        headings = [{"Område": "Area", "Area": "område"}.get(each, each) for each in headings]
    order = data.draw(st.permutations(range(len(headings))))
    shuffled = [[row[n] for n in order] for row in data.draw(st.permutations(rows[:40])) + rows[40:]]
    _, cells = read(v3(shuffled, [headings[n] for n in order]), source, tmp_path)
    assert cells == plain


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(ARRIVES)), place=st.integers(0, 10**6), measure=st.integers(0, 10))
def test_one_figure_that_differs_refuses_the_answer(tmp_path: Path, name: str, place: int, measure: int) -> None:
    """Two levels with one text and two figures, in any measure that is asked for: nobody can say which it is."""
    table, source = TABLES[name], ARRIVES[name]
    columns, rows = table.columns, table.rows(("Hele landet", "Rebild"))
    asked = [n for n, heading in enumerate(columns) if any(
        re.sub(r"\W", "", heading.removeprefix(table.lead).casefold()) == re.sub(r"\W", "", each.casefold())
        for m in query_of(source).measures for each in m.headings)]  # fmt: skip
    totals = [
        row for row in rows if all(text.endswith("i alt") for text in row[2 : len(columns) - len(table.measures)])
    ]
    again = list(totals[place % len(totals)])
    again[asked[measure % len(asked)]] += 1
    with pytest.raises(DataRefused, match="is given twice, as"):
        read(v3([*rows, again], columns), source, tmp_path)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(ARRIVES)), nulls=st.lists(st.booleans(), min_size=8, max_size=8))
def test_no_share_is_shown_beside_a_withheld_count(tmp_path: Path, name: str, nulls: list[bool]) -> None:
    """Whichever figures of a row are null: a share of a count that is not shown is not shown either."""
    table, source = TABLES[name], ARRIVES[name]
    row = table.rows(("Rebild",))[0]
    taken = len(row) - len(table.measures)
    given_row = [*row[:taken], *(None if null else cell for cell, null in zip(row[taken:], nulls, strict=False))]
    _, cells = read(v3([given_row], table.columns), source, tmp_path)
    for key, value in cells.items():
        measure = next(each for each in query_of(source).measures if each.id == key[-2])
        count = cells[(*key[:-2], measure.of, key[-1])] if measure.of else "1"
        assert count not in ("..", "...") or value in ("..", "..."), (key, count, value)
        assert value != "0"


def test_levels_that_repeat_a_text_count_once(tmp_path: Path) -> None:
    source = CATALOGUE.source("jobindsats_y14d03")
    columns = ["Periode", "Område", "Tilbud", "Målgruppe", *(m.headings[0] for m in query_of(source).measures)]
    row = ["2024QMAT02", "Rebild", "Løntilskud", "I alt", 40, 10, 20, 30, 40, 50]
    rows, cells = read(v3([row, row], columns), source, tmp_path)
    assert (len(cells), len(rows.notes)) == (6, 1)
    with pytest.raises(DataRefused, match="two values of a dimension share a text"):
        read(v3([row, [*row[:4], 41, *row[5:]]], columns), source, tmp_path)


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
    return answered(connect(base, TOKEN), handler)


def test_version_3_asks_with_a_bearer_and_version_2_with_the_bare_token(source: Source, tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=v3(ROWS))

    for base in (BASE, "https://api.jobindsats.dk/v2"):
        with client_of(handler, base) as client:
            files, query = download(source, client, tmp_path)
        assert "hemmeligt" not in json.dumps(dict(query)) + str(files)
    assert [request.headers["authorization"] for request in seen] == [
        "Bearer hemmeligt-token-42",
        "Bearer hemmeligt-token-42",
        "hemmeligt-token-42",
    ]
    assert [request.url.path for request in seen[:2]] == ["/v3/table/y21mm13", "/v3/data/y21mm13"]
    assert dict(seen[1].url.params) == {
        "mgroup.*": "*",
        "period.M": "latest:144",
        "hierarchy._nykom": "*",
        "format": "json",
    }
    assert seen[2].url.path == "/v2/data/y21mm13/json"
    assert dict(seen[2].url.params) == {"period": "l(m:144)", "area": "*"}


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
        download(source, client, tmp_path, patience=Patience(attempts=1))
    assert "hemmeligt" not in caplog.text + str(caught.value) + repr(client)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_service_is_asked_again(source: Source, tmp_path: Path) -> None:
    answers = [httpx.Response(404), httpx.Response(503), httpx.Response(200, content=v3(ROWS))]
    with client_of(lambda _: answers.pop(0)) as client:
        download(source, client, tmp_path, patience=Patience(wait_initial=0.01))
    assert (tmp_path / "jobindsats_refugees.json").read_bytes() == v3(ROWS)


def test_without_a_token_or_a_version_the_way_out_is_told() -> None:
    with pytest.raises(UsageError, match="KOMMUNEKORT_JOBINDSATS_TOKEN"):
        connect(BASE, None)
    with pytest.raises(UsageError, match="must end in /v3 or /v2"):
        connect("https://api.jobindsats.dk", TOKEN)


def test_the_sources_are_whole() -> None:
    sources = [each for each in load_catalogue().sources.values() if each.connector == "jobindsats"]
    assert {each.id for each in sources} == {
        f"jobindsats_{name}"
        for name in ("refugees", "y30r21", "y35a02", "y60a02", "ptva02", "y14d03", "otij01", "y25i10")
    }
    for each in sources:
        query = query_of(each)
        headings = [heading for measure in query.measures for heading in measure.headings]
        assert len(headings) == len(set(headings))
        assert parameters(query, 3)[0] == f"data/{query.table}"


DESCRIBED = Description(
    hierarchies={"_nykom": "Område", "_ygrpj01": "Ydelsesgrupper", "_maalgrp": "Målgruppe", "_maalgrp2": "Målgruppe"},
    measures={
        "antal personer med ordinære timer": ("mgrp1", "m1"),
        "andel personer med ordinære timer": ("mgrp1", "m2"),
        "gennemsnitligt timetal pr person med ordinære timer": ("mgrp2", "m3"),
    },
)


def test_only_the_measures_wanted_are_asked_for_by_hierarchies_the_table_has() -> None:
    path, asked = parameters(query_of(HOURS), 3, DESCRIBED)
    assert path == "data/otij01"
    assert asked == {
        "mgroup.mgrp1": "m1,m2",
        "mgroup.mgrp2": "m3",
        "period.M": "latest:24",
        "hierarchy._nykom": "*",
        "hierarchy._ygrpj01": "*",
        "hierarchy._maalgrp": "/",
        "format": "json",
    }


def test_a_narrow_question_that_is_refused_is_asked_plainly(source: Source, tmp_path: Path) -> None:
    table = {
        "dimensions": [{"dimension_id": "_omrade", "hierarchies": [{"hierarchy_id": "_nykom", "levels": []}]}],
        "mgroups": [
            {
                "mgroup_id": "g",
                "measures": [{"measure_id": f"m{n}", "measure_name": name} for n, name in enumerate(COLUMNS[2:])],
            }
        ],
    }
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        if "/table/" in request.url.path:
            return httpx.Response(200, json=table)
        if "mgroup.g" in request.url.params:
            return httpx.Response(422, json={"code": 422, "cause": "Unknown mgroups"})
        return httpx.Response(200, content=v3(ROWS))

    with client_of(handler) as client:
        _, query = download(source, client, tmp_path)
    assert (len(seen), query["mgroup.*"]) == (3, "*")


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


def test_an_export_becomes_the_same_rows(source: Source, tmp_path: Path) -> None:
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
    _, cells = read(export(wide), source, tmp_path, "answer.xlsx")
    assert cells["840", "any_job_pct", "2016M03"] == "33.3"
    assert cells["840", "hours190_pct", "2016M03"] == ".."
    # The same, turned: measures down the side, each given once; areas over the columns.
    turned = [["Udlændinge/ Flygtninge"], [None, None, "Hele landet", "Rebild"]]
    turned += [
        [name, "2016M03", *values]
        for name, values in zip(measures, [(24000, 120), (6000, 40), (25, 33.3), (4000, "."), (16.7, ".")], strict=True)
    ]
    _, again = read(export(turned), source, tmp_path, "answer.xlsx")
    assert again == cells
    with pytest.raises(DataRefused, match="axes look like Periode"):
        read(export([["x"], [None, "Rebild"], [measures[0], 4]]), source, tmp_path, "answer.xlsx")


def test_a_quote_that_is_never_closed_is_no_table_of_theirs(tmp_path: Path) -> None:
    """The reader of CSV takes no cell of more than 131,072 letters."""
    path = tmp_path / "noter.csv"
    path.write_text('a;b;c\n1;2;"' + "x" * 200_000, encoding="utf-8")
    with pytest.raises(DataRefused, match="not a table of Jobindsats"):
        read_answer(path)


def test_a_file_larger_than_any_answer_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(DataRefused, match="larger than any answer"):
        read_answer(tmp_path / "huge.csv")

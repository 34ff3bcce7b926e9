"""From source file and tableinfo to a query, and StatBank's recorded answers read by the typed models."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest

from flows.connectors.http import AnsweredError
from flows.connectors.statbank.client import AnswerCheck
from flows.connectors.statbank.query import (
    Query,
    Selected,
    TableInfo,
    make_plan,
    matching,
    near,
    own_words,
    parse_tableinfo,
)
from tests.unit.connectors.statbank.statbank_fakes import FOLK1A, PERIODS, RAS200, RAS302
from transforms.catalogue import Source
from transforms.errors import DataRefused

QUARTERS = PERIODS["FOLK1A"]
AGES = ["IALT", *(str(age) for age in range(126))]
CODES = {
    "OMRÅDE": ["000", "084", "101", "147"],
    "KØN": ["TOT", "1", "2"],
    "ALDER": AGES,
    "CIVILSTAND": ["TOT", "U", "G"],
    "Tid": QUARTERS,
}
TEXTS = {"101": "Copenhagen", "147": "Frederiksberg", "TOT": "Total", "U": "Never married"}


def info(codes: dict[str, list[str]], table: str = "FOLK1A", **more: Any) -> TableInfo:
    variables = [
        {
            "id": name,
            "text": name.lower(),
            "elimination": name not in ("Tid", "BEREGNING"),
            "time": name == "Tid",
            "values": [{"id": code, "text": TEXTS.get(code, f"text of {code}")} for code in known],
        }
        for name, known in codes.items()
    ]
    described = {"id": table, "text": table, "unit": "Number", "updated": "2025-08-11T08:00:00", "variables": variables}
    return parse_tableinfo(json.dumps(described | more).encode())


def selecting(source: Source, dimension: str, *select: str) -> Source:
    changed = [d.model_copy(update={"select": list(select)}) if d.id == dimension else d for d in source.dimensions]
    return source.model_copy(update={"dimensions": changed})


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("2015K1", ["2015K1"]),
        ("2015k1", ["2015K1"]),
        ("*", QUARTERS),
        ("*K1", [p for p in QUARTERS if p.endswith("K1")]),
        ("202*", [p for p in QUARTERS if p.startswith("202")]),
        ("202*K1", ["2020K1", "2021K1", "2022K1", "2023K1", "2024K1", "2025K1"]),
        ("(1)", ["2025K3"]),
        ("(2)", ["2025K2"]),
        ("(-n+3)", ["2025K1", "2025K2", "2025K3"]),
        ("(-n+999)", QUARTERS),
        (">=2025K1", ["2025K1", "2025K2", "2025K3"]),
        (">=1990K1<=2008K2", ["2008K1", "2008K2"]),
        ("<=2008K1", ["2008K1"]),
        (">=2030K1", []),
        ("(72)", []),
        ("(0)", []),
        ("(-n+0)", []),
        ("2015M01", []),
        ("", []),
    ],
)
def test_expressions_on_time(expression: str, found: list[str]) -> None:
    assert matching(QUARTERS, expression, time=True) == found


def test_expressions_on_codes() -> None:
    # FOLK1A's ages that begin with 1: 1, 10-19 and 100-125, as counted in a logged live call's table.
    assert len(matching(AGES, "1*", time=False)) == 37
    assert matching(AGES, "ialt", time=False) == ["IALT"]
    assert matching(["16-64", "16-66", "1666"], "16-*", time=False) == ["16-64", "16-66"]
    assert matching(["(1)", "a"], "(1)", time=False) == ["(1)"]
    assert matching(["a.b", "axb"], "a.*", time=False) == ["a.b"], "a dot is a dot"
    assert matching(AGES, ">=30", time=False) == []


def test_the_rectangle_is_known_before_the_request() -> None:
    query = make_plan(FOLK1A, info(CODES), None).query
    assert query.header == ("OMRÅDE", "KØN", "ALDER", "CIVILSTAND", "TID", "INDHOLD")
    assert query.cells == 4 * 1 * 3 * 1 * 2
    assert query.file_format == "BULK"
    assert query.body()["variables"][0]["values"] == ["*"]
    assert query.body()["variables"][2] == {"code": "ALDER", "values": ["IALT", "30", "111"]}
    assert query.record()["rectangle"]["OMRÅDE"] == CODES["OMRÅDE"], "written out, though * is asked for"
    assert json.loads(json.dumps(query.record())) == query.record()


def test_codes_come_in_the_publishers_order_once() -> None:
    query = make_plan(selecting(FOLK1A, "ALDER", "3*", "30", "IALT"), info(CODES), None).query
    assert query.variables[2].values == ("IALT", "3", *(str(age) for age in range(30, 40)))


def test_a_dimension_left_out_means_csv_without_it() -> None:
    codes = {"OMRÅDE": ["101"], "ALDER": AGES, "CIVILSTAND": ["TOT", "U"], "KØN": ["M", "K"], "Tid": ["2018", "2019"]}
    query = make_plan(RAS302, info(codes, "RAS302"), None).query
    assert (query.file_format, query.left_out) == ("CSV", ("KØN",))
    assert "KØN" not in query.header
    fixed = info(codes, "RAS302")
    stuck = [v.model_copy(update={"elimination": False}) for v in fixed.variables]
    with pytest.raises(DataRefused, match="KØN: RAS302 does not let it be left out"):
        make_plan(RAS302, fixed.model_copy(update={"variables": tuple(stuck)}), None)


@pytest.mark.parametrize(("periods", "over"), [(4, True), (1, False)])
def test_statbank_counts_columns_as_cells(periods: int, over: bool) -> None:
    # The logged refusal: 105 × 3 × 127 × 5 × 4 rows of 6 columns are «4.800.600 celler».
    sizes = {"OMRÅDE": 105, "KØN": 3, "ALDER": 127, "CIVILSTAND": 4, "Tid": periods}
    chosen = tuple(Selected(code, tuple(map(str, range(size))), True) for code, size in sizes.items())
    query = Query("FOLK1A", chosen, left_out=("X",))
    assert query.over_limit is over
    assert not Query("FOLK1A", chosen).over_limit, "BULK has no limit"


def test_halves_cover_every_period_once() -> None:
    chosen = (Selected("OMRÅDE", ("101",), True), Selected("Tid", ("2018", "2019", "2020"), True))
    halves = Query("T", chosen, ("X",)).halves()
    assert halves is not None
    first, second = halves
    assert first.variables[-1].values + second.variables[-1].values == ("2018", "2019", "2020")
    assert first.body()["variables"][-1]["values"] == ["2018"], "no longer *, which would ask for all"
    assert first.halves() is None


@pytest.mark.parametrize(
    ("source", "codes", "sentence"),
    [
        (
            selecting(FOLK1A, "CIVILSTAND", "Never maried"),
            CODES,
            r"^flows/sources/statbank_folk1a\.yml: dimension CIVILSTAND: select 'Never maried' finds no code in FOLK1A "
            r"of 2025-08-11; near it: U Never married; correct the select$",
        ),
        (FOLK1A, {**CODES, "Tid": ["2015K1"]}, r"dimension Tid: select '2016K1' finds no code .*near it: 2015K1"),
        (
            FOLK1A,
            {k: v for k, v in CODES.items() if k != "CIVILSTAND"},
            r"dimensions: CIVILSTAND is not in the table; .*correct the source file",
        ),
    ],
)
def test_what_has_changed_is_named_with_what_is_near(
    source: Source, codes: dict[str, list[str]], sentence: str
) -> None:
    with pytest.raises(DataRefused, match=sentence):
        make_plan(source, info(codes), None)


def test_a_new_dimension_stands_at_its_total_where_it_may_be_left_out() -> None:
    described = info({**CODES, "HERKOMST": ["1"]})
    assert make_plan(FOLK1A, described, None).query.left_out == ("HERKOMST",)
    assert make_plan(FOLK1A, described, None).query.file_format == "CSV"
    fixed = [
        variable.model_copy(update={"elimination": False}) if variable.id == "HERKOMST" else variable
        for variable in described.variables
    ]
    with pytest.raises(DataRefused, match="dimensions: HERKOMST is missing here; FOLK1A of 2025-08-11 has OMRÅDE"):
        make_plan(FOLK1A, described.model_copy(update={"variables": tuple(fixed)}), None)


def test_a_selector_finds_exactly_one_code() -> None:
    codes = {"OMRÅDE": ["101"], "KØN": ["M", "K"], "BEREGNING": ["BFK", "EFK"], "Tid": ["2022", "2023"]}
    assert make_plan(RAS200, info(codes, "RAS200"), None).query.variables[2].values == ("BFK",)
    with pytest.raises(DataRefused, match=r"BEREGNING: a selector must select exactly one code, not 2 \(BFK, EFK\)"):
        make_plan(selecting(RAS200, "BEREGNING", "*"), info(codes, "RAS200"), None)


def test_near_offers_something_even_when_nothing_is_alike() -> None:
    variable = info(CODES).variables[1]
    assert near("zzzz", variable) == "TOT Total, 1 text of 1, 2 text of 2"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"variables": []}, r"StatBank tableinfo: variables: .*the API may have changed"),
        ({"unit": None}, r"StatBank tableinfo: unit: "),
        ({"updated": "yesterday"}, r"StatBank tableinfo: updated: "),
    ],
)
def test_a_description_without_what_is_used_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataRefused, match=sentence):
        info(CODES, **change)


def test_a_description_needs_exactly_one_time() -> None:
    with pytest.raises(DataRefused, match="0 time variables, expected one"):
        info({"OMRÅDE": ["101"]})


def test_unknown_keys_are_let_through_and_the_stamp_is_danish_time() -> None:
    summer = info(CODES, brand_new_key={"a": 1})
    assert summer.published_at == "2025-08-11T06:00:00Z"
    assert info(CODES, updated="2025-03-25T08:00:00").published_at == "2025-03-25T07:00:00Z"


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(DataRefused, match="not UTF-8"):
        parse_tableinfo('{"id":"KØN"}'.encode("latin-1"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"errorTypeCode":"REQUEST-LIMIT","message":"For mange celler."}', "For mange celler (REQUEST-LIMIT)"),
        ("<html>", "answered 400: <html>"),
        ("", "answered 400: an empty body"),
        ("[1]", "answered 400: [1]"),
    ],
)
def test_own_words(body: str, words: str) -> None:
    assert own_words(AnsweredError("POST x/data", 400, body)) == words


def test_a_try_that_broke_off_does_not_count_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    described = info({"KØN": ["M", "K"], "Tid": ["2023"]})
    query = Query("FOLK1A", (Selected("KØN", ("M", "K"), True), Selected("Tid", ("2023",), True)))
    answer = "KØN;TID;INDHOLD\r\nM;2023;1\r\nK;2023;2\r\n".encode()
    read = pyarrow.csv.read_csv

    def slowly(*given: Any, **more: Any) -> Any:
        time.sleep(0.1)
        return read(*given, **more)

    monkeypatch.setattr(pyarrow.csv, "read_csv", slowly)
    with AnswerCheck(query, [described]) as check:
        check.begin()(answer[:-4])
        check.begin()(answer)
        assert (check.result(), check.rows) == ("Code", 2)


@pytest.mark.real
def test_recorded_descriptions_have_the_same_codes_in_both_languages(real_dir: Path) -> None:
    folder = real_dir / "statbank" / "api"
    english = parse_tableinfo((folder / "table_info_straf42.json").read_bytes())
    danish = parse_tableinfo((folder / "table_info_straf42_da.json").read_bytes())
    assert [v.codes for v in english.variables] == [v.codes for v in danish.variables]
    assert (english.unit, danish.unit) == ("Number", "Antal")
    assert english.suppressed_data_value == "0"
    # The JSON-stat answer of the same day gives the same moment in UTC.
    data = json.loads((folder / "data_straf42_json.json").read_text("utf-8"))["dataset"]
    assert english.published_at == data["updated"]
    assert data["dimension"]["HERKOMST1"]["category"]["index"].keys() <= set(english.variables[0].codes)


@pytest.mark.real
def test_recorded_csv_passes_the_check_and_tells_it_has_texts(real_dir: Path) -> None:
    folder = real_dir / "statbank" / "api"
    described = parse_tableinfo((folder / "table_info_straf42.json").read_bytes())
    query = Query("STRAF42", (Selected("HERKOMST1", ("00",), False), Selected("Tid", ("2023",), False)), ("KØN",))
    with AnswerCheck(query, [described]) as check:
        check.begin()((folder / "data_straf42_csv.csv").read_bytes())
        presentation = check.result()
    assert (check.rows, presentation) == (1, "Value")


@pytest.mark.real
def test_every_recorded_refusal_becomes_one_sentence(real_dir: Path) -> None:
    recorded = json.loads((real_dir / "statbank/api/transcribed_error_responses.json").read_text("utf-8"))["responses"]
    assert len(recorded) == 15
    for entry in recorded:
        error = AnsweredError("POST api.statbank.dk/v1/data", entry["status"], entry["body"])
        said = json.loads(entry["body"])
        assert own_words(error) == f"{said['message'].rstrip('.')} ({said['errorTypeCode']})"

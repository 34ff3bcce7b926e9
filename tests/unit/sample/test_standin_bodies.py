"""Malformed requests get StatBank's refusals, never a server fault; a fault of the stand-in's own looks like one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.sample.standin import running_standin
from tests.unit.connectors.statbank.statbank_fakes import FakeCubes, small_catalogue

pytestmark = pytest.mark.long

PERIOD = {"code": "Tid", "values": ["2015K1"]}
NO_JSON = "Medsend gyldigt JSON-objekt når der postes. / Supply valid JSON-object when posting."


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running_standin(FakeCubes(), small_catalogue()) as url, httpx.Client(base_url=url) as client:
        yield client


def ask(client: httpx.Client, variables: Any, file_format: str = "CSV", **more: Any) -> httpx.Response:
    return client.post("data", json={"table": "FOLK1A", "format": file_format, "variables": variables, **more})


def refusal(answer: httpx.Response) -> tuple[str, str]:
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["errorTypeCode", "message"]
    return answer.json()["errorTypeCode"], answer.json()["message"]


@pytest.mark.parametrize(
    "variables",
    [
        7,
        True,
        "OMRÅDE",
        {"code": "Tid"},
        ["Tid"],
        [7],
        [None],
        [PERIOD, "KØN"],
        [[PERIOD]],
        [{"code": "Tid", "values": 5}],
        [{"code": "Tid", "values": True}],
        [{"code": "Tid", "values": {"0": "2015K1"}}],
        [{"code": "Tid", "values": [["2015K1"]]}],
        [{"code": "Tid", "values": [None]}],
        [{"code": "Tid", "values": [{"id": "2015K1"}]}],
        [{"code": ["Tid"], "values": ["2015K1"]}],
        [{"code": {"id": "Tid"}, "values": ["2015K1"]}],
    ],
)
@pytest.mark.parametrize("file_format", ["CSV", "BULK"])
def test_variables_of_another_shape_are_no_request(client: httpx.Client, variables: Any, file_format: str) -> None:
    assert refusal(ask(client, variables, file_format)) == ("REQUEST-EMPTY", NO_JSON)


def test_one_text_is_one_value(client: httpx.Client) -> None:
    listed = ask(client, [{"code": "OMRÅDE", "values": ["101"]}, PERIOD])
    alone = ask(client, [{"code": "OMRÅDE", "values": "101"}, {"code": "Tid", "values": "2015K1"}])
    assert alone.status_code == 200
    assert alone.content == listed.content
    assert refusal(ask(client, [{"code": "OMRÅDE", "values": "999"}, PERIOD]))[1].endswith("999 (OMRÅDE)")


def test_numbers_in_a_list_are_codes(client: httpx.Client) -> None:
    listed = ask(client, [{"code": "KØN", "values": ["1"]}, PERIOD])
    assert ask(client, [{"code": "KØN", "values": [1]}, PERIOD]).content == listed.content


@pytest.mark.parametrize("values", [None, [], ""])
def test_no_value_is_a_value_missing(client: httpx.Client, values: Any) -> None:
    code, message = refusal(ask(client, [{"code": "OMRÅDE", "values": values}, PERIOD]))
    assert (code, message) == ("EXTRACT-NOTALLOWED", "Der skal vælges værdier for variabel: OMRÅDE")
    assert refusal(ask(client, [{"code": "OMRÅDE"}, PERIOD]))[0] == "EXTRACT-NOTALLOWED"


def test_a_variable_without_a_name_is_not_found(client: httpx.Client) -> None:
    assert refusal(ask(client, [{"values": ["*"]}]))[0] == "EXTRACT-NOTFOUND"
    assert refusal(ask(client, [{"code": 7, "values": ["*"]}])) == ("EXTRACT-NOTFOUND", "Kan ikke finde variablen: 7")


def test_no_variables_at_all_is_the_latest_total(client: httpx.Client) -> None:
    assert ask(client, None).content == ask(client, []).content == client.get("data/FOLK1A/CSV").content


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"table": "FOLK1A", "format": ' + b"9" * 10_000 + b"}",
        b'{"table": "\xff"}',
        b"null",
        b'"FOLK1A"',
        b"7",
    ],
)
def test_bodies_that_are_no_json_object(client: httpx.Client, body: bytes) -> None:
    assert refusal(client.post("data", content=body)) == ("REQUEST-EMPTY", NO_JSON)


def test_half_a_letter_in_a_name_is_answered(client: httpx.Client) -> None:
    answer = client.post("tableinfo", content=json.dumps({"table": "FOLK\ud800"}))
    assert refusal(answer) == ("EXTRACT-NOTFOUND", "Tabel findes ikke: FOLK?")


def test_a_place_too_long_to_read_is_no_value(client: httpx.Client) -> None:
    assert refusal(ask(client, [{"code": "Tid", "values": ["(" + "1" * 5_000 + ")"]}]))[0] == "EXTRACT-NOTFOUND"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ENTRY = st.fixed_dictionaries({}, optional={"code": st.sampled_from(["Tid", "KØN", 7]) | JSON, "values": JSON}) | JSON
BODY = st.fixed_dictionaries(
    {},
    optional={
        "table": st.just("RAS200") | JSON,
        "format": st.sampled_from(["CSV", "BULK"]) | JSON,
        "lang": JSON,
        "variables": st.lists(ENTRY, max_size=3) | JSON,
        "subjects": JSON,
        "pastdays": JSON,
        "includeTables": JSON,
        "timeOrder": JSON,
        "valuePresentation": JSON,
    },
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODY, path=st.sampled_from(["data", "tableinfo", "tables", "subjects"]))
def test_no_body_is_a_server_fault(client: httpx.Client, body: Any, path: str) -> None:
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        refusal(answer)


class Broken(FakeCubes):
    """A world in which nothing can be looked up."""

    def updated(self, table: str) -> Any:
        raise KeyError("no such\ntable")

    def answer(self, table: str, selection: Any) -> pa.Table:
        raise KeyError("no such cube")


class Hollow(FakeCubes):
    """A world that describes its tables and has no figures."""

    def answer(self, table: str, selection: Any) -> pa.Table:
        raise KeyError("no such cube")


def is_server_fault(answer: httpx.Response) -> bool:
    """Tell whether an answer is what a broken server gives: a 500 whose body is no JSON."""
    try:
        json.loads(answer.text)
    except ValueError:
        return answer.status_code == 500 and answer.headers["content-type"].startswith("text/html")
    return False


@pytest.mark.parametrize("path", ["tables", "tableinfo/FOLK1A", "data/FOLK1A/CSV"])
def test_what_was_not_foreseen_is_a_server_fault_and_one_line(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with running_standin(Broken(), small_catalogue()) as url:
        answer = httpx.get(f"{url}/{path}")
    assert is_server_fault(answer)
    assert "KeyError" not in answer.text
    (record,) = [record for record in caplog.records if record.name.startswith("flows")]
    assert record.levelno == logging.ERROR
    assert record.exc_info is None or not record.exc_info
    assert record.getMessage() == f"the stand-in broke while answering /v1/{path}: KeyError('no such\\ntable')"


@pytest.mark.parametrize("file_format", ["JSONSTAT", "XLSX"])
def test_an_answer_in_one_piece_breaks_before_it_begins(file_format: str, caplog: pytest.LogCaptureFixture) -> None:
    with running_standin(Hollow(), small_catalogue()) as url:
        assert is_server_fault(httpx.get(f"{url}/data/FOLK1A/{file_format}"))
    assert caplog.text.count("no such cube") == 1

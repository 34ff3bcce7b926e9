"""The lists of the stand-in, `/tables` and `/subjects`: what they hold, and how they are narrowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.sample.standin import running_standin
from tests.unit.connectors.statbank.statbank_fakes import FakeCubes, small_catalogue

pytestmark = pytest.mark.long

ALL = ["FOLK1A", "RAS200", "RAS302"]


class Dated(FakeCubes):
    """FOLK1A is 20 days old on the day the world is known at, RAS200 published that very morning, RAS302 a year old."""

    def updated(self, table: str) -> datetime:
        return {"FOLK1A": datetime(2025, 8, 11, 8), "RAS200": datetime(2025, 8, 31, 8)}.get(
            table, datetime(2024, 8, 31, 8)
        )


class Early(FakeCubes):
    """A world known before any figure was published."""

    def periods(self, table: str) -> list[str]:
        return []


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running_standin(Dated(), small_catalogue()) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def early() -> Iterator[httpx.Client]:
    with running_standin(Early(), small_catalogue()) as url, httpx.Client(base_url=url) as client:
        yield client


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry["id"] for entry in answer.json()]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ALL),
        ({"subjects": ["0"]}, ALL),
        ({"subjects": "0"}, ALL),
        ({"subjects": [0]}, ALL),
        ({"subjects": []}, ALL),
        ({"subjects": None}, ALL),
        ({"includeInactive": True}, ALL),
        ({"includeInactive": False}, ALL),
        ({"pastdays": 0}, []),
        ({"pastDays": 1}, ["RAS200"]),
        ({"pastdays": 20}, ["RAS200"]),
        ({"pastdays": "21"}, ["FOLK1A", "RAS200"]),
        ({"pastdays": 10**30}, ALL),
        ({"pastdays": -1}, []),
        ({"pastdays": None}, ALL),
        ({"subjects": ["0"], "pastdays": 1}, ["RAS200"]),
        ({"unheard": "of"}, ALL),
    ],
)
def test_tables_are_narrowed(client: httpx.Client, options: dict[str, Any], wanted: list[str]) -> None:
    assert ids(client.post("tables", json=options)) == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"subjects": "0"}, ALL),
        ({"subjects": ""}, ALL),
        ({"pastdays": "1", "format": "json"}, ["RAS200"]),
        ({"includeInactive": "true"}, ALL),
        ({"subjects": "0", "pastDays": "21"}, ["FOLK1A", "RAS200"]),
    ],
)
def test_tables_are_narrowed_in_a_get(client: httpx.Client, query: dict[str, str], wanted: list[str]) -> None:
    assert ids(client.get("tables", params=query)) == wanted


@pytest.mark.parametrize("path", ["tables", "subjects"])
def test_a_subject_that_is_not_there_is_refused(client: httpx.Client, path: str) -> None:
    danish = client.post(path, json={"subjects": ["0", "999"]})
    english = client.get(path, params={"subjects": "0,999", "lang": "en"})
    assert (danish.status_code, danish.json()["errorTypeCode"]) == (400, "EXTRACT-NOTFOUND")
    assert danish.json()["message"] == "Emne findes ikke: 999"
    assert english.json()["message"] == "Subject does not exist: 999"


@pytest.mark.parametrize("path", ["tables", "subjects"])
@pytest.mark.parametrize("subjects", [{"id": "0"}, [["0"]], [None], [{"id": "0"}]])
def test_subjects_that_are_no_list_of_ids_are_refused(client: httpx.Client, path: str, subjects: Any) -> None:
    answer = client.post(path, json={"subjects": subjects})
    assert (answer.status_code, answer.json()["errorTypeCode"]) == (400, "REQUEST-EMPTY")


@pytest.mark.parametrize("days", ["many", 1.5, [1], {}, True, ""])
def test_days_that_are_no_number_are_refused(client: httpx.Client, days: Any) -> None:
    answer = client.post("tables", json={"pastdays": days})
    assert (answer.status_code, answer.json()["errorTypeCode"]) == (400, "REQUEST-EMPTY")


SUBJECT = {"id": "0", "description": "Synthetic tables", "active": True, "hasSubjects": False, "subjects": []}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"subjects": ["0"]},
        {"recursive": True},
        {"omitEmptySubjects": True},
        {"omitSubjectsWithoutTables": True},
        {"omitInactiveSubjects": True},
        {"includeTables": False},
        # A text that is not `true` counts as false, as a logged call of the API showed.
        {"includeTables": "yes"},
    ],
)
def test_the_one_subject_stays(client: httpx.Client, options: dict[str, Any]) -> None:
    assert client.post("subjects", json={"lang": "en", **options}).json() == [SUBJECT]


@pytest.mark.parametrize("lang", ["da", "en"])
def test_subjects_with_their_tables(client: httpx.Client, lang: str) -> None:
    listed = client.get("tables", params={"lang": lang}).json()
    for answer in (
        client.get("subjects", params={"lang": lang, "includeTables": "true", "recursive": "true"}),
        client.post("subjects", json={"lang": lang, "includeTables": True, "subjects": ["0"]}),
    ):
        (subject,) = answer.json()
        assert list(subject) == [*SUBJECT, "tables"]
        assert subject["tables"] == listed


def test_a_subject_without_tables_is_empty_and_can_be_left_out(early: httpx.Client) -> None:
    assert early.get("tables").json() == []
    assert early.get("subjects", params={"lang": "en"}).json() == [SUBJECT]
    assert early.get("subjects", params={"lang": "en", "includeTables": "true"}).json() == [SUBJECT | {"tables": []}]
    for name in ("omitEmptySubjects", "omitSubjectsWithoutTables"):
        assert early.get("subjects", params={name: "true"}).json() == []
        assert early.get("subjects", params={name: "false"}).json() != []


@pytest.mark.parametrize("path", ["tableinfo", "data"])
def test_a_table_without_periods_is_not_there(early: httpx.Client, path: str) -> None:
    answer = early.post(path, json={"table": "folk1a", "format": "CSV"})
    assert (answer.status_code, answer.json()["errorTypeCode"]) == (400, "EXTRACT-NOTFOUND")
    assert answer.json()["message"] == "Tabel findes ikke: folk1a"


def kinds(value: Any) -> Any:
    """Return the shape of an answer: names and kinds of values, the first entry standing for a list."""
    if isinstance(value, dict):
        return {name: kinds(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [kinds(entry) for entry in value[:1]]
    return type(value).__name__


@pytest.mark.real
@pytest.mark.parametrize("lang", ["da", "en"])
def test_the_lists_have_the_shape_of_the_recorded_ones(client: httpx.Client, real_dir: Path, lang: str) -> None:
    for path in ("tables", "subjects"):
        recorded = json.loads((real_dir / f"statbank/api/{path}_{lang}.json").read_text("utf-8"))
        ours = client.get(path, params={"lang": lang, "format": "json"}).json()
        assert kinds(ours) == kinds(recorded)
        assert list(ours[0]) == list(recorded[0])
        assert all(entry["active"] for entry in recorded)


@pytest.mark.real
@pytest.mark.parametrize(("lang", "name"), [("en", "table_info_straf42"), ("da", "table_info_straf42_da")])
def test_a_description_has_the_shape_of_the_recorded_one(
    client: httpx.Client, real_dir: Path, lang: str, name: str
) -> None:
    recorded = json.loads((real_dir / f"statbank/api/{name}.json").read_text("utf-8"))
    ours = client.get("tableinfo/RAS302", params={"lang": lang}).json()
    assert kinds({**ours, "variables": ours["variables"][1:]}) == kinds(recorded)
    assert [list(ours[key]) for key in ("documentation", "footnote")] == [
        list(recorded[key]) for key in ("documentation", "footnote")
    ]
    assert list(ours["variables"][1]) == list(recorded["variables"][0])
    assert list(ours["variables"][-1]) == list(recorded["variables"][-1])


@pytest.mark.real
@pytest.mark.parametrize("lang", ["da", "en"])
def test_known_tables_are_described_in_the_recorded_words(client: httpx.Client, real_dir: Path, lang: str) -> None:
    recorded = json.loads((real_dir / f"statbank/api/tables_{lang}.json").read_text("utf-8"))
    theirs = next(table for table in recorded if table["id"] == "FOLK1A")
    ours = client.get("tables", params={"lang": lang}).json()[0]
    for key in ("id", "unit", "firstPeriod", "latestPeriod", "active", "variables", "updated"):
        assert ours[key] == theirs[key]

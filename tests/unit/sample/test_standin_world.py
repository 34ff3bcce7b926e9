"""The sample world through stand-in and connector: what arrives is what the cubes say, in every form."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook

from flows.connectors import FetchOptions
from flows.connectors.http import open_client
from flows.connectors.statbank.client import canonical_rows, fetch_all
from flows.sample.asked import Changes
from flows.sample.cubes import RECIPES, Cubes
from flows.sample.world import build_world
from flows.store.snapshots import SnapshotStore
from tests.fixtures.standin_faults import Script, running_standin
from transforms.catalogue import Catalogue, load_catalogue


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Return the sources there are, and one of a table that has no recipe of its own, as new-source writes it."""
    known = load_catalogue()
    assert "RAS210" not in RECIPES
    unknown = known.source("statbank_ras201").model_copy(update={"id": "statbank_ras210", "table": "RAS210"})
    return Catalogue({**known.sources, unknown.id: unknown}, known.codelists)


@pytest.fixture(scope="module")
def base(catalogue: Catalogue) -> Iterator[str]:
    with running_standin(Cubes(build_world(), catalogue), catalogue) as url:
        yield url


def test_every_table_is_described_without_simulating(base: str, catalogue: Catalogue) -> None:
    wanted = sorted(str(source.table) for source in catalogue.sources.values() if source.connector == "statbank")
    assert {*RECIPES, "RAS210"} <= set(wanted)
    assert [table["id"] for table in httpx.get(f"{base}/tables").json()] == wanted


@pytest.mark.parametrize("path", ["tableinfo/RAS999", "data/RAS999/CSV"])
def test_a_table_that_is_no_source_is_not_found(base: str, path: str) -> None:
    answer = httpx.get(f"{base}/{path}")
    assert answer.status_code == 400
    assert answer.json() == {"errorTypeCode": "EXTRACT-NOTFOUND", "message": "Tabel findes ikke: RAS999"}


def test_a_table_without_a_recipe_divides_the_inhabitants(catalogue: Catalogue) -> None:
    source = catalogue.source("statbank_ky038").model_copy(update={"id": "statbank_ky999", "table": "KY999"})
    cubes = Cubes(build_world(), Catalogue({source.id: source}, catalogue.codelists))
    leaves = [code.code for code in catalogue.codes(source, "HERKOMST1") if code.kind == "leaf"]
    asked = {"OMRÅDE": ["101"], "YDELSESTYPE": ["10000"], "HERKOMST": ["00"], "TID": [cubes.periods("KY999")[-1]]}
    (whole,) = cubes.answer("KY999", {**asked, "HERKOMST1": ["TOT"]})["value"].to_pylist()
    parts = cubes.answer("KY999", {**asked, "HERKOMST1": leaves})["value"].to_pylist()
    assert len(parts) > 1
    assert float(whole) > 0
    assert sum(map(float, parts)) == float(whole)


def test_a_table_the_server_does_not_know_is_not_asked_for_again_and_fails_alone(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    sources = [catalogue.source(f"statbank_{table}") for table in ("ras210", "ky038")]
    script = Script()
    fewer = load_catalogue()
    with running_standin(Cubes(build_world(), fewer), fewer, script) as url, open_client(url) as client:
        unknown, known = fetch_all(client, sources, SnapshotStore(tmp_path), catalogue, FetchOptions("sample"))
    assert (unknown.status, unknown.snapshot) == ("failed", None)
    assert "RAS210 (EXTRACT-NOTFOUND)" in unknown.message
    assert known.status == "new", known.message
    asked = [request for request in script.requests if "RAS210" in request]
    assert asked
    assert len(asked) == len(set(asked)), "a refusal is not asked for again"


def test_a_table_not_yet_published_at_the_vintage_is_not_there(catalogue: Catalogue) -> None:
    then = Cubes(build_world(persons=1_000, vintage=date(2021, 10, 31)), catalogue)
    assert then.periods("FOLK1AM") == []
    with running_standin(then, catalogue) as url:
        listed = httpx.get(f"{url}/tables").json()
        answer = httpx.get(f"{url}/tableinfo/FOLK1AM")
        week = httpx.get(f"{url}/tables", params={"pastdays": "90"}).json()
    tables = {str(source.table) for source in catalogue.sources.values() if source.connector == "statbank"}
    assert [table["id"] for table in listed] == sorted(tables - {"FOLK1AM"})
    assert (answer.status_code, answer.json()["message"]) == (400, "Tabel findes ikke: FOLK1AM")
    recent = [table["id"] for table in listed if table["updated"] > "2021-08-02T23:59:59"]
    assert recent
    assert [table["id"] for table in week] == recent


def test_bulk_csv_jsonstat_and_xlsx_tell_the_same(base: str) -> None:
    values = {"OMRÅDE": ["101", "411"], "KØN": ["TOT"], "ALDER": ["IALT"], "CIVILSTAND": ["TOT"], "Tid": ["2015K1"]}
    variables = [{"code": code, "values": codes} for code, codes in values.items()]

    def ask(file_format: str) -> httpx.Response:
        body: dict[str, Any] = {"table": "FOLK1A", "format": file_format, "lang": "en", "variables": variables}
        return httpx.post(f"{base}/data", json=body)

    bulk = [line.rsplit(";", 1)[1] for line in ask("BULK").text.splitlines()[1:]]
    csv = [line.rsplit(";", 1)[1] for line in ask("CSV").text.splitlines()[1:]]
    stat = ask("JSONSTAT").json()["dataset"]["value"]
    sheet = load_workbook(io.BytesIO(ask("XLSX").content)).active
    assert sheet is not None
    cells = [sheet.cell(row, 5).value for row in (4, 5)]
    assert bulk == csv == [str(value) for value in stat] == [str(value) for value in cells]
    assert int(bulk[0]) > 300_000, "København"


def test_sources_arrive_whole_also_with_dimensions_left_out(base: str, catalogue: Catalogue, tmp_path: Path) -> None:
    sources = [catalogue.source(f"statbank_{table}") for table in ("regk31", "bol101", "ras200")]
    with open_client(base) as client:
        results = fetch_all(client, sources, SnapshotStore(tmp_path), catalogue, FetchOptions("sample"))
    assert [result.status for result in results] == ["new"] * 3, [result.message for result in results]
    snapshots = [result.snapshot for result in results if result.snapshot]
    assert [s.manifest.data_files[0].format for s in snapshots] == ["bulk", "csv", "bulk"]
    assert all(s.manifest.synthetic for s in snapshots)


def test_a_closed_table_and_a_new_code_can_be_switched_on(catalogue: Catalogue, tmp_path: Path) -> None:
    changes = Changes(frozenset({"KY038"}), {"INDOPH1": {"OPHGR1": ("53",)}})
    sources = [catalogue.source("statbank_ky038"), catalogue.source("statbank_indoph1")]
    world = Cubes(build_world(), catalogue)
    with running_standin(world, catalogue, changes=changes) as url, open_client(url) as client:
        closed, new = fetch_all(client, sources, SnapshotStore(tmp_path), catalogue, FetchOptions("sample"))
    assert "KY038 is closed" in closed.trouble
    assert new.status == "new"
    [note] = new.notes
    assert 'code 53 "Ny kode 53" ("New code 53") of OPHGR1 is new: add it to first_permit' in note
    assert new.snapshot is not None
    rows = canonical_rows(sources[1], new.snapshot, catalogue, tmp_path / "work")
    assert [code.text_da for code in rows.new_codes["OPHGR1"]] == ["Ny kode 53"]


def test_the_country_may_be_left_out_of_the_question(base: str) -> None:
    with open_client(base) as client:
        body = {"table": "FOLK1A", "format": "CSV", "lang": "en", "variables": [{"code": "Tid", "values": ["(1)"]}]}
        answer = client.post("data", json=body).content.decode("utf-8-sig").splitlines()
    assert answer[0] == "TID;INDHOLD"
    assert len(answer) == 2


def test_json_stat_has_the_variables_in_the_table_s_order(base: str) -> None:
    with open_client(base) as client:
        variables = [{"code": code, "values": ["TOT"]} for code in ("CIVILSTAND", "KØN")]
        body = {"table": "FOLK1A", "format": "JSONSTAT", "variables": variables}
        found = client.post("data", json=body).json()["dataset"]["dimension"]["id"]
    assert found == ["KØN", "CIVILSTAND", "ContentsCode", "Tid"]

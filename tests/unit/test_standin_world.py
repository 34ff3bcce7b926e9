"""The sample world through stand-in and connector: what arrives is what the cubes say, in every form."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook

from flows.connectors.http import open_client
from flows.connectors.statbank import fetch_all
from flows.sample.cubes import Cubes
from flows.sample.standin import running_standin
from flows.sample.world import build_world
from flows.snapshots import SnapshotStore
from transforms.catalogue import Catalogue, load_catalogue


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def base(catalogue: Catalogue) -> Iterator[str]:
    with running_standin(lambda: Cubes(build_world(), catalogue), catalogue) as url:
        yield url


def test_every_table_is_described_without_simulating(base: str, catalogue: Catalogue) -> None:
    wanted = sorted(source.table for source in catalogue.sources.values() if source.table)
    assert [table["id"] for table in httpx.get(f"{base}/tables").json()] == wanted


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
        results = fetch_all(client, sources, SnapshotStore(tmp_path), origin="sample")
    assert [result.status for result in results] == ["new"] * 3, [result.message for result in results]
    snapshots = [result.snapshot for result in results if result.snapshot]
    assert [s.manifest.data_files[0].format for s in snapshots] == ["bulk", "csv", "bulk"]
    assert all(s.manifest.synthetic for s in snapshots)

"""Cells equal to `suppressedDataValue` are left out of BULK, however many decimals they print, and come back as 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from flows.connectors import FetchOptions
from flows.connectors.http import open_client
from flows.connectors.statbank.client import canonical_rows, fetch_source
from flows.sample.standin import running_standin
from flows.store.snapshots import SnapshotStore
from tests.unit.connectors.statbank.statbank_fakes import FakeCubes, small_catalogue
from tests.unit.expectations.expectations_help import CATALOGUE, build
from transforms.dictionary import load_dictionary
from transforms.load import load_staging
from transforms.tables import ROOT, read_sql_file

PRINTED = {"000": "41.0", "101": "0.0", "147": "-0.0", "155": "0.1", "157": "-0.5", "159": "0.00", "161": "10.0"}
ZERO = {"101", "147", "159"}
FULL = {"KØN": ["M"], "BEREGNING": ["BFK"], "Tid": ["2015"]}


class Rates(FakeCubes):
    """RAS200 with zeros as a table with decimals prints them; areas not listed are withheld."""

    def _values(
        self, table: str, selection: Mapping[str, list[str]], columns: dict[str, pa.Array], rows: int
    ) -> pa.Array:
        if table != "RAS200":
            return super()._values(table, selection, columns, rows)
        return pa.array([PRINTED.get(area, "..") for area in columns["OMRÅDE"].to_pylist()])


@pytest.mark.parametrize("lang", ["da", "en"])
def test_a_zero_with_decimals_is_left_out_of_bulk_and_stands_in_csv(lang: str) -> None:
    variables = [{"code": "OMRÅDE", "values": [*PRINTED, "411"]}]
    variables += [{"code": code, "values": codes} for code, codes in FULL.items()]
    body = {"table": "RAS200", "lang": lang, "valuePresentation": "Code", "variables": variables}
    with running_standin(Rates(), small_catalogue()) as url:
        csv, bulk = (
            {
                line.split(";")[0]: line.split(";")[-1].replace(",", ".")
                for line in httpx.post(f"{url}/data", json=body | {"format": name}).text.splitlines()[1:]
            }
            for name in ("CSV", "BULK")
        )
    assert csv == PRINTED | {"411": ".."}
    assert bulk == {area: value for area, value in csv.items() if area not in ZERO}


def test_the_pipeline_restores_the_zero_cells_of_rates(tmp_path: Path) -> None:
    catalogue, source = CATALOGUE, CATALOGUE.source("statbank_ras200")
    with running_standin(Rates(), catalogue) as url, open_client(url) as client:
        snapshot = fetch_source(
            client, source, SnapshotStore(tmp_path / "snapshots"), catalogue, FetchOptions("sample")
        ).snapshot
    assert snapshot is not None
    query = snapshot.manifest.query
    cells = math.prod(len(codes) for codes in query["rectangle"].values())
    with build() as warehouse:
        given = canonical_rows(source, snapshot, catalogue, tmp_path / "work")
        count = load_staging(
            warehouse, read_sql_file(ROOT / "staging" / "statbank_ras200.sql"), given, load_dictionary()
        )
        found = warehouse.rows(
            "SELECT area_code, value::DOUBLE, value_status::VARCHAR, _is_filled, count(*) "
            "FROM staging.statbank_ras200 GROUP BY ALL"
        )
    per_area = cells // len(query["rectangle"]["OMRÅDE"])
    assert {row[0]: row[1:] for row in found if row[0] in PRINTED} == {
        area: (0, "zero", True, per_area) if area in ZERO else (float(printed), "observed", False, per_area)
        for area, printed in PRINTED.items()
    }
    assert {row[1:4] for row in found if row[0] not in PRINTED} == {(None, "suppressed", False)}
    assert (count.rows_loaded, count.rows_filled) == (cells - len(ZERO) * per_area, len(ZERO) * per_area)

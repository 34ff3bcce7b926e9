"""From an answer over loopback to a staging table: absent cells become zero, and nothing is ever in memory whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from flows.connectors import FetchOptions
from flows.connectors.http import open_client
from flows.connectors.statbank.client import canonical_rows, fetch_source
from flows.sample.standin import running_standin
from flows.store.snapshots import SnapshotStore
from tests.unit.connectors.statbank.statbank_fakes import FakeCubes
from transforms import tables
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.load import load_staging
from transforms.tables import ROOT, read_sql_file
from transforms.warehouse import Warehouse

SOURCE = "statbank_folk1e"
CHECK_MANY_ROWS = """
import sys
import pyarrow.csv
from flows.connectors.http import open_client, stream_to_file
from flows.connectors.statbank.client import AnswerCheck
from flows.connectors.statbank.query import Query, Selected
import httpx, pathlib

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) // 1024

class Body(httpx.SyncByteStream):
    def __init__(self, parts):
        self.parts = parts
    def __iter__(self):
        yield b"A;TID;INDHOLD\\r\\n"
        for part in range(self.parts):
            yield b"".join(b"%d;2016;%d\\r\\n" % (n % 500, n) for n in range(part * 50_000, (part + 1) * 50_000))

query = Query("X", (Selected("A", tuple(map(str, range(500))), True), Selected("Tid", ("2016",) * 100_000, True)))
for parts in (10, 80):
    before = peak()
    with open_client("http://127.0.0.1") as client, AnswerCheck(query, []) as check:
        client._transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Body(parts)))
        got = stream_to_file(client, client.build_request("GET", "x"), pathlib.Path(sys.argv[1]), on_begin=check.begin)
        found = check._end()
print(got.bytes // 1_000_000, check.rows, len(found[0][1]), peak() - before)
"""


class ChildlessCubes(FakeCubes):
    """Cubes in which nobody is 66 years old: BULK leaves those cells out."""

    def _values(
        self, table: str, selection: Mapping[str, list[str]], columns: dict[str, pa.Array], rows: int
    ) -> pa.Array:
        numbers = pa.array(range(1, rows + 1), pa.int64()).cast(pa.string())
        return pc.if_else(pc.equal(columns["ALDER"], "66"), "0", numbers)


def periods(self: FakeCubes, table: str) -> list[str]:
    return ["2015K1", "2016K1", "2016K2"]


def test_the_cells_bulk_leaves_out_are_zero_in_staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChildlessCubes, "periods", periods)
    catalogue, dictionary = load_catalogue(), load_dictionary()
    source, file = catalogue.sources[SOURCE], read_sql_file(ROOT / "staging" / f"{SOURCE}.sql")
    store = SnapshotStore(tmp_path / "snapshots")
    with running_standin(ChildlessCubes(), catalogue) as base, open_client(base) as client:
        snapshot = fetch_source(client, source, store, catalogue, FetchOptions("sample")).snapshot
    assert snapshot is not None
    rectangle = snapshot.manifest.query["rectangle"]
    assert rectangle["TID"] == ["2015K1", "2016K1"], "the codes of tableinfo that the source selects"
    assert b";66;" not in snapshot.data_paths()[0].read_bytes()
    nobody = len(rectangle["OMRÅDE"]) * len(rectangle["HERKOMST"]) * 2

    with Warehouse.open(temp_directory=tmp_path / "spill") as warehouse:
        tables.prepare(warehouse)
        tables.build_table(warehouse, read_sql_file(ROOT / "quarantine" / "row.sql"), dictionary)
        given = canonical_rows(source, snapshot, catalogue, tmp_path / "work")
        count = load_staging(warehouse, file, given, dictionary)
        found = warehouse.rows(
            f"SELECT age_code, value, value_status, _is_filled, count(*) FROM {file.table} "
            "WHERE age_code = '66' GROUP BY ALL"
        )
        others = warehouse.rows(f"SELECT DISTINCT _is_filled FROM {file.table} WHERE age_code <> '66'")
    assert (count.rows_filled, count.rows_rejected) == (nobody, 0)
    assert found == [("66", 0, "zero", True, nobody)]
    assert others == [(False,)]


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's own figure of memory is needed")
def test_a_large_answer_is_never_in_memory_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHECK_MANY_ROWS, str(tmp_path / "x.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    megabytes, rows, codes, grown = map(int, done.stdout.split())
    assert (rows, codes) == (4_000_000, 500)
    assert megabytes > 60
    assert grown < 20, "what a small answer takes, a large one takes too"

"""The StatBank connector against the stand-in: downloads, snapshots, and every bad night it may meet."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.connectors import FetchOptions, FetchResult
from flows.connectors.http import Patience, open_client
from flows.connectors.statbank import client
from flows.connectors.statbank.client import download, fetch_all, fetch_source
from flows.connectors.statbank.query import make_plan, parse_tableinfo, tableinfo_bytes
from flows.store.snapshots import SnapshotStore
from tests.faults.network import closed_for_maintenance
from tests.fixtures.standin_faults import Fault, Script, running_standin
from tests.unit.connectors.statbank.statbank_fakes import FOLK1A, RAS200, RAS302, FakeCubes, small_catalogue
from transforms.errors import DataRefused

QUICK = Patience(attempts=3, wait_initial=0.01, wait_max=0.02, retry_after_max=0.05)
CATALOGUE = small_catalogue()
OPTIONS = FetchOptions(origin="sample", patience=QUICK)


class World:
    """A running stand-in with its cubes and script, a client, and an empty snapshot store."""

    def __init__(self, url: str, cubes: FakeCubes, script: Script, folder: Path):
        self.cubes = cubes
        self.script = script
        self.folder = folder
        self.client = open_client(url)
        self.client.timeout = httpx.Timeout(0.5, connect=10.0)
        self.store = SnapshotStore(folder / "snapshots")

    def fetch(self, source: Any = FOLK1A) -> FetchResult:
        return fetch_source(self.client, source, self.store, CATALOGUE, OPTIONS)

    def data_requests(self) -> list[str]:
        return [request for request in self.script.requests if "/v1/data" in request]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, FakeCubes, Script]]:
    cubes, script = FakeCubes(), Script()
    with running_standin(cubes, small_catalogue(), script) as url:
        yield url, cubes, script


@pytest.fixture
def world(served: tuple[str, FakeCubes, Script], tmp_path: Path) -> Iterator[World]:
    url, cubes, script = served
    script.faults, script.requests = [], []
    world = World(url, cubes, script, tmp_path)
    yield world
    world.client.close()


def test_metadata_through_the_client(world: World) -> None:
    info = parse_tableinfo(tableinfo_bytes(world.client, "folk1a", "da"))
    assert info.published_at == "2025-08-11T06:00:00Z"
    with pytest.raises(DataRefused, match=r"StatBank NOPE: Table does not exist: NOPE \(EXTRACT-NOTFOUND\)"):
        tableinfo_bytes(world.client, "NOPE", "en")


def test_a_new_extract_becomes_a_snapshot(world: World) -> None:
    result = world.fetch()
    assert result.status == "new"
    assert result.snapshot is not None
    manifest = result.snapshot.manifest
    # 105 areas × 3 ages × 2 periods, less the zero cells of those aged 111
    assert result.message == "420 rows"
    assert (manifest.origin, manifest.synthetic, manifest.language) == ("sample", True, "en")
    assert manifest.published_at == "2025-08-11T06:00:00Z"
    assert manifest.tableinfo == "tableinfo.en.json"
    assert {f.name: f.format for f in manifest.files} == {
        "folk1a.csv": "bulk",
        "tableinfo.da.json": "tableinfo",
        "tableinfo.en.json": "tableinfo",
    }
    rectangle = manifest.query["rectangle"]
    assert list(rectangle) == ["OMRÅDE", "KØN", "ALDER", "CIVILSTAND", "TID"]
    assert (len(rectangle["OMRÅDE"]), rectangle["TID"]) == (105, ["2015K1", "2016K1"])
    data = (result.snapshot.path / "folk1a.csv").read_bytes()
    assert data.startswith("OMRÅDE;KØN;ALDER;CIVILSTAND;TID;INDHOLD\r\n".encode())
    assert b"\r\n101;TOT;IALT;TOT;2015K1;" in data
    assert json.loads((result.snapshot.path / "tableinfo.da.json").read_text("utf-8"))["unit"] == "Antal"


def test_the_request_asks_for_codes_and_point_decimals(world: World) -> None:
    world.fetch(RAS200)
    body = json.loads(world.data_requests()[0].split(" ", 2)[2])
    assert (body["format"], body["valuePresentation"], body["lang"]) == ("BULK", "Code", "en")
    assert "timeOrder" not in body
    assert body["variables"][0] == {"code": "OMRÅDE", "values": ["*"]}
    assert body["variables"][-1] == {"code": "Tid", "values": ["2022", "2023"]}


def test_nothing_new_is_not_downloaded(world: World) -> None:
    first = world.fetch()
    world.script.requests.clear()
    second = world.fetch()
    assert (second.status, second.snapshot) == ("unchanged", first.snapshot)
    assert second.message == "not updated since 2025-08-11 08:00"
    assert world.data_requests() == []


def test_another_query_is_downloaded_again(world: World) -> None:
    world.fetch()
    wider = FOLK1A.model_copy(
        update={"dimensions": [*FOLK1A.dimensions[:-1], FOLK1A.time.model_copy(update={"select": ["*K1"]})]}
    )
    assert world.fetch(wider).status == "new"
    assert len(world.store.of("statbank_folk1a")) == 2


def test_a_new_stamp_with_the_same_bytes_is_taken_once(world: World) -> None:
    first = world.fetch()
    world.script.faults = [Fault("/tableinfo", times=9, replace=(b"2025-08-11T08:00:00", b"2025-11-10T08:00:00"))]
    second = world.fetch()
    assert second.status == "new"
    assert first.snapshot is not None
    assert second.snapshot is not None
    assert second.snapshot.manifest.digest == first.snapshot.manifest.digest
    assert second.snapshot.manifest.published_at == "2025-11-10T07:00:00Z"
    third = world.fetch()
    assert (third.status, third.snapshot) == ("unchanged", second.snapshot)
    assert len(world.data_requests()) == 2, "the night after downloads nothing"


def test_dimensions_left_out_are_fetched_as_csv_by_period(world: World) -> None:
    result = world.fetch(RAS302)
    assert result.snapshot is not None
    # 105 areas × 127 ages × 5 × 6 years of 5 columns is two million cells: three requests of at most a million.
    bodies = [json.loads(request.split(" ", 2)[2]) for request in world.data_requests()]
    assert {body["format"] for body in bodies} == {"CSV"}
    assert all("KØN" not in [v["code"] for v in body["variables"]] for body in bodies)
    asked = [v["values"] for body in bodies for v in body["variables"] if v["code"] == "Tid"]
    assert sorted(period for values in asked for period in values) == [str(year) for year in range(2018, 2024)]
    assert result.message == f"{105 * 127 * 5 * 6:,} rows"
    assert result.snapshot.manifest.query["left_out"] == ["KØN"]
    assert [file.format for file in result.snapshot.manifest.data_files] == ["csv"] * len(bodies)


def test_a_limit_stricter_than_known_splits_further(world: World) -> None:
    message = "Forespørgslen på op mod 9.999.999 celler er over begrænsningen på 1.000.000 celler for denne filtype."
    body = json.dumps({"errorTypeCode": "REQUEST-LIMIT", "message": message})
    world.script.faults = [Fault(status=400, body=body, content_type="text/json; charset=utf-8")]
    total = RAS302.dimensions[2].model_copy(update={"select": ["TOT"]})
    narrow = RAS302.model_copy(update={"dimensions": [*RAS302.dimensions[:2], total, *RAS302.dimensions[3:]]})
    result = world.fetch(narrow)
    assert result.message == f"{105 * 127 * 6:,} rows"
    assert len(world.data_requests()) == 3, "one that was too large, and its two halves"


def test_one_period_over_the_limit_is_refused_with_the_way_out(world: World) -> None:
    body = json.dumps({"errorTypeCode": "REQUEST-LIMIT", "message": "for mange"})
    world.script.faults = [Fault(times=99, status=400, body=body)]
    with pytest.raises(DataRefused, match=r"statbank_ras302\.yml: one period of RAS302 is over .* select all of KØN"):
        world.fetch(RAS302)


def test_statbanks_own_words_reach_the_reader(world: World) -> None:
    body = json.dumps({"errorTypeCode": "EXTRACT-NOTFOUND", "message": "Kan ikke finde variablen: KØN"})
    world.script.faults = [Fault(times=99, status=400, body=body)]
    with pytest.raises(DataRefused, match=r"refused FOLK1A: Kan ikke finde variablen: KØN \(EXTRACT-NOTFOUND\)"):
        world.fetch()
    assert len(world.data_requests()) == 1, "a refused request is not repeated"


PASSING: dict[str, Callable[[], Fault]] = {
    "500": lambda: Fault(status=500),
    "502 twice": lambda: Fault(status=502, times=2),
    "429 with Retry-After": lambda: Fault(status=429, retry_after="1"),
    "503 with a date": lambda: Fault(status=503, retry_after="Sun, 22 Nov 2026 08:00:00 GMT"),
    "dropped at once": lambda: Fault(drop_after=0),
    "dropped in the middle": lambda: Fault(drop_after=3000),
    "silence": lambda: Fault(stall_after=2000, seconds=30),
    "tableinfo fails too": lambda: Fault("/tableinfo", times=2, status=504),
}


@pytest.mark.long
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_passing_trouble_ends_with_the_whole_extract(world: World, fault: Callable[[], Fault]) -> None:
    world.script.faults = [fault()]
    result = world.fetch()
    assert (result.status, result.message) == ("new", "420 rows")
    assert world.script.faults[0].played == world.script.faults[0].times


LASTING: dict[str, tuple[Fault, str]] = {
    "server down": (Fault(times=99, status=503), r"answered 503; given up after 3 tries"),
    "always dropped": (Fault(times=99, drop_after=3000), r"the connection broke .*given up after 3 tries"),
    "maintenance page": (closed_for_maintenance(times=99), r"HTML page instead of data"),
    "redirect": (Fault(times=99, status=302, location="https://evil.example/"), r"redirected to evil\.example"),
    "cut in a line": (Fault(times=99, cut_after=3003), r"cut off in its last line"),
    "cut after the header": (Fault(times=99, cut_after=45), r"no rows|cut off"),
    "nothing at all": (Fault(times=99, cut_after=0), r"the columns are "),
    "renamed column": (Fault(times=99, replace=(b"CIVILSTAND", b"STAND")), r"columns are OMR.*;STAND;.*asked for"),
    "extra column": (Fault(times=99, replace=(b"TID;INDHOLD", b"TID;ENHED;INDHOLD")), r"columns are"),
    "changed code": (
        Fault(times=99, replace=(b"\r\n101;", b"\r\n1O1;")),
        r"column OMRÅDE holds '1O1', which tableinfo does not have; near it: ",
    ),
    "not asked for": (Fault(times=99, replace=(b"2016K1", b"2017K1")), r"'2017K1', which was not asked for"),
    "lost period": (Fault(times=99, replace=(b"2016K1", b"2015K1")), r"no row for 1 of 2 periods, first 2016K1"),
    "latin-1": (Fault(times=99, charset="latin-1"), r"not UTF-8"),
    "repeated rows": (Fault(times=99, replace=(b"\r\n", b"\r\n101;TOT;IALT;TOT;2015K1;1\r\n")), r"come twice"),
    "tableinfo is HTML": (closed_for_maintenance("/tableinfo", 99), r"HTML page instead of data"),
    "tableinfo is no JSON": (
        Fault("/tableinfo", times=99, cut_after=500),
        r"StatBank tableinfo of \w+: .*may have changed",
    ),
    "variable renamed": (
        Fault("/tableinfo", times=99, replace=('"id":"KØN"'.encode(), b'"id":"KOEN"')),
        r"statbank_folk1a\.yml: dimensions: KØN is not in the table; KOEN is missing here",
    ),
    "code withdrawn": (
        Fault("/tableinfo", times=99, replace=(b'"id":"2016K1"', b'"id":"2016K1X"')),
        r"statbank_folk1a\.yml: dimension Tid: select '2016K1' finds no code .* near it: 2016K1X",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize(("fault", "sentence"), LASTING.values(), ids=LASTING.keys())
def test_lasting_trouble_is_one_sentence_and_keeps_what_there_was(world: World, fault: Fault, sentence: str) -> None:
    kept = world.fetch().snapshot
    assert kept is not None
    fault.played = 0
    newer = Fault("/tableinfo", times=99, replace=(b"2025-08-11T08", b"2025-08-12T08"))
    world.script.faults = [fault, newer]
    (result,) = fetch_all(world.client, [FOLK1A], world.store, CATALOGUE, OPTIONS)
    assert (result.status, result.snapshot) == ("failed", kept)
    assert "\n" not in result.message
    assert re.search(sentence, result.message), result.message
    assert world.store.of("statbank_folk1a") == [kept]
    assert sorted(p.name for p in world.store.root.iterdir()) == ["statbank_folk1a"]


def test_a_figure_that_has_lost_its_last_digit_is_no_figure(world: World) -> None:
    kept = world.fetch().snapshot
    assert kept is not None
    whole = kept.data_paths()[0].read_bytes()
    newer = Fault("/tableinfo", times=99, replace=(b"2025-08-11T08", b"2025-08-12T08"))
    for lost in (3, 2, 1):  # the last digit, the line end, half of it
        world.script.faults = [Fault(times=99, cut_after=len(whole) - lost), newer]
        with pytest.raises(DataRefused, match="cut off in its last line"):
            world.fetch()
    assert world.store.of(FOLK1A.id) == [kept]


def test_a_csv_that_lacks_a_row_is_not_whole(world: World) -> None:
    kept = world.fetch(RAS302).snapshot
    assert kept is not None
    lost = kept.data_paths()[0].read_bytes().splitlines(keepends=True)[-1]
    newer = Fault("/tableinfo", times=99, replace=(b"2025-08-11T08", b"2025-08-12T08"))
    world.script.faults = [Fault(times=99, replace=(lost, b"")), newer]
    with pytest.raises(DataRefused, match=r"rows of [\d,]+; the answer is not whole, fetch again"):
        world.fetch(RAS302)


def test_every_code_that_is_gone_is_named_at_once(world: World) -> None:
    time = FOLK1A.time.model_copy(update={"select": ["2016K1", "2031K1", "2032K1"]})
    asked = FOLK1A.model_copy(update={"dimensions": [*FOLK1A.dimensions[:-1], time]})
    with pytest.raises(DataRefused, match=r"select '2031K1' finds .*; select '2032K1' finds .* near it"):
        world.fetch(asked)


def test_absent_cells_that_are_not_zero_are_refused(world: World) -> None:
    world.script.faults = [
        Fault("/tableinfo", times=99, replace=(b'"suppressedDataValue":"0"', b'"suppressedDataValue":".."'))
    ]
    with pytest.raises(DataRefused, match=r"leave out the cells that are '\.\.', not those that are 0"):
        world.fetch()
    assert world.data_requests() == []


def test_a_broken_manifest_leaves_the_other_sources_be(world: World) -> None:
    kept = world.fetch().snapshot
    assert kept is not None
    (kept.path / "manifest.json").write_text("{", encoding="utf-8")
    broken, whole = fetch_all(world.client, [FOLK1A, RAS200], world.store, CATALOGUE, OPTIONS)
    assert (broken.status, whole.status) == ("failed", "new")
    assert "not a readable manifest" in broken.message


@pytest.mark.parametrize("way", ["Value", "CodeAndValue", "ValueAndCode"])
def test_texts_instead_of_codes_are_accepted_and_told(world: World, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # BULK was seen to answer with texts whatever was asked for; here the same answer comes from asking for it.
    monkeypatch.setattr("flows.connectors.statbank.query.PRESENTATION", way)
    result = world.fetch()
    assert result.status == "new"
    assert result.message == f"420 rows, written as {way} though codes were asked for"


def test_a_body_without_end_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BYTES", 2_000_000)
    world.script.faults = [Fault(endless=True)]
    with pytest.raises(DataRefused, match="more than 2,000,000 bytes"):
        world.fetch()
    assert world.store.of("statbank_folk1a") == []


def test_one_failing_source_does_not_stop_the_others(world: World) -> None:
    world.script.faults = [Fault('"table":"RAS200"', times=99, status=503)]
    results = fetch_all(world.client, [RAS200, FOLK1A, RAS302], world.store, CATALOGUE, OPTIONS)
    assert [result.source_id for result in results] == ["statbank_ras200", "statbank_folk1a", "statbank_ras302"]
    assert [result.status for result in results] == ["failed", "new", "new"]
    assert results[0].snapshot is None
    assert "answered 503" in results[0].message


def test_a_full_disk_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flows.connectors.statbank.client.tempfile.TemporaryDirectory", full)
    (result,) = fetch_all(world.client, [FOLK1A], world.store, CATALOGUE, FetchOptions(patience=QUICK))
    assert (result.status, result.message) == ("failed", "[Errno 28] No space left on device")


def test_four_are_fetched_at_once_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = []
    most: list[int] = []
    all_four = threading.Barrier(4)
    lock = threading.Lock()

    def slow(_: httpx.Client, source: Any, *__: Any, **___: Any) -> FetchResult:
        with lock:
            running.append(1)
            most.append(len(running))
        all_four.wait(5)  # passes only when four are under way together
        with lock:
            running.pop()
        return FetchResult(source.id, "unchanged", None, "")

    monkeypatch.setattr(client, "fetch_source", slow)
    fetch_all(world.client, [FOLK1A] * 8, world.store, CATALOGUE, FetchOptions(max_workers=4))
    assert max(most) == 4


def test_progress_names_the_source(world: World) -> None:
    seen: list[tuple[str, int]] = []
    options = FetchOptions(on_progress=lambda name, size: seen.append((name, size)))
    fetch_all(world.client, [FOLK1A], world.store, CATALOGUE, options)
    assert seen[-1][0] == "statbank_folk1a"
    assert seen[-1][1] > 1000


def test_download_can_be_used_alone(world: World) -> None:
    info = parse_tableinfo(tableinfo_bytes(world.client, "FOLK1A", "en"))
    plan = make_plan(FOLK1A, info, None)
    extract = download(world.client, FOLK1A, [info], plan.query, world.folder, FetchOptions())
    assert (extract.rows, extract.presentation, list(extract.files)) == (420, "Code", ["folk1a.csv"])


@contextmanager
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    reached: list[str] = []
    connect = socket.socket.connect

    def spy(self: socket.socket, address: Any) -> None:
        reached.append(str(address[0]) if isinstance(address, tuple) else str(address))
        connect(self, address)

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", spy)
        yield reached


def test_nothing_beyond_loopback_is_reached(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    world.script.faults = [Fault(status=302, location="http://192.0.2.1/v1/data")]
    with connections(monkeypatch) as reached, open_client(str(world.client.base_url)) as fresh:
        results = fetch_all(fresh, [FOLK1A, RAS200], world.store, CATALOGUE, OPTIONS)
    assert {result.status for result in results} == {"failed", "new"}
    assert set(reached) == {"127.0.0.1"}

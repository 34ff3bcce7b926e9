"""A source or one of its periods asked for anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from flows.connectors import FetchOptions, FetchResult
from flows.connectors.http import open_client
from flows.connectors.statbank.client import fetch_source
from flows.run.fetch import check_period_is_for_one
from flows.store.snapshots import Snapshot, SnapshotStore
from tests.fixtures.standin_faults import Fault, Script, running_standin
from tests.unit.connectors.statbank.statbank_fakes import FOLK1A, FakeCubes, small_catalogue
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused, UsageError

Fetch = Callable[..., FetchResult]


class SteadyCubes(FakeCubes):
    """Cubes whose figures do not depend on how many periods are asked for."""

    def answer(self, table: str, selection: Mapping[str, list[str]]) -> pa.Table:
        """Return the rectangle cut from one over all periods of the source."""
        time = list(selection)[-1]
        whole = super().answer(table, {**selection, time: FOLK1A.time.select})
        return whole.filter(pc.is_in(whole[time], pa.array(selection[time])))


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def fetch(tmp_path: Path, script: Script) -> Iterator[Fetch]:
    store = SnapshotStore(tmp_path)

    def fetch_now(*, again: bool = False, period: str | None = None) -> FetchResult:
        return fetch_source(
            client, FOLK1A, store, small_catalogue(), FetchOptions("sample", again=again, period=period)
        )

    with running_standin(SteadyCubes(), small_catalogue(), script) as url, open_client(url) as client:
        yield fetch_now


def rows_of(snapshot: Snapshot | None) -> list[str]:
    assert snapshot is not None
    return sorted(line for path in snapshot.data_paths() for line in path.read_text("utf-8-sig").splitlines()[1:])


def test_again_takes_what_has_not_changed(fetch: Fetch, script: Script) -> None:
    first = fetch()
    assert fetch().message.startswith("not updated")
    assert (fetch(again=True).status, fetch(again=True).message) == (
        "unchanged",
        "downloaded, the same bytes as before",
    )
    # A revision the publisher did not stamp is seen only when asked for.
    script.faults = [Fault("/data", times=1, replace=(b"000;TOT;IALT;TOT;2016K1;", b"000;TOT;IALT;TOT;2016K1;9"))]
    second = fetch(again=True)
    assert second.status == "new"
    assert len(set(rows_of(second.snapshot)) - set(rows_of(first.snapshot))) == 1


def test_a_period_replaces_its_own_rows_and_no_others(fetch: Fetch, script: Script) -> None:
    first = fetch()
    script.faults = [Fault("/data", times=1, replace=(b"000;TOT;IALT;TOT;2016K1;", b"000;TOT;IALT;TOT;2016K1;9"))]
    script.requests.clear()
    second = fetch(period="2016K1")
    assert (second.status, second.message) == ("new", "210 rows")
    assert first.snapshot is not None
    assert second.snapshot is not None
    before, after = rows_of(first.snapshot), rows_of(second.snapshot)
    assert len(after) == len(before) == 420
    assert {row.split(";")[-2] for row in set(before) ^ set(after)} == {"2016K1"}
    assert len(set(after) - set(before)) == 1
    manifest = second.snapshot.manifest
    assert manifest.rest_of == first.snapshot.id
    assert manifest.query == first.snapshot.manifest.query
    assert fetch().status == "unchanged", "the next night finds nothing new"
    # The figure is as it was again, and the files of the former period have gone.
    third = fetch(period="2016K1")
    assert rows_of(third.snapshot) == before
    assert third.snapshot is not None
    assert len(third.snapshot.data_paths()) == 2


def test_a_snapshot_written_in_texts_is_not_mixed_with_codes(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.connectors.statbank.query.PRESENTATION", "Value")
    fetch()
    with pytest.raises(DataRefused, match=r"does not write its periods as codes, so 2016K1 cannot .*--again"):
        fetch(period="2016K1")


def test_the_same_figures_make_no_snapshot(fetch: Fetch) -> None:
    first = fetch()
    second = fetch(period="2015K1")
    assert (second.status, second.snapshot) == ("unchanged", first.snapshot)
    assert second.message == "2015K1 holds the same figures as before"


def test_a_table_that_has_moved_on_is_still_taken_whole_by_the_next_fetch(fetch: Fetch, script: Script) -> None:
    fetch()
    moved = Fault("/tableinfo", times=9, replace=(b"2025-08-11T08:00:00", b"2025-11-10T08:00:00"))
    figure = (b"000;TOT;IALT;TOT;2016K1;", b"000;TOT;IALT;TOT;2016K1;9")
    script.faults = [moved, Fault("/data", times=1, replace=figure)]
    assert fetch(period="2016K1").status == "new"
    script.requests.clear()
    assert fetch().status == "new"
    assert [request for request in script.requests if "/v1/data" in request]


@pytest.mark.parametrize(
    ("period", "sentence"), [("2016K2", "no period 2016K2; near it: 2016K1"), ("x", "no period x")]
)
def test_an_unknown_period_is_refused_with_what_is_near(fetch: Fetch, period: str, sentence: str) -> None:
    fetch()
    with pytest.raises(DataRefused, match=sentence):
        fetch(period=period)


def test_a_period_needs_the_rest(fetch: Fetch) -> None:
    with pytest.raises(DataRefused, match="fetch it without period"):
        fetch(period="2016K1")


@pytest.mark.parametrize(
    ("origin", "only"),
    [
        ("sample", []),
        ("sample", ["statbank_folk1a", "statbank_ras200"]),
        ("sample", ["jobindsats_ptva02"]),
        ("/x", ["statbank_folk1a"]),
    ],
)
def test_a_period_is_of_one_statbank_source_of_an_api(origin: str, only: list[str]) -> None:
    with pytest.raises(UsageError, match="--period needs --only"):
        check_period_is_for_one(load_catalogue(), origin, only)
    check_period_is_for_one(load_catalogue(), "live", ["statbank_folk1a"])

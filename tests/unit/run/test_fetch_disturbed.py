"""Whatever one publisher does to one table, the fetch of every other source is that of the undisturbed night."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.connectors.http import Patience
from flows.connectors.statbank import client
from flows.connectors.statbank.query import Plan
from flows.run.record import FetchReport
from flows.store.snapshots import SnapshotStore
from tests.fixtures.publisher import JOBINDSATS, STATBANK
from tests.unit.run.test_fetch_live import ONLY, night_in
from transforms.catalogue import Source

pytestmark = pytest.mark.long
TABLES = {source.removeprefix("statbank_").upper(): source for source in ONLY if source.startswith("statbank")}
EACH = [(kind, sorted(TABLES)[n % len(TABLES)]) for n, kind in enumerate(STATBANK)] + [
    (k, "otij01") for k in JOBINDSATS
]
ALL = [(kind, table) for kind in STATBANK for table in TABLES] + [(kind, "otij01") for kind in JOBINDSATS]


@pytest.fixture(autouse=True, scope="module")
def hasty() -> Iterator[None]:
    """Let nobody wait for a server that is down."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.connectors.http.Patience", lambda: Patience(attempts=2, wait_initial=0.01))
        yield


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the snapshots of one quiet night."""
    folder = tmp_path_factory.mktemp("quiet")
    with night_in(folder) as night:
        assert not night.fetch().kept_old
    return folder


def disturbed(folder: Path, kind: str, table: str, seed: int) -> tuple[FetchReport, dict[str, str]]:
    """Return what a night brings after a disturbance of one table, and the data of every source's newest snapshot."""
    with night_in(folder) as night:
        night.replica.updated("2026-11-27")
        if table in TABLES:
            STATBANK[kind](night.replica, table, Random(seed))
        elif kind:
            JOBINDSATS[kind](night.replica, table, Random(seed))
        report = night.fetch()
    store = SnapshotStore(folder / "snapshots")
    found = {source: store.newest(source) for source in ONLY}
    return report, {source: snapshot.manifest.digest for source, snapshot in found.items() if snapshot is not None}


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(what=st.sampled_from(ALL), seed=st.integers(0, 1000), first=st.booleans())
def test_others_are_fetched_as_on_an_undisturbed_night(
    what: tuple[str, str], seed: int, first: bool, quiet: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hold(what, seed, None if first else quiet, tmp_path_factory.mktemp("night"))


@pytest.mark.parametrize("what", EACH, ids=lambda what: f"{what[0]} in {what[1]}")
def test_every_kind_of_disturbance_stays_with_its_source(what: tuple[str, str], quiet: Path, tmp_path: Path) -> None:
    hold(what, 1, quiet, tmp_path)


def hold(what: tuple[str, str], seed: int, before: Path | None, folder: Path) -> None:
    """Assert that a disturbance of one table is met by its source alone, and told in words that fit."""
    kind, table = what
    ours = TABLES.get(table, "jobindsats_otij01")
    if before is not None:
        shutil.copytree(before / "snapshots", folder / "snapshots")
    report, held = disturbed(folder, kind, table, seed)
    others = set(ONLY) - {ours}
    quiet_data = {source: digest for source, digest in undisturbed().items() if source in others}
    assert {source: digest for source, digest in held.items() if source in others} == quiet_data
    assert set(report.kept_old) | set(report.troubles) <= {ours}
    if ours in report.kept_old:
        told = report.kept_old[ours]
        assert ("try later" in told) == (ours in report.passing), told
        assert "\n" not in told
        assert (ours in report.missing) == (before is None)


@cache
def undisturbed() -> dict[str, str]:
    """Return the data of every source on an undisturbed night."""
    with TemporaryDirectory() as folder:
        return disturbed(Path(folder), "", "", 0)[1]


@pytest.mark.parametrize("table", list(TABLES))
def test_merged_regions_are_ridden_through_by_every_table(table: str, quiet: Path, tmp_path: Path) -> None:
    shutil.copytree(quiet / "snapshots", tmp_path / "snapshots")
    report, _ = disturbed(tmp_path, "regions merged", table, 0)
    assert TABLES[table] in report.new
    assert 'code 086 "Region Østdanmark"' in "; ".join(report.notes[TABLES[table]])


def test_what_nobody_foresaw_is_one_source_s_trouble(quiet: Path, tmp_path: Path) -> None:
    shutil.copytree(quiet / "snapshots", tmp_path / "snapshots")
    plain = client.make_plan

    def broken(source: Source, *given: Any) -> Plan:
        if source.id == "statbank_auk01":
            raise KeyError("AUK01")
        return plain(source, *given)

    with night_in(tmp_path) as night, pytest.MonkeyPatch.context() as patch:
        night.replica.updated("2026-11-27")
        patch.setattr(client, "make_plan", broken)
        report = night.fetch()
    assert report.kept_old == {"statbank_auk01": "a fault of the program: KeyError: 'AUK01'"}
    assert set(report.troubles) == {"statbank_auk01"}
    assert len(report.new) == len(ONLY) - 1

"""Ages are judged at a given moment: a limit stops the day after it is reached, an old baseline is not stale."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from expectations.rules import blocking, verdict_sentence
from flows.cli.health import next_run
from flows.run import night
from flows.run.ages import SourceAge, as_plain, check_ages, publication_fault, source_ages
from flows.run.record import RunInfo, RunResult
from flows.settings import Settings
from flows.store.snapshots import Snapshot, SnapshotStore
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused, NothingNew
from transforms.periods import age_in_days

RECEIVED = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
SOURCE = "statbank_folk1e"


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    file = tmp_path / "folk1e.csv"
    file.write_text("OMRÅDE;TID;INDHOLD\n", encoding="utf-8")
    store = SnapshotStore(tmp_path / "data" / "snapshots")
    return store.add(SOURCE, {"a.csv": (file, "csv")}, origin="directory", synthetic=False, retrieved_at=RECEIVED)


def test_age_counts_whole_days() -> None:
    assert age_in_days(RECEIVED, RECEIVED + timedelta(days=2, hours=23)) == 2
    assert age_in_days("2026-03-01T02:00:00.000000Z", RECEIVED + timedelta(days=3)) == 3


def test_limit_holds_on_its_day_and_stops_the_day_after(snapshot: Snapshot) -> None:
    sources = load_catalogue().sources
    limit = timedelta(days=sources[SOURCE].max_age_days)
    (held,) = check_ages(sources, {SOURCE: snapshot}, RECEIVED + limit)
    assert held.success
    assert not blocking([held])
    (broken,) = check_ages(sources, {SOURCE: snapshot}, RECEIVED + limit + timedelta(days=1))
    assert blocking([broken]) == [broken]
    sentence = verdict_sentence(broken)
    assert "source_not_too_old" in sentence
    assert "received 2026-03-01, 431 days ago" in sentence
    assert "fetch the source again" in sentence


def test_baseline_is_judged_on_its_own_day(snapshot: Snapshot) -> None:
    sources = load_catalogue().sources
    as_of = RECEIVED + timedelta(days=10)
    assert source_ages(sources, {SOURCE: snapshot}, as_of)[SOURCE].age_days == 10


def settled_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pipeline believe that the published build has today's snapshots, code and settings."""
    monkeypatch.setattr(night, "published_release", lambda settings: {"run_id": "r1", "fingerprint": "same"})
    monkeypatch.setattr(night, "release_of", lambda *given: {"fingerprint": "same"})


@pytest.mark.parametrize(("days", "ending"), [(430, NothingNew), (431, DataRefused)])
def test_nothing_new_never_hides_a_frozen_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot, days: int, ending: type[Exception]
) -> None:
    settled_run(monkeypatch)
    ours = Settings(data=tmp_path / "data")
    run = replace(RunInfo.start(ours, "live"), started_at=RECEIVED + timedelta(days=days))
    with pytest.raises(ending, match="nothing new"):
        night.build_step(ours, load_catalogue(), run)


def test_as_of_build_on_old_snapshots_is_not_refused_for_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot
) -> None:
    settled_run(monkeypatch)
    late = RECEIVED + timedelta(days=4000)
    ours = Settings(data=tmp_path / "data")
    run = replace(RunInfo.start(ours, "live", RECEIVED + timedelta(days=5)), started_at=late)
    with pytest.raises(NothingNew):
        night.build_step(ours, load_catalogue(), run)


def test_publication_is_old_a_day_after_its_limit() -> None:
    assert publication_fault(RECEIVED, 7, RECEIVED + timedelta(days=7)) is None
    fault = publication_fault(RECEIVED.isoformat(), 7, RECEIVED + timedelta(days=8))
    assert fault is not None
    assert "8 days old, more than 7" in fault
    assert publication_fault(None, 7, RECEIVED) is None


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("0 2 * * *", "2026-11-22T08:00:00+01:00", "2026-11-23T02:00:00+01:00"),
        ("0 2 * * *", "2026-11-22T01:59:59+01:00", "2026-11-22T02:00:00+01:00"),
        ("*/20 * * * *", "2026-11-22T08:41:00+01:00", "2026-11-22T09:00:00+01:00"),
        ("30 6 * * 1-5", "2026-11-21T12:00:00+01:00", "2026-11-23T06:30:00+01:00"),
        ("0 0 1,15 * *", "2026-11-16T00:00:00+01:00", "2026-12-01T00:00:00+01:00"),
        ("0 4 1 * 7", "2026-11-16T00:00:00+01:00", "2026-11-22T04:00:00+01:00"),
        # The clock moves on at 02:00 on 29 March 2026 and back at 03:00 on 25 October.
        ("30 2 * * *", "2026-03-28T12:00:00+01:00", "2026-03-29T03:30:00+02:00"),
        ("0 2 * * *", "2026-10-24T12:00:00+02:00", "2026-10-25T02:00:00+02:00"),
    ],
)
def test_next_run_reads_a_cron_line_in_danish_time(cron: str, after: str, due: str) -> None:
    found = next_run(cron, "Europe/Copenhagen", datetime.fromisoformat(after))
    assert found is not None
    assert found.isoformat() == due


@pytest.mark.parametrize("cron", ["@daily", "0 2 * *", "0 2 L * *", "61 2 * * *", "0 2 * * MON", "0 2 31 2 *"])
def test_next_run_does_not_guess(cron: str) -> None:
    assert next_run(cron, "Europe/Copenhagen", RECEIVED) is None


def test_a_table_whose_newest_period_stands_still_is_stale_on_the_day_it_is_met(tmp_path: Path) -> None:
    """Judged by the publisher's word: when it was received says nothing."""
    sources = load_catalogue().sources
    file = tmp_path / "x.csv"
    file.write_text("x\n", encoding="utf-8")
    store = SnapshotStore(tmp_path / "snapshots")
    query = {"rectangle": {"TID": ["2022K4", "2023K1"]}}

    def age(source: str, published: str, query: dict[str, object] = query) -> SourceAge:
        made = store.add(
            source, {"x.csv": (file, "bulk")}, origin="live", synthetic=False, published_at=published, query=query
        )
        return source_ages(sources, {source: made}, datetime(2026, 3, 2, tzinfo=UTC))[source]

    still = age("statbank_auk01", "2023-06-20T06:00:00Z")
    assert still.stale
    assert still.too_old
    assert still.newest_period == "2023K1"
    result = RunResult(RunInfo("r", RECEIVED, "live"), ages=as_plain({"statbank_auk01": still}))
    assert "its newest period is 2023K1, and the next was due by 2023-" in result.troubles["statbank_auk01"]
    moving = age("statbank_auk01", "2026-01-20T06:00:00Z", {"rectangle": {"TID": ["2025K2", "2025K3"]}})
    assert not moving.stale
    assert not moving.too_old
    over = age("jobindsats_y35a02", "2025-08-20T06:00:00Z", {"newest_period": "2025M06"})
    assert not over.stale, "a benefit that has ended has no new figures"
    ahead = age("statbank_auk01", "2031-01-20T06:00:00Z", {"rectangle": {"TID": ["2025K2", "2025K3"]}})
    assert ahead.since == ahead.received, "a day that lies ahead is none"
    assert not blocking(check_ages(sources, {"statbank_auk01": store.of("statbank_auk01")[0]}, datetime.now(UTC)))

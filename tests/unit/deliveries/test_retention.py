"""Person rows of superseded deliveries are kept for a time, and longer only where a baseline is built from them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.deliveries.store import FILE, Known, read_ledger
from flows.run.night import prune, prune_superseded
from flows.settings import Settings
from tests.unit.deliveries.delivery_files import Door
from tests.unit.deliveries.test_as_of_deliveries import (
    APRIL,
    AUGUST,
    JULY,
    JUNE,
    MAY,
    deliver_cases,
    deliver_rest,
    delivered,
    known,
    settings_of,
)
from transforms.errors import DataRefused

pytestmark = pytest.mark.long

KEPT = "SELECT delivery_id, count(*) FROM restricted.superseded_case GROUP BY 1 ORDER BY 1"
KEEP = timedelta(days=730)
LONG_AFTER = AUGUST + KEEP + timedelta(days=365)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.fixture
def ids(door: Door) -> list[str]:
    """Deliver everything in April, and the cases again in June and in August: 20, 22 and 25 of them."""
    deliver_rest(door, APRIL)
    return [deliver_cases(door, count, moment) for count, moment in ((20, APRIL), (22, JUNE), (25, AUGUST))]


def release(door: Door, synthetic: bool = False, as_of: datetime | None = None, upto: str | None = None) -> str:
    """Return as JSON what a build of the deliveries known by then was made of."""
    ledger = read_ledger(settings_of(door), synthetic=synthetic, known=Known(as_of, upto))
    made_of = {
        "as_of": as_of.isoformat() if as_of else None,
        "is_synthetic": synthetic,
        "deliveries": ledger.state,
        "last_delivery": ledger.last_delivery,
        "snapshots": {},
    }
    return json.dumps(made_of)


def freeze(door: Door, made_of: str) -> None:
    folder = settings_of(door).baselines / "nulpunkt"
    folder.mkdir(parents=True)
    manifest = {"run_id": "r", "files": {}, "release": json.loads(made_of)}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def publish(door: Door, made_of: str) -> None:
    settings = settings_of(door)
    settings.builds.mkdir(parents=True)
    build = settings.builds / "kommunekort-20160815T090000000Z.duckdb"
    build.write_bytes(b"")
    facts = {"run_id": "20160815T090000000Z", **json.loads(made_of)}
    build.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    settings.published.symlink_to(build)


def test_rows_go_when_their_delivery_was_superseded_longer_ago_than_that(door: Door, ids: list[str]) -> None:
    first, second, _ = ids
    assert prune_superseded(settings_of(door), JUNE + KEEP) == []
    assert door.rows(KEPT) == [(first, 20), (second, 22)]
    assert prune_superseded(settings_of(door), JUNE + KEEP + timedelta(seconds=1)) == [first]
    assert door.rows(KEPT) == [(second, 22)]
    assert prune_superseded(settings_of(door), LONG_AFTER) == [second]
    assert prune_superseded(settings_of(door), LONG_AFTER) == []
    assert door.rows(KEPT) == []


def test_what_is_in_force_and_every_line_of_the_ledger_stay(door: Door, ids: list[str]) -> None:
    ledger = door.rows("SELECT * FROM restricted.delivery ORDER BY 1")
    prune_superseded(settings_of(door), LONG_AFTER)
    assert door.rows("SELECT * FROM restricted.delivery ORDER BY 1") == ledger
    assert len(delivered(door).cases) == 25
    assert len(delivered(door, AUGUST).cases) == 25


def test_a_build_as_of_a_moment_whose_rows_are_gone_is_one_sentence(door: Door, ids: list[str]) -> None:
    prune_superseded(settings_of(door), JUNE + KEEP + timedelta(days=1))
    with pytest.raises(DataRefused) as told:
        known(door, MAY)
    for part in (ids[0], "not all of its rows left", ids[1], "no longer kept", "as of 2016-06-15 or later"):
        assert part in str(told.value)
    assert "\n" not in str(told.value)
    assert len(delivered(door, JULY).cases) == 22


def test_the_days_can_be_set(door: Door, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of(door).keep_superseded_days == KEEP.days
    monkeypatch.setenv("KOMMUNEKORT_KEEP_SUPERSEDED_DAYS", "3")
    assert prune_superseded(settings_of(door), JUNE + timedelta(days=3)) == []
    assert prune_superseded(settings_of(door), JUNE + timedelta(days=4)) == [ids[0]]


def test_a_baseline_keeps_what_it_is_built_again_from_and_nothing_else(door: Door, ids: list[str]) -> None:
    first, second, _ = ids
    freeze(door, release(door, upto=second))
    assert prune_superseded(settings_of(door), LONG_AFTER) == [first]
    assert door.rows(KEPT) == [(second, 22)]
    assert len(delivered(door, upto=second).cases) == 22


def test_a_baseline_as_of_a_day_keeps_what_was_known_then(door: Door, ids: list[str]) -> None:
    first, second, _ = ids
    freeze(door, release(door, as_of=MAY))
    assert prune_superseded(settings_of(door), LONG_AFTER) == [second]
    assert len(delivered(door, MAY).cases) == len(delivered(door, MAY, upto=ids[2]).cases) == 20
    assert door.rows(KEPT) == [(first, 20)]


def test_what_is_published_is_kept_since_it_may_be_frozen(door: Door, ids: list[str]) -> None:
    publish(door, release(door, as_of=MAY))
    assert prune_superseded(settings_of(door), LONG_AFTER) == [ids[1]]


def test_a_baseline_keeps_no_period_that_did_not_count_in_it(door: Door) -> None:
    deliver_rest(door, APRIL)
    older = deliver_cases(door, 20, APRIL, period="2015K4")
    newest = deliver_cases(door, 21, APRIL)
    freeze(door, release(door))
    deliver_cases(door, 22, JUNE, period="2015K4")
    deliver_cases(door, 23, JUNE)
    assert prune_superseded(settings_of(door), LONG_AFTER) == [older]
    assert door.rows(KEPT) == [(newest, 21)]


def test_a_baseline_of_the_sample_world_keeps_nothing_real(door: Door, ids: list[str]) -> None:
    deliver_rest(door, APRIL, synthetic=True)
    invented = deliver_cases(door, 30, APRIL, synthetic=True)
    freeze(door, release(door, synthetic=True))
    deliver_cases(door, 31, JUNE, synthetic=True)
    assert prune_superseded(settings_of(door), LONG_AFTER) == ids[:2]
    assert door.rows(KEPT) == [(invented, 30)]


def test_the_rows_go_where_snapshots_are_pruned(door: Door, ids: list[str]) -> None:
    assert datetime.now(UTC) > AUGUST + KEEP
    prune(settings_of(door))
    assert door.rows(KEPT) == []


def test_without_deliveries_nothing_is_opened_and_no_key_is_asked_for(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", key_file=tmp_path / "no.key")
    assert prune_superseded(settings, LONG_AFTER) == []
    assert not (settings.restricted / FILE).exists()

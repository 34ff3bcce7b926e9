"""A baseline is frozen once, tells when a byte has changed, can be rebuilt, and is never pruned away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flows.run import night
from flows.run.night import prune_snapshots
from flows.settings import Settings
from flows.store import baselines, builds
from flows.store.builds import writer_lock
from flows.store.snapshots import SnapshotStore
from tests.fixtures.world import Published
from transforms.errors import DataRefused, UsageError


def test_a_baseline_holds_every_mart_table_and_what_it_was_made_of(own_data: Published) -> None:
    made = baselines.freeze(own_data.settings, "nulpunkt")
    exported = {path.name for path in own_data.settings.exports.glob("mart.*.parquet")}
    assert exported <= set(made.manifest["files"])
    assert made.manifest["release"]["code_version"]
    assert set(made.manifest["snapshot_digests"]) == set(made.manifest["release"]["snapshots"])
    assert baselines.verify(own_data.settings, "nulpunkt").manifest == made.manifest
    assert [found.name for found in baselines.baselines(own_data.settings)] == ["nulpunkt"]


def test_a_baseline_is_never_overwritten_and_its_name_is_checked(own_data: Published) -> None:
    baselines.freeze(own_data.settings, "nulpunkt")
    with pytest.raises(UsageError, match="never overwritten"):
        baselines.freeze(own_data.settings, "nulpunkt")
    with pytest.raises(UsageError, match="small letters"):
        baselines.freeze(own_data.settings, "../ud")
    with pytest.raises(UsageError, match="no baseline andet; frozen: nulpunkt"):
        baselines.verify(own_data.settings, "andet")


def test_a_changed_byte_is_told(own_data: Published) -> None:
    made = baselines.freeze(own_data.settings, "nulpunkt")
    path = made.folder / "mart.mapping.parquet"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataRefused, match=r"mart.mapping.parquet: not the bytes that were frozen"):
        baselines.verify(own_data.settings, "nulpunkt")


def test_a_rebuild_gives_the_same_bytes(own_data: Published) -> None:
    baselines.freeze(own_data.settings, "nulpunkt")
    with writer_lock(own_data.settings.root):
        same = night.rebuild(own_data.settings, "nulpunkt")
    assert same
    assert all(same.values())


def test_a_rebuild_by_other_code_proves_nothing_and_is_refused(own_data: Published) -> None:
    made = baselines.freeze(own_data.settings, "nulpunkt")
    manifest = made.folder / "manifest.json"
    manifest.chmod(0o644)
    changed = {**made.manifest, "release": {**made.manifest["release"], "code_version": "another"}}
    manifest.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(UsageError, match="was made by code another"):
        night.rebuild(own_data.settings, "nulpunkt")


def test_what_a_baseline_rests_on_is_never_pruned(own_data: Published) -> None:
    settings = Settings(data=own_data.settings.root, keep_builds=1, keep_snapshots=1)
    made = baselines.freeze(settings, "nulpunkt")
    store = SnapshotStore(settings.snapshots)
    source, held = sorted(made.manifest["release"]["snapshots"].items())[0]
    newer = store.read(held).data_paths()[0]
    for number in range(2):
        copy = settings.root / f"{number}.csv"
        copy.write_bytes(newer.read_bytes() + b"\n" * number)
        store.add(source, {newer.name: (copy, "csv")}, origin="directory", synthetic=True)
    builds.prune(settings, baselines.kept_runs(settings))
    prune_snapshots(settings)
    assert held in {snapshot.id for snapshot in store.of(source)}
    assert made.manifest["run_id"] in {build.run_id for build in builds.builds(settings)}


def test_a_comparison_without_the_outcome_is_one_sentence(own_data: Published) -> None:
    baselines.freeze(own_data.settings, "nulpunkt")
    with pytest.raises(DataRefused, match="holds no employment_rate_non_western_pct"):
        baselines.compare(own_data.settings, "nulpunkt")


def test_participants_are_set_against_matched_others(tiny_run: Published, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.settings.root, tmp_path / "data", symlinks=True)
    settings = Settings(data=tmp_path / "data")
    baselines.freeze(settings, "nulpunkt", "2019")
    result = baselines.compare(settings, "nulpunkt")
    assert result["is_synthetic"]
    assert {row["group"] for row in result["groups"]} == {"participant", "other"}
    assert sum(row["municipality_count"] for row in result["groups"]) == 98
    observed = dict(
        tiny_run.rows(
            "SELECT municipality_code, max(observed) FILTER (period = '2024') - max(observed) FILTER (period = '2019') "
            "FROM mart.expected WHERE outcome_id = 'employment_rate_non_western_pct' GROUP BY 1"
        )
    )
    told = {row["municipality_code"]: row["change"] for row in result["municipalities"] if row["change"] is not None}
    assert len(told) > 80
    assert told == pytest.approx({code: float(observed[code]) for code in told})


def test_a_baseline_takes_the_period_it_is_named_for(tiny_run: Published, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.settings.root, tmp_path / "data", symlinks=True)
    own_data = Published(Settings(data=tmp_path / "data"), tiny_run.origin)
    periods = [str(period) for (period,) in own_data.rows(
        "SELECT DISTINCT period FROM mart.expected WHERE outcome_id = 'employment_rate_non_western_pct' ORDER BY 1"
    )]  # fmt: skip
    assert len(periods) > 1, "the small extracts hold two years"
    with pytest.raises(UsageError, match=r"no outcome has a figure of 1999; periods of mart.expected: "):
        baselines.freeze(own_data.settings, "forkert", "1999")
    made = baselines.freeze(own_data.settings, "nulpunkt", periods[0])
    assert made.manifest["period"] == periods[0]
    result = baselines.compare(own_data.settings, "nulpunkt")
    assert (result["baseline_period"], result["later_period"]) == (periods[0], periods[-1])
    baselines.freeze(own_data.settings, "nyeste")
    with pytest.raises(DataRefused, match="rule: a later period"):
        baselines.compare(own_data.settings, "nyeste")

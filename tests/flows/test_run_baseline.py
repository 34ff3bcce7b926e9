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
from transforms.warehouse import Warehouse


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


@pytest.mark.long
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


@pytest.fixture(scope="module")
def two_years(sample_run: Published, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a copy of the mapping of the sample world with a baseline of 2016."""
    folder = tmp_path_factory.mktemp("baseline") / "data"
    shutil.copytree(sample_run.settings.root, folder, symlinks=True)
    ours = Published(Settings(data=folder), sample_run.origin)
    with writer_lock(folder):
        night.freeze(ours.settings, "nulpunkt-2016", "2016")
    return ours


@pytest.mark.long
def test_participants_are_set_against_matched_others(two_years: Published) -> None:
    result = baselines.compare(two_years.settings, "nulpunkt-2016")
    assert result["is_synthetic"]
    assert (result["baseline_period"], result["later_period"]) == ("2016", "2024")
    assert result["peers_of"] == "nulpunkt-2016"
    assert {row["group"] for row in result["groups"]} == {"participant", "other"}
    assert sum(row["municipality_count"] for row in result["groups"]) == 98
    observed = dict(
        two_years.rows(
            "SELECT municipality_code, max(observed) FILTER (period = '2024') - max(observed) FILTER (period = '2016') "
            "FROM mart.expected WHERE outcome_id = 'employment_rate_non_western_pct' GROUP BY 1"
        )
    )
    told = {row["municipality_code"]: row["change"] for row in result["municipalities"] if row["change"] is not None}
    assert len(told) > 80
    assert told == pytest.approx({code: float(observed[code]) for code in told})


@pytest.mark.long
def test_a_baseline_of_a_period_knows_of_nothing_later(two_years: Published) -> None:
    """Every table: figures, expectations and findings are those of the period, not cut out of today's."""
    made = baselines.read_baseline(two_years.settings, "nulpunkt-2016")
    assert (made.manifest["period"], made.manifest["release"]["until"]) == ("2016", "2016-12-31")
    with Warehouse.open(two_years.settings.published, read_only=True) as warehouse:
        figures, expected = made.table(warehouse, "figure"), made.table(warehouse, "expected")
        findings, mapping = made.table(warehouse, "finding"), made.table(warehouse, "mapping")
        peers, peers_now = made.table(warehouse, "peer"), warehouse.frame("SELECT * FROM mart.peer")
        then = warehouse.frame(
            "SELECT municipality_code, indicator_id, value::DOUBLE AS value FROM mart.indicator_value "
            "WHERE year(reference_date) <= 2016 AND value IS NOT NULL QUALIFY row_number() OVER "
            "(PARTITION BY municipality_code, indicator_id ORDER BY reference_date DESC) = 1"
        )
    assert not figures.empty
    assert figures["reference_date"].max().year <= 2016
    assert (expected["period"].min(), expected["period"].max()) == ("2012", "2016")
    assert mapping["newest_reference_date"].max().year <= 2016
    assert peers.groupby("municipality_code").size().tolist() == [7] * 98
    pairs = [set(zip(told["municipality_code"], told["peer_code"], strict=True)) for told in (peers, peers_now)]
    assert pairs[0] != pairs[1]
    rests_on = findings.merge(then, on=["municipality_code", "indicator_id"])
    assert len(rests_on) > 0
    assert rests_on["value_x"].to_numpy() == pytest.approx(rests_on["value_y"].to_numpy())


@pytest.mark.long
def test_a_baseline_of_a_period_is_rebuilt_to_the_same_bytes(two_years: Published) -> None:
    with writer_lock(two_years.settings.root):
        same = night.rebuild(two_years.settings, "nulpunkt-2016")
    assert same
    assert all(same.values())


@pytest.mark.long
def test_a_baseline_takes_a_period_there_is_and_is_compared_with_a_later_one(two_years: Published) -> None:
    with pytest.raises(UsageError, match=r"no outcome has a figure of 1999; periods of mart.expected: "):
        night.freeze(two_years.settings, "forkert", "1999")
    with pytest.raises(UsageError, match=r"no outcome has a figure of i fjor; periods"):
        night.freeze(two_years.settings, "forkert", "i fjor")
    baselines.freeze(two_years.settings, "nyeste")
    with pytest.raises(DataRefused, match="rule: a later period"):
        baselines.compare(two_years.settings, "nyeste")


@pytest.mark.long
def test_any_outcome_of_the_mapping_is_compared(sample_run: Published, tmp_path: Path) -> None:
    """Weeks to a first job, too; a year later is played by moving the published figures on by a year."""
    folder = tmp_path / "data"
    shutil.copytree(sample_run.settings.root, folder, symlinks=True)
    settings = Settings(data=folder)
    baselines.freeze(settings, "nulpunkt")
    published = settings.published.resolve()
    published.parent.chmod(0o755)
    published.chmod(0o644)
    with Warehouse.open(published) as warehouse:
        warehouse.execute(
            "UPDATE mart.expected SET period = '2019-2026', observed = observed - 2 WHERE outcome_id LIKE 'first_job%'"
        )
    now = builds.current(settings)
    assert now is not None
    builds.seal_again(now)
    for outcome, change in (("first_job_weeks", -2.0), ("first_job_within_3_years_pct", -2.0)):
        result = baselines.compare(settings, "nulpunkt", outcome)
        assert (result["baseline_period"], result["later_period"]) == ("2018-2025", "2019-2026")
        told = [row["change"] for row in result["municipalities"] if row["change"] is not None]
        assert len(told) > 60
        assert told == pytest.approx([change] * len(told))
        assert all(abs(row["difference"]) < 1e-9 for row in result["difference_in_differences"])

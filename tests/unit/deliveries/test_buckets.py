"""Person rows read by bucket of the pseudonym: every row once, and the same counts for any number of them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.deliveries import buckets as module
from flows.deliveries.buckets import load_person_data
from flows.deliveries.keys import load_keys
from flows.deliveries.store import Wanted, choose, open_restricted, open_scratch, person_rows, rotate
from flows.settings import Settings
from tests.fixtures.world import Published
from tests.unit.deliveries.delivery_files import Door
from tests.unit.deliveries.test_as_of_deliveries import peopled, settings_of
from tests.unit.models.test_buckets import bytes_of
from transforms.models.persons import PersonCounts, PersonRows


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return peopled(tmp_path, 40)


def parts(door: Door, buckets: int) -> Iterator[PersonRows]:
    settings = settings_of(door)
    with open_restricted(settings.restricted, load_keys(door.key).database_key, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=False)
        assert chosen is not None
        for number in range(buckets):
            yield person_rows(warehouse, chosen.wanted, buckets, number)


@pytest.mark.long
@pytest.mark.parametrize("buckets", [1, 3, 64])
def test_every_row_is_in_one_bucket_and_every_person_whole(door: Door, buckets: int) -> None:
    for _ in range(2):
        (whole,), found = parts(door, 1), list(parts(door, buckets))
        for name, rows in (("cases", 40), ("measures", 9), ("employment", 9)):
            frames = [getattr(part, name) for part in found]
            assert sum(map(len, frames)) == rows
            # A person in two buckets would be counted in both.
            assert sum(frame["person_id"].nunique() for frame in frames) == getattr(whole, name)["person_id"].nunique()
        assert sum(bool(len(part.cases)) for part in found) >= min(buckets, 15)
        rotate(door.key, door.data)  # the pseudonyms change, and with them the buckets


def test_rows_lie_in_the_order_of_their_pseudonyms(door: Door) -> None:
    ids = [name for (name,) in door.rows('SELECT person_id FROM restricted."case" ORDER BY rowid')]
    assert ids == sorted(ids)


def test_nobody_spills_into_the_folder_of_another(door: Door) -> None:
    """Two processes in one would overwrite each other's files; what a killed one left is cleared away."""
    folder, key = settings_of(door).restricted, load_keys(door.key).database_key
    left = folder / "spill-left"
    left.mkdir()
    with (
        open_restricted(folder, key, read_only=True) as one,
        open_scratch(folder) as other,
        open_scratch(folder) as third,
    ):
        asked = [Path(each.scalar("SELECT current_setting('temp_directory')")) for each in (one, other, third)]
    assert len(set(asked)) == 3
    assert {each.parent for each in asked} == {folder}
    assert left.exists()
    with open_restricted(folder, key):
        pass
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("spill")) == []


def test_a_range_of_persons_is_read_without_most_of_the_others(door: Door) -> None:
    with open_restricted(settings_of(door).restricted, load_keys(door.key).database_key) as warehouse:
        warehouse.execute("CREATE TABLE restricted.many AS SELECT i FROM range(100000) t(i)")
        sql = "SELECT max(row_group_id) FROM pragma_storage_info('restricted.many')"
        assert warehouse.scalar(sql) == 3


def counts_in(settings: Settings, monkeypatch: pytest.MonkeyPatch, buckets: int) -> bytes:
    """Return what is loaded in so many buckets, as bytes."""
    made: list[int] = []

    def spread(settings: Settings, wanted: Wanted, number: int) -> list[PersonCounts]:
        made.append(buckets)
        return whole(settings, wanted, buckets)

    whole = module.spread
    with monkeypatch.context() as patch:
        patch.setattr(module, "spread", spread)
        data = load_person_data(settings, synthetic=(settings.restricted / "sample.json").exists())
    assert data is not None
    assert made == [buckets]
    return bytes_of(data.counts) + pickle.dumps([data.states, data.untils, data.deliveries, data.until])


@pytest.mark.long
def test_one_and_seven_buckets_and_two_processes_give_the_same_bytes(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(door)
    one, seven = (counts_in(settings, monkeypatch, buckets) for buckets in (1, 7))
    assert one == seven
    assert counts_in(settings.model_copy(update={"workers": 2}), monkeypatch, 3) == one


@pytest.mark.long
@pytest.mark.parametrize("buckets", [7, 64])
def test_the_sample_world_gives_the_same_bytes_in_any_number_of_buckets(
    sample_run: Published, monkeypatch: pytest.MonkeyPatch, buckets: int
) -> None:
    settings = sample_run.settings
    assert counts_in(settings, monkeypatch, buckets) == counts_in(settings, monkeypatch, 1)

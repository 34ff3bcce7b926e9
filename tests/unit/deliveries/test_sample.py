from __future__ import annotations

import multiprocessing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.deliveries.intake import DeliveredTable, Intake, Read, Request, _open, deliver
from flows.deliveries.keys import birth_date, is_modulus11, keygen, load_keys, normalise_cpr, sex_code
from flows.deliveries.store import deliveries_in_force, newest_periods, open_restricted, open_scratch, rows_of
from flows.sample.deliveries import Written, made_up_cpr, write_deliveries
from flows.sample.world import World, build_world

CODES = ["840", "461", "825", "730", "540", "101"]


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(vintage=date(2016, 4, 1), persons=12_000)


@pytest.fixture(scope="module")
def written(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Written]:
    return write_deliveries(world, tmp_path_factory.mktemp("inbox"), CODES)


def test_every_planted_mistake_is_found_and_nothing_else(written: list[Written], tmp_path: Path) -> None:
    keygen(tmp_path / "k")
    receipts = deliver(
        [each.path for each in written], None, tmp_path / "data", tmp_path / "k", synthetic=True,
        received_at=datetime(2016, 4, 15, tzinfo=UTC),
    )  # fmt: skip
    found = [(r.kind, r.municipality_code, r.rows_in, r.rows_rejected, r.period) for r in receipts]
    assert found == [(w.kind, w.municipality_code, w.rows, w.faulty, "2016K2") for w in written]
    assert not any(receipt.is_refused for receipt in receipts)
    assert sum(each.faulty for each in written) > 20
    page = Path(receipts[0].path_html).read_text(encoding="utf-8")
    assert "SYNTETISKE DATA" in page
    with open_restricted(tmp_path / "data" / "restricted", load_keys(tmp_path / "k").database_key) as warehouse:
        counting = newest_periods(deliveries_in_force(warehouse, synthetic=True), "cases")
        cases = rows_of(warehouse, "case", [each.delivery_id for each in counting]).to_pandas()
        assert set(cases["municipality_code"]) == set(CODES)
        assert all(each.is_synthetic for each in counting)
        lost = 'SELECT count(*) FROM restricted.measure ANTI JOIN restricted."case" USING (person_id)'
        assert warehouse.scalar(lost) < 0.05 * warehouse.scalar("SELECT count(*) FROM restricted.measure")


def told_of(folder: Path, key: Path) -> list[object]:
    """Return every row of every table of a restricted database."""
    found: list[object] = []
    with open_restricted(folder / "restricted", load_keys(key).database_key) as warehouse:
        for table in ("delivery", '"case"', "measure", "employment", "organisation"):
            found.append(sorted(map(repr, warehouse.rows(f"SELECT * FROM restricted.{table}"))))
    return found


@pytest.mark.long
@pytest.mark.parametrize("ending", [False, True])
def test_files_read_by_other_processes_are_taken_in_the_same(
    written: list[Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: bool
) -> None:
    """This one reads some ahead as well. When the others end over a file, it is read here in its turn."""
    keygen(tmp_path / "k")
    taken = []
    read: list[bool] = []
    here: list[bool] = []
    ahead, reading = Intake._read_ahead, Intake.read

    def noted_here(*given: Any) -> Read | None:
        here.append(True)
        return reading(*given)

    monkeypatch.setattr(Intake, "read", noted_here)

    def noted(intake: Intake, table: DeliveredTable) -> object:
        if ending and len(read) == 2:
            for child in multiprocessing.active_children():
                child.kill()
        found = ahead(intake, table)
        read.append(found is not None)
        return found

    for workers in (1, 2):
        monkeypatch.setattr(Intake, "_read_ahead", noted if workers == 2 else ahead)
        data = tmp_path / f"data{workers}"
        receipts = deliver(
            [each.path for each in written], None, data, tmp_path / "k", synthetic=True,
            received_at=datetime(2016, 4, 15, tzinfo=UTC), workers=workers,
        )  # fmt: skip
        taken.append((told_of(data, tmp_path / "k"), [replace(receipt, path_html="") for receipt in receipts]))
    assert taken[0] == taken[1]
    assert len(read) == len(written) >= 8
    assert all(read) != ending
    assert 0 < len(here) < len(written)


def test_rows_read_ahead_in_several_blocks_are_those_of_one(
    written: list[Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keygen(tmp_path / "k")
    intake = Intake(load_keys(tmp_path / "k"), Request(synthetic=True, received_at=datetime(2016, 4, 15, tzinfo=UTC)))
    delivery = next(each for each in written if each.path.suffix == ".csv" and each.faulty and each.rows > 100)
    rows = delivery.path.read_bytes().splitlines(keepends=True)
    path = tmp_path / delivery.path.name
    path.write_bytes(b"".join([*rows, *rows[1:9]]))  # the last repeat the first, blocks away
    found: list[Read] = []
    with open_scratch(tmp_path) as scratch:
        for size in (1 << 23, 700):
            monkeypatch.setattr("flows.deliveries.files.BLOCK", size)
            (table,) = _open(path, intake.request).tables
            read = intake.read(table, (), scratch)
            assert read is not None
            found.append(read)
    one, several = found
    assert several.rows.column("person_id").num_chunks > 3
    assert one.rows.equals(several.rows)
    assert (one.accepted, one.persons, one.tally) == (several.accepted, several.persons, several.tally)
    assert one.accepted == one.rows.num_rows == one.tally.rows_in - one.tally.rejected
    assert one.tally.rejected > one.tally.totals["", "duplicate"] > 4


def test_the_same_world_writes_the_same_bytes(world: World, written: list[Written], tmp_path: Path) -> None:
    again = write_deliveries(world, tmp_path, CODES)
    for old, new in zip(written, again, strict=True):
        if old.path.suffix == ".csv":
            assert old.path.read_bytes() == new.path.read_bytes()
        assert (old.path.name, old.rows, old.faulty) == (new.path.name, new.rows, new.faulty)


def test_made_up_numbers_cannot_be_taken_for_issued_ones(world: World) -> None:
    persons = world.persons
    born = [day.date() for day in persons["birth_date"]]
    numbers = made_up_cpr(born, list(persons["sex_code"].astype(str)))
    assert len(set(numbers)) == len(numbers)
    for number, day, sex in zip(numbers, born, persons["sex_code"], strict=True):
        assert normalise_cpr(number) == number
        assert (birth_date(number), sex_code(number)) == (day, sex)
    ordinary = [n for n, day in zip(numbers, born, strict=True) if (day.day, day.month) != (1, 1)]
    new_year = [n for n, day in zip(numbers, born, strict=True) if (day.day, day.month) == (1, 1)]
    assert not any(map(is_modulus11, ordinary))
    assert len(new_year) > 0.1 * len(numbers)
    assert sum(map(is_modulus11, new_year)) < 0.3 * len(new_year)

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from flows.deliveries.intake import Intake, Table, deliver
from flows.deliveries.keys import birth_date, is_modulus11, keygen, load_keys, normalise_cpr, sex_code
from flows.deliveries.store import deliveries_in_force, newest_periods, open_restricted, rows_of
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
        assert cases["is_synthetic"].all()
        lost = 'SELECT count(*) FROM restricted.measure ANTI JOIN restricted."case" USING (person_id)'
        assert warehouse.scalar(lost) < 0.05 * warehouse.scalar("SELECT count(*) FROM restricted.measure")


def told_of(folder: Path, key: Path) -> list[object]:
    """Return every row of every table of a restricted database."""
    found: list[object] = []
    with open_restricted(folder / "restricted", load_keys(key).database_key) as warehouse:
        for table in ("delivery", '"case"', "measure", "employment", "organisation"):
            found.append(sorted(map(repr, warehouse.rows(f"SELECT * FROM restricted.{table}"))))
    return found


@pytest.mark.parametrize("ending", [False, True])
def test_files_read_by_other_processes_are_taken_in_the_same(
    written: list[Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: bool
) -> None:
    """Also when these end over a file: then it is read here."""
    keygen(tmp_path / "k")
    taken = []
    read: list[bool] = []
    ahead = Intake._read_ahead

    def noted(intake: Intake, table: Table) -> object:
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

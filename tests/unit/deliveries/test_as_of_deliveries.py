"""What was known of deliveries at a moment: received by then, superseded only by what had come by then."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from flows.deliveries.buckets import load_person_data
from flows.deliveries.keys import load_keys
from flows.deliveries.store import (
    Known,
    choose,
    open_restricted,
    person_rows,
    prepare_table,
    read_ledger,
    rotate,
    rows_of,
)
from flows.settings import Settings
from tests.unit.deliveries.delivery_files import CASES, Door, case_rows, cpr, csv_bytes
from transforms.errors import DataRefused
from transforms.models.persons import PersonData, PersonRows

APRIL, JUNE, AUGUST = (datetime(2016, month, 15, 9, 0, tzinfo=UTC) for month in (4, 6, 8))
MAY, JULY = (datetime(2016, month, 31, 23, 59, 59, 999999, tzinfo=UTC) for month in (5, 7))
MEASURES = ("CPR", "Indsats", "Start", "Slut", "Timer/uge", "Branche")
JOBS = ("CPR", "Ansat fra", "Ansat til", "Timer", "Branche", "Støttet")
ANSWERS = ("Kommune", "Opgørelsesdato", "Besvaret af", "Organisationsmodel")


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def settings_of(door: Door) -> Settings:
    return Settings(data=door.data, key_file=door.key)


def deliver_cases(door: Door, count: int, moment: datetime, period: str = "2016K1", synthetic: bool = False) -> str:
    content = csv_bytes(CASES, case_rows(count))
    receipt = door.one(f"sager_{period}.csv", content, period=period, received_at=moment, synthetic=synthetic)
    assert not receipt.is_refused
    return receipt.delivery_id


def deliver_answer(door: Door, model: str, moment: datetime) -> str:
    content = csv_bytes(ANSWERS, [["Rebild", "01-04-2016", "Leder", model]])
    return door.one("org.csv", content, received_at=moment).delivery_id


def deliver_rest(door: Door, moment: datetime, synthetic: bool = False) -> None:
    measure = [[cpr(n), "Privat praktik", "01-02-2016", "01.05.16", "20,5", "56.10.10"] for n in range(9)]
    job = [[cpr(n), "01-02-2016", "", "37", "561010", "Nej"] for n in range(9)]
    door.one("i_2016K1.csv", csv_bytes(MEASURES, measure), received_at=moment, synthetic=synthetic)
    door.one("j_2016K1.csv", csv_bytes(JOBS, job), received_at=moment, synthetic=synthetic)
    answer = csv_bytes(ANSWERS, [["Rebild", "01-01-2016", "Leder", "Delt"]])
    door.one("o_2016K1.csv", answer, period="2016K1", received_at=moment, synthetic=synthetic)


def peopled(folder: Path, persons: int) -> Door:
    """Return a door through which so many persons have come in April, with measures, jobs and answers."""
    door = Door(folder)
    deliver_rest(door, APRIL)
    deliver_cases(door, persons, APRIL)
    return door


def known(door: Door, by: datetime | None = None, upto: str | None = None, synthetic: bool = False) -> PersonData:
    data = load_person_data(settings_of(door), synthetic=synthetic, known=Known(by, upto))
    assert data is not None
    return data


def delivered(door: Door, by: datetime | None = None, upto: str | None = None) -> PersonRows:
    """Return the person rows that count."""
    settings, key = settings_of(door), load_keys(door.key).database_key
    with open_restricted(settings.restricted, key, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=False, known=Known(by, upto))
        assert chosen is not None
        return person_rows(warehouse, chosen.wanted)


def pseudonyms(door: Door, by: datetime | None = None) -> set[str]:
    """Return who the cases that count are of."""
    settings, key = settings_of(door), load_keys(door.key).database_key
    with open_restricted(settings.restricted, key, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=False, known=Known(by))
        assert chosen is not None
        taken = chosen.wanted.deliveries["cases"]
        stored = rows_of(warehouse, "case", taken, superseded=chosen.wanted.superseded, columns=("person_id",))
        return set(stored["person_id"].to_pylist())


@pytest.mark.long
def test_a_delivery_counts_from_the_second_it_was_received(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    before = Known(APRIL - timedelta(seconds=1))
    assert read_ledger(settings_of(door), synthetic=False, known=before).state is None
    assert load_person_data(settings_of(door), synthetic=False, known=before) is None
    assert len(delivered(door, APRIL).cases) == 20


@pytest.mark.long
def test_a_delivery_corrected_later_is_in_force_as_of_then(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    then, state = delivered(door), known(door).state
    deliver_cases(door, 22, JUNE)
    deliver_cases(door, 25, AUGUST)
    assert [len(delivered(door, by).cases) for by in (MAY, JUNE, JULY, AUGUST, None)] == [20, 22, 22, 25, 25]
    assert delivered(door, MAY).cases.equals(then.cases)
    assert known(door, MAY).state == state


@pytest.mark.long
def test_answers_about_the_organisation_are_deliveries_too(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    deliver_answer(door, "Delt", APRIL)
    deliver_answer(door, "Én tværfaglig enhed", JUNE)
    models = [list(known(door, by).organisation["org_model_code"]) for by in (MAY, JULY, None)]
    assert models[0] != models[1]
    assert models[1] == models[2]


def test_a_later_period_is_not_known_before_it_came(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    deliver_cases(door, 30, AUGUST, period="2016K2")
    early, late = delivered(door, JULY), delivered(door)
    assert (len(early.cases), early.until) == (20, date(2016, 3, 31))
    assert (len(late.cases), late.until) == (30, date(2016, 6, 30))


def test_an_older_period_that_comes_late_does_not_take_the_place_of_a_newer_one(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    deliver_cases(door, 30, JUNE, period="2015K4")
    assert (len(delivered(door).cases), delivered(door).until) == (20, date(2016, 3, 31))


@pytest.mark.long
def test_a_kind_that_came_later_is_waited_for_as_it_was_then(door: Door) -> None:
    deliver_cases(door, 20, APRIL)
    deliver_rest(door, JUNE)
    assert load_person_data(settings_of(door), synthetic=False, known=Known(MAY)) is None
    assert len(delivered(door, JULY).measures) == 9


@pytest.mark.long
def test_what_was_entered_later_is_not_known_though_its_receipt_is_dated_back(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    then, seen = read_ledger(settings_of(door), synthetic=False), known(door, MAY)
    deliver_cases(door, 22, APRIL)
    assert len(delivered(door, MAY).cases) == 22
    again = known(door, MAY, upto=then.last_delivery)
    assert (len(delivered(door, MAY, upto=then.last_delivery).cases), again.state) == (20, seen.state)
    assert read_ledger(settings_of(door), synthetic=False, known=Known(upto=then.last_delivery)) == then


def test_nothing_is_known_of_the_ledger_before_its_first_line(door: Door) -> None:
    before = read_ledger(settings_of(door), synthetic=False)
    deliver_cases(door, 20, APRIL)
    assert read_ledger(settings_of(door), synthetic=False).state is not None
    assert read_ledger(settings_of(door), synthetic=False, known=Known(upto=before.last_delivery)).state is None


@pytest.mark.long
def test_an_invented_delivery_does_not_hide_the_real_one_of_an_earlier_period(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    deliver_cases(door, 30, JUNE, period="2016K2", synthetic=True)
    assert len(delivered(door).cases) == 20


def test_rows_deleted_by_an_earlier_version_are_told_in_one_sentence(door: Door) -> None:
    deliver_rest(door, APRIL)
    lost = deliver_cases(door, 20, APRIL)
    deliver_cases(door, 22, JUNE)
    with open_restricted(door.data / "restricted", load_keys(door.key).database_key) as warehouse:
        warehouse.execute("DROP TABLE restricted.superseded_case")
    with pytest.raises(DataRefused) as told:
        known(door, MAY)
    message = str(told.value)
    for part in ("restricted.duckdb", lost, "cases", "840", "2016K1", "not all of its rows left", "2016-06-15"):
        assert part in message
    assert "\n" not in message
    assert len(delivered(door, JULY).cases) == 22


@pytest.mark.long
def test_superseded_rows_stay_beside_those_in_force_and_a_new_column_is_no_hindrance(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    deliver_cases(door, 22, JUNE)
    with open_restricted(door.data / "restricted", load_keys(door.key).database_key) as warehouse:
        prepare_table(warehouse, "case", {"a_new_column": "VARCHAR"})
    deliver_cases(door, 25, AUGUST)
    held = [door.rows(f"SELECT count(*) FROM restricted.{table}") for table in ('"case"', "superseded_case")]
    assert held == [[(25,)], [(42,)]]
    assert [len(delivered(door, by).cases) for by in (MAY, JULY, None)] == [20, 22, 25]


@pytest.mark.long
def test_persons_of_superseded_rows_follow_a_change_of_key(door: Door) -> None:
    deliver_rest(door, APRIL)
    deliver_cases(door, 20, APRIL)
    deliver_cases(door, 22, JUNE)
    before, state = pseudonyms(door, MAY), known(door, MAY).state
    rotate(door.key, door.data)
    after = pseudonyms(door, MAY)
    assert len(before) == len(after) == len(delivered(door, MAY).cases) == 20
    assert not before & after
    assert after < pseudonyms(door)
    assert known(door, MAY).state == state

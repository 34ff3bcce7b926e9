"""Two releases never tell few persons apart: a municipality's figures stand until enough persons lie between."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.deliveries.buckets import load_person_data
from flows.deliveries.store import FILE, Known, forget, read_ledger, record_published
from flows.run.night import prune_superseded
from tests.unit.deliveries.delivery_files import Door, cpr
from tests.unit.deliveries.test_as_of_deliveries import (
    APRIL,
    AUGUST,
    JUNE,
    MAY,
    deliver_cases,
    deliver_rest,
    delivered,
    known,
    peopled,
    settings_of,
)
from tests.unit.deliveries.test_retention import LONG_AFTER
from transforms.disclosure import Gate
from transforms.errors import UsageError
from transforms.models.persons import PersonData, guarded_organisation, newcomer_shares


@pytest.fixture
def door(tmp_path: Path) -> Door:
    """Return a door through which forty persons have come."""
    return peopled(tmp_path, 40)


def publish(door: Door, data: PersonData, run_id: str) -> dict[str, Any]:
    release = {"person_deliveries": dict(data.deliveries), "is_synthetic": False, "run_id": run_id}
    record_published(settings_of(door), release)
    return release


def persons_of(data: PersonData) -> int:
    return int(data.counts.cases.count.sum())


def figures(data: PersonData) -> str:
    return newcomer_shares(data, Gate(secret=data.rounding_key)).to_json()


@pytest.mark.long
def test_what_is_published_stands_until_enough_persons_lie_between(door: Door) -> None:
    first = known(door)
    publish(door, first, "1")
    for count in (41, 44, 36):
        deliver_cases(door, count, JUNE)
        again = known(door)
        assert persons_of(again) == 40
        assert figures(again) == figures(first)
        assert again.states == first.states
    deliver_cases(door, 45, JUNE)
    assert persons_of(known(door)) == 45


@pytest.mark.long
def test_a_release_is_set_against_every_earlier_one_not_only_the_last(door: Door) -> None:
    publish(door, known(door), "1")
    deliver_cases(door, 50, JUNE)
    publish(door, known(door), "2")
    deliver_cases(door, 41, AUGUST)
    assert persons_of(known(door)) == 40


def test_without_a_publication_what_is_in_force_counts(door: Door) -> None:
    deliver_cases(door, 41, JUNE)
    assert persons_of(known(door)) == 41


@pytest.mark.long
def test_a_build_of_the_past_does_not_come_too_near_what_is_published(door: Door) -> None:
    deliver_cases(door, 41, JUNE)
    publish(door, known(door), "1")
    with pytest.raises(AssertionError):  # forty persons, one fewer than is published, and nothing else known by then
        known(door, MAY)


@pytest.mark.long
def test_a_build_repeats_what_it_chose_when_more_has_been_published_since(door: Door) -> None:
    publish(door, known(door), "1")
    deliver_cases(door, 43, JUNE)
    held, upto = known(door), read_ledger(settings_of(door), synthetic=False).last_delivery
    publish(door, held, "2")
    deliver_cases(door, 60, AUGUST)
    publish(door, known(door), "3")
    again = load_person_data(settings_of(door), synthetic=False, known=Known(upto=upto))
    assert again is not None
    assert (again.deliveries, figures(again)) == (held.deliveries, figures(held))


UNTIL_MARCH = Known(until=date(2016, 3, 31))


def of_march(door: Door, threshold: int = 5) -> PersonData:
    settings = settings_of(door).model_copy(update={"suppression_threshold": threshold})
    data = load_person_data(settings, synthetic=False, known=UNTIL_MARCH)
    assert data is not None
    return data


@pytest.mark.long
def test_a_baseline_of_a_period_stands_between_what_was_made_of_it_before_and_what_comes(door: Door) -> None:
    deliver_cases(door, 90, JUNE, period="2016K2")
    publish(door, known(door), "1")
    first = of_march(door)
    publish(door, first, "baseline")
    for count in (41, 44, 36):
        deliver_cases(door, count, AUGUST)
        assert figures(of_march(door)) == figures(first)
        assert persons_of(known(door)) == 90
    deliver_cases(door, 45, AUGUST)
    assert persons_of(of_march(door)) == 45
    assert of_march(door).states != first.states


@pytest.mark.long
def test_a_baseline_does_not_come_too_near_the_running_publication(door: Door) -> None:
    deliver_cases(door, 43, JUNE, period="2016K2")
    publish(door, known(door), "1")
    with pytest.raises(AssertionError):  # forty persons then, three fewer than is published
        of_march(door)


@pytest.mark.long
def test_a_baseline_whose_record_is_lost_is_remembered_by_its_manifest(door: Door) -> None:
    deliver_cases(door, 90, JUNE, period="2016K2")
    first = of_march(door)
    folder = settings_of(door).baselines / "nulpunkt"
    folder.mkdir(parents=True)
    release = {"person_deliveries": dict(first.deliveries), "is_synthetic": False, "run_id": "1", "snapshots": {}}
    (folder / "manifest.json").write_text(json.dumps({"run_id": "1", "files": {}, "release": release}), "utf-8")
    deliver_cases(door, 41, AUGUST)
    assert figures(of_march(door)) == figures(first)


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_fewer_persons_than_the_threshold_are_not_told_of_a_municipality_at_all(tmp_path: Path, count: int) -> None:
    """Nothing and a delivery of four are two releases as well."""
    door = Door(tmp_path)
    deliver_rest(door, APRIL)
    deliver_cases(door, count, APRIL)
    settings = settings_of(door).model_copy(update={"suppression_threshold": 10})
    assert load_person_data(settings, synthetic=False) is None
    assert persons_of(known(door)) == count  # nine persons have measures and jobs: enough at a threshold of five


@pytest.mark.long
@pytest.mark.parametrize("threshold", [5, 7, 50])
def test_respondents_pass_the_gate_like_other_persons(door: Door, threshold: int) -> None:
    """Else the seventh respondent's judgement is seven times the new mean less six times the old."""
    data = known(door)
    gate = Gate(threshold, 15 if threshold < 15 else threshold, secret=data.rounding_key)
    seen = set()
    for count in range(1, 130):
        answers = pd.concat([data.organisation] * count).assign(rating_leadership=4)
        (told,) = guarded_organisation(replace(data, organisation=answers), gate).to_dict("records")
        respondents = told["respondent_count"]
        assert pd.isna(respondents) == pd.isna(told["rating_leadership_lowest"])
        assert pd.isna(respondents) or (count >= threshold and respondents % 5 == 0 and abs(respondents - count) < 5)
        seen.add(pd.isna(respondents))
    assert seen == {True, False}


@pytest.mark.long
def test_a_lost_record_is_made_good_by_the_release_that_is_published(door: Door) -> None:
    first = known(door)
    settings = settings_of(door)
    settings.builds.mkdir(parents=True)
    release = {"person_deliveries": dict(first.deliveries), "is_synthetic": False, "run_id": "1"}
    (settings.builds / "kommunekort-1.json").write_text(json.dumps(release), encoding="utf-8")
    (settings.builds / "kommunekort-1.duckdb").touch()
    settings.published.symlink_to("builds/kommunekort-1.duckdb")
    deliver_cases(door, 41, JUNE)
    assert persons_of(known(door)) == 40


def test_the_threshold_of_the_settings_rules(door: Door) -> None:
    publish(door, known(door), "1")
    deliver_cases(door, 45, JUNE)
    settings = settings_of(door).model_copy(update={"suppression_threshold": 6})
    data = load_person_data(settings, synthetic=False)
    assert data is not None
    assert persons_of(data) == 40


def test_changed_rows_of_one_person_count_as_one(door: Door) -> None:
    from tests.unit.deliveries.delivery_files import CASES, case_rows, csv_bytes

    publish(door, known(door), "1")
    rows = case_rows(40)
    for number in range(4):
        rows[number][5] = "7"
    door.one("sager_2016K1.csv", csv_bytes(CASES, rows), period="2016K1", received_at=JUNE)
    assert (delivered(door).cases["children_count"] == 7).sum() == 0
    rows[4][5] = "7"
    door.one("sager_2016K1.csv", csv_bytes(CASES, rows), period="2016K1", received_at=AUGUST)
    assert (delivered(door).cases["children_count"] == 7).sum() == 5


def test_the_rows_published_figures_stand_on_are_kept_while_they_stand(door: Door) -> None:
    first = known(door)
    release = publish(door, first, "1")
    settings = settings_of(door)
    settings.builds.mkdir(parents=True)
    (settings.builds / "kommunekort-1.json").write_text(
        json.dumps(release | {"as_of": None, "last_delivery": None}), encoding="utf-8"
    )
    (settings.builds / "kommunekort-1.duckdb").touch()
    settings.published.symlink_to("builds/kommunekort-1.duckdb")
    deliver_cases(door, 41, JUNE)
    prune_superseded(settings, LONG_AFTER)
    assert persons_of(known(door)) == 40


# The right to be forgotten.


def held(door: Door, number: str) -> int:
    from flows.deliveries.keys import load_keys

    person = load_keys(door.key).pseudonymiser().pseudonym(number)
    assert person is not None
    tables = door.rows("SELECT table_name FROM information_schema.columns WHERE column_name = 'person_id'")
    return sum(
        door.rows(f"SELECT count(*) FROM restricted.{table} WHERE person_id = '{person}'")[0][0] for (table,) in tables
    )


@pytest.mark.long
def test_every_row_of_the_person_goes_superseded_ones_too(door: Door) -> None:
    deliver_cases(door, 48, JUNE)
    assert held(door, cpr(3)) == 4  # two cases, a measure, a job
    before = read_ledger(settings_of(door), synthetic=False)
    gone = forget(settings_of(door), cpr(3).replace("-", " "), AUGUST)
    assert sum(gone.rows.values()) == 4
    assert held(door, cpr(3)) == 0
    assert held(door, cpr(4)) == 4
    assert persons_of(known(door)) == 47
    assert read_ledger(settings_of(door), synthetic=False).state != before.state
    assert door.rows("SELECT count(*), sum(rows_deleted) FROM restricted.forgotten") == [(4, 4)]
    columns = door.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'forgotten'")
    assert ("person_id",) not in columns


@pytest.mark.long
def test_after_forgetting_a_municipality_is_left_out_until_enough_others_lie_between(door: Door) -> None:
    """Its figures made anew would differ from those that are published by this one person."""
    settings, first = settings_of(door), known(door)
    publish(door, first, "20160501T000000000Z")
    forget(settings, cpr(3), JUNE)
    assert load_person_data(settings, synthetic=False) is None  # nobody else has delivered
    deliver_cases(door, 44, AUGUST)  # the forgotten one is delivered again, with four others
    assert load_person_data(settings, synthetic=False) is None
    deliver_cases(door, 46, AUGUST)
    later = known(door)
    assert persons_of(later) == 46
    assert later.states != first.states


def test_who_is_forgotten_before_a_publication_is_not_in_it(door: Door) -> None:
    forget(settings_of(door), cpr(3), JUNE)
    publish(door, known(door), "20160701T000000000Z")
    assert persons_of(known(door)) == 39


def test_forgetting_nobody_deletes_nothing(door: Door) -> None:
    assert forget(settings_of(door), cpr(77), AUGUST).rows == {}
    assert persons_of(known(door)) == 40
    with pytest.raises(UsageError, match="no CPR number"):
        forget(settings_of(door), "3113600000", AUGUST)


def test_the_command_asks_for_the_number_and_never_shows_it(door: Door) -> None:
    environment = {"KOMMUNEKORT_KEY_FILE": str(door.key)}
    typed = f"{cpr(3)}\ny\n"
    result = CliRunner().invoke(app, ["forget", "--data", str(door.data)], input=typed, env=environment)
    assert result.exit_code == 0, result.output
    assert "3 rows deleted" in result.output
    assert cpr(3) not in result.output
    assert held(door, cpr(3)) == 0
    assert (door.data / "restricted" / FILE).stat().st_mode & 0o777 == 0o600
    again = CliRunner().invoke(app, ["forget", "--data", str(door.data)], input=typed, env=environment)
    assert "no rows of this person" in again.output

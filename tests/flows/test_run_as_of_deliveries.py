"""Deliveries in builds as of a day, and in baselines that are built again after a corrected redelivery."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.deliveries.intake import deliver
from flows.deliveries.keys import keygen, load_keys
from flows.deliveries.store import FILE, open_restricted
from flows.run import night
from flows.settings import Settings
from flows.store import baselines
from flows.store.builds import writer_lock
from tests.fixtures.world import Published, run_from
from tests.unit.deliveries.delivery_files import CASES, case_rows, cpr, csv_bytes
from transforms.errors import DataRefused, NothingNew

MEASURES = ("CPR", "Indsats", "Start", "Slut", "Timer/uge", "Branche")
JOBS = ("CPR", "Ansat fra", "Ansat til", "Timer", "Branche", "Støttet")
ANSWERS = ("Kommune", "Opgørelsesdato", "Besvaret af", "Organisationsmodel")
ORGANISATION = "SELECT org_model_code FROM mart.organisation"


@pytest.fixture
def ours(own_data: Published, in_a_hurry: None) -> Published:
    """Return a data folder of its own, with a key and without deliveries."""
    root = own_data.settings.root
    key = root.parent / "keys" / "pseudonym.key"
    keygen(key, root)
    return Published(Settings(data=root, key_file=key, threads=1), own_data.origin)


def give(ours: Published, name: str, content: bytes, moment: datetime) -> None:
    path = ours.settings.root.parent / name
    path.write_bytes(content)
    (receipt,) = deliver(
        [path], "840", ours.settings.root, ours.settings.key_file, period="2016K1", synthetic=True, received_at=moment
    )
    assert not receipt.is_refused


def answer(ours: Published, model: str, moment: datetime) -> None:
    give(ours, "org.csv", csv_bytes(ANSWERS, [["Rebild", "01-04-2016", "Leder", model]]), moment)


def deliver_everything(ours: Published, moment: datetime) -> None:
    measure = [[cpr(n), "Privat praktik", "01-02-2016", "01.05.16", "20,5", "56.10.10"] for n in range(9)]
    job = [[cpr(n), "01-03-2016", "", "37", "561010", "Nej"] for n in range(9)]
    give(ours, "sager.csv", csv_bytes(CASES, case_rows(40)), moment)
    give(ours, "indsatser.csv", csv_bytes(MEASURES, measure), moment)
    give(ours, "job.csv", csv_bytes(JOBS, job), moment)
    answer(ours, "Delt", moment)


def built(ours: Published, **options: Any) -> list[tuple[Any, ...]]:
    run_from(ours.settings, ours.origin, **options)
    return ours.rows(ORGANISATION)


def rebuilt(ours: Published) -> dict[str, bool]:
    with writer_lock(ours.settings.root):
        return night.rebuild(ours.settings, "nulpunkt")


@pytest.mark.long
def test_a_build_as_of_a_day_holds_what_had_been_delivered_by_then(ours: Published) -> None:
    now = datetime.now(UTC)
    deliver_everything(ours, now + timedelta(days=2))
    answer(ours, "Én tværfaglig enhed", now + timedelta(days=4))
    first, corrected = (built(ours, as_of=now + timedelta(days=days)) for days in (3, 5))
    assert len(first) == len(corrected) == 1
    assert first != corrected
    assert built(ours) == corrected


@pytest.mark.long
def test_a_later_delivery_is_nothing_new_to_a_build_as_of_before_it(ours: Published) -> None:
    now = datetime.now(UTC)
    deliver_everything(ours, now)
    first = built(ours, as_of=now + timedelta(days=1))
    answer(ours, "Én tværfaglig enhed", now + timedelta(days=2))
    with pytest.raises(NothingNew):
        built(ours, as_of=now + timedelta(days=1))
    assert built(ours) != first


# A delivery of the night's own drop folder is received after the run has started, one of the sample long before.
@pytest.mark.long
@pytest.mark.parametrize(("received", "as_of"), [(timedelta(hours=1), None), (timedelta(days=-100), timedelta(days=1))])
def test_a_redelivery_does_not_change_a_rebuild(ours: Published, received: timedelta, as_of: timedelta | None) -> None:
    now = datetime.now(UTC)
    deliver_everything(ours, now + received)
    asked = {} if as_of is None else {"as_of": now + as_of}
    frozen = built(ours, **asked)
    baselines.freeze(ours.settings, "nulpunkt")
    answer(ours, "Én tværfaglig enhed", now + received)
    give(ours, "sager.csv", csv_bytes(CASES, case_rows(60)), now + received)
    again = rebuilt(ours)
    assert again
    assert [file for file, same in again.items() if not same] == []
    assert built(ours, force=True, **asked) != frozen


def kept_rows(ours: Published) -> int:
    key = load_keys(ours.settings.key_file).database_key
    with open_restricted(ours.settings.restricted, key, read_only=True) as warehouse:
        return int(warehouse.scalar("SELECT count(*) FROM restricted.superseded_organisation"))


@pytest.mark.long
@pytest.mark.parametrize("frozen", [True, False])
def test_a_publication_deletes_rows_superseded_long_ago_unless_a_baseline_needs_them(
    ours: Published, frozen: bool
) -> None:
    now = datetime.now(UTC)
    deliver_everything(ours, now - timedelta(days=1000))
    built(ours)
    if frozen:
        baselines.freeze(ours.settings, "nulpunkt")
    answer(ours, "Én tværfaglig enhed", now - timedelta(days=900))
    assert kept_rows(ours) == 1
    built(ours)
    assert kept_rows(ours) == int(frozen)
    if frozen:
        assert all(rebuilt(ours).values())


@pytest.mark.long
def test_a_baseline_without_deliveries_is_built_again_without_them(ours: Published) -> None:
    baselines.freeze(ours.settings, "nulpunkt")
    deliver_everything(ours, datetime.now(UTC) - timedelta(days=100))
    assert all(rebuilt(ours).values())


@pytest.mark.long
def test_a_baseline_frozen_by_an_earlier_version_is_built_again(ours: Published) -> None:
    """Its manifest does not say which delivery was the last it had met."""
    frozen = baselines.freeze(ours.settings, "nulpunkt")
    manifest = frozen.folder / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    del facts["release"]["last_delivery"]
    manifest.write_text(json.dumps(facts), encoding="utf-8")
    assert all(rebuilt(ours).values())


@pytest.mark.long
def test_a_rebuild_without_its_deliveries_is_refused_in_one_sentence(ours: Published) -> None:
    deliver_everything(ours, datetime.now(UTC))
    built(ours)
    baselines.freeze(ours.settings, "nulpunkt")
    (ours.settings.restricted / FILE).unlink()
    with pytest.raises(DataRefused, match=r"nulpunkt: .*restricted\.duckdb.*restore") as told:
        rebuilt(ours)
    assert "\n" not in str(told.value)


@pytest.mark.long
def test_a_rebuild_years_later_is_judged_at_the_moment_of_the_frozen_run(
    ours: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.run.record import RunInfo

    baselines.freeze(ours.settings, "nulpunkt")
    much_later = datetime.now(UTC) + timedelta(days=10_000)
    late = RunInfo("20990101T000000000Z", much_later, str(ours.origin))
    monkeypatch.setattr(RunInfo, "start", classmethod(lambda cls, *given: late))
    again = rebuilt(ours)
    assert all(again.values())

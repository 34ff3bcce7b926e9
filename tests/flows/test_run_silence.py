"""Whole runs on nights when sources do not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.run import record
from flows.run.record import FetchReport
from flows.settings import Settings
from tests.fixtures.world import Published, run_from
from transforms.errors import NothingNew, UsageError

DOWN = {"statbank_folk1a": "POST api.statbank.dk: no connection; given up after 5 tries, try later"}


def answering(patch: pytest.MonkeyPatch, report: FetchReport) -> None:
    patch.setattr("flows.run.night.fetch", lambda *given, **options: report)


def test_nobody_answers(own_data: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, FetchReport(kept_old=DOWN))
    before, good = own_data.state(), record.last_good(own_data.settings)
    with pytest.raises(UsageError, match=r"^none of 1 sources answered \(first statbank_folk1a: .*run again$"):
        run_from(own_data.settings, own_data.origin)
    assert own_data.state() == before
    assert record.standing_alarm(own_data.settings) is not None
    assert record.last_good(own_data.settings) == good, "silence confirms nothing"


def test_some_answer(own_data: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, FetchReport(kept_old=DOWN, unchanged=["statbank_aulkp01"]))
    alarm = record.raise_alarm(own_data.settings, "r1", "failed", "something earlier")
    good = record.last_good(own_data.settings)
    with pytest.raises(NothingNew, match=r"^nothing new since build .*; 1 of 2 sources did not answer"):
        run_from(own_data.settings, own_data.origin)
    assert record.standing_alarm(own_data.settings) == alarm
    assert record.last_good(own_data.settings) == good
    answering(monkeypatch, FetchReport(unchanged=["statbank_aulkp01"]))
    with pytest.raises(NothingNew):
        run_from(own_data.settings, own_data.origin)
    assert record.standing_alarm(own_data.settings) is None, "a night on which all answer takes it back"


@pytest.mark.long
@pytest.mark.usefixtures("in_a_hurry")
def test_something_else_is_new(own_data: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another threshold of suppression is a reason to build from the snapshots at hand."""
    answering(monkeypatch, FetchReport(kept_old=DOWN))
    settings = own_data.settings.model_copy(update={"suppression_threshold": 7})
    assert run_from(settings, own_data.origin).status == "published"


def test_the_first_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, FetchReport(kept_old=DOWN, missing=list(DOWN)))
    with pytest.raises(UsageError) as failed:
        run_from(Settings(data=tmp_path / "data"), "live")
    assert str(failed.value).startswith("none of 1 sources answered (first statbank_folk1a: ")
    assert str(failed.value).endswith("; there is no snapshot to build from; run `kommunekort fetch --from live` first")

"""Invented data never take the place of real ones, and every cure names the data it is for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli import run
from flows.cli.health import status_facts
from flows.cli.main import app
from flows.run import night
from flows.run import record as run_record
from flows.run.fetch import fetch, receive
from flows.run.night import Asked
from flows.run.record import RunInfo
from flows.settings import Settings
from flows.store import builds
from tests.fixtures.world import Published, run_from
from transforms.catalogue import load_catalogue
from transforms.errors import KommunekortError, UsageError


def command(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def told(ended: Result) -> str:
    """Return the one sentence a command ended with."""
    assert isinstance(ended.exception, KommunekortError), ended
    assert "\n" not in str(ended.exception)
    return str(ended.exception)


@pytest.fixture
def real(own_data: Published) -> Published:
    """Return a data folder whose publication says that it is real, from the live registers."""
    facts = own_data.settings.published.resolve().parent.with_suffix(".json")
    release = json.loads(facts.read_text(encoding="utf-8"))
    facts.write_text(json.dumps({**release, "is_synthetic": False, "origin": "live"}), encoding="utf-8")
    return own_data


def everything(published: Published) -> dict[str, bytes]:
    """Return every file of the data folder but the lock."""
    root = published.settings.root
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.parametrize(
    "words", [["run", "--plain"], ["run"], ["run", "--plain", "--force"], ["fetch"], ["build"], ["validate"], ["serve"]]
)
def test_the_sample_never_comes_over_real_data(real: Published, words: list[str]) -> None:
    before = everything(real)
    ended = command(*words, "--data", real.settings.root)
    assert isinstance(ended.exception, UsageError)
    sentence = told(ended)
    assert f"build {real.release['run_id']}" in sentence
    assert "--from sample" in sentence
    assert "type `--from live`" in sentence
    assert "--data" in sentence
    assert everything(real) == before, "not even a record, an alarm or a snapshot"


def test_a_folder_of_invented_files_does_not_either(real: Published) -> None:
    ended = command("run", "--plain", "--from", real.origin, "--data", real.settings.root)
    assert f"--from {real.origin} would put invented data" in told(ended)


def test_each_step_the_flow_takes_is_guarded(real: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, ours = load_catalogue(), real.settings
    with pytest.raises(UsageError, match="invented data"):
        fetch(ours, catalogue, "sample", [])
    with pytest.raises(UsageError, match="invented data"):
        receive(ours, "sample")
    with pytest.raises(UsageError, match="invented data"):
        night.build_step(ours, catalogue, RunInfo.start(ours, "sample"), force=True)


def test_a_validated_candidate_of_invented_data_is_not_published_over_real_data(real: Published) -> None:
    waiting = real.settings.root / "validated.duckdb"
    waiting.touch()
    release = {"run_id": "99990101T000000000Z", "origin": "sample", "is_synthetic": True}
    waiting.with_suffix(".json").write_text(json.dumps(release), encoding="utf-8")
    before = real.state()
    assert "invented data" in told(command("publish", "--data", real.settings.root))
    assert real.state() == before


@pytest.mark.long
@pytest.mark.usefixtures("in_a_hurry")
def test_real_data_over_the_sample_need_no_word(own_data: Published, tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    for file in own_data.origin.glob("*.csv"):
        (folder / file.name).write_bytes(file.read_bytes())
    assert own_data.release["is_synthetic"]
    assert run_from(own_data.settings, folder).status == "published"
    assert not own_data.release["is_synthetic"]
    ended = command("run", "--plain", "--data", own_data.settings.root)
    assert f"type `--from {folder}`" in told(ended)


def test_the_cures_of_status_name_the_published_origin(real: Published) -> None:
    ours = real.settings
    run_record.raise_alarm(ours, "r1", "failed", "no connection")
    ended = command("status", "--data", ours.root)
    sentence = told(ended)
    assert sentence.startswith("run r1 failed"), "the program's name comes once, from the command itself"
    assert sentence.endswith("run `kommunekort run --from live` when its cause is gone")


def test_the_cure_of_an_old_publication_names_its_origin(real: Published) -> None:
    ours = real.settings
    later = replace(RunInfo.start(ours, "live")).started_at.replace(year=2999)
    assert any(
        "run `kommunekort run --from live` and see why" in fault for fault in status_facts(ours, later)["faults"]
    )


def test_the_cures_of_doctor_name_the_origin_even_of_a_broken_publication(real: Published) -> None:
    from flows.cli import health

    ours = real.settings
    (ours.root / ".work").mkdir(exist_ok=True)
    (ours.root / ".work" / "candidate.duckdb").touch()
    assert [fault.cure for fault in health.check_work(ours)] == ["`kommunekort run --from live` clears it"]
    newest = max(ours.runs.glob("*.json"))
    record = json.loads(newest.read_text(encoding="utf-8"))
    newest.write_text(json.dumps({**record, "origin": "live"}), encoding="utf-8")
    build = builds.current(ours)
    assert build is not None
    build.path.unlink()
    assert [fault.cure for fault in health.check_published(ours)] == [
        "`kommunekort rollback`, or `kommunekort run --from live --force`"
    ]


def test_before_the_first_publication_the_last_run_tells_the_origin(tmp_path: Path) -> None:
    ours = Settings(data=tmp_path / "data")
    result = run_record.RunResult(RunInfo.start(ours, "/srv/my files"))
    with pytest.raises(UsageError), run_record.recorded(ours, result):
        raise UsageError("no connection")
    assert told(command("publish", "--data", ours.root)).endswith(
        "run `kommunekort validate --from '/srv/my files'` first"
    )


def test_snapshots_of_the_other_kind_are_told(own_data: Published, tmp_path: Path) -> None:
    """Invented snapshots only, and `--from live` asked of them."""
    sentence = told(command("build", "--from", "live", "--data", own_data.settings.root))
    assert "no real snapshot to build from (--from live)" in sentence
    assert "all snapshots here are invented" in sentence


def test_nothing_received_by_then_names_the_oldest_day_and_raises_no_alarm(own_data: Published) -> None:
    oldest = min(path.name for path in own_data.settings.snapshots.glob("*/*"))
    before = own_data.state()
    sentence = told(command("build", "--as-of", "2001-01-01", "--data", own_data.settings.root))
    assert sentence.startswith("nothing was received by 2001-01-01, so there is no snapshot to build from")
    assert f"the oldest is of {oldest[:4]}-" in sentence
    assert "fetch" not in sentence
    assert run_record.standing_alarm(own_data.settings) is None
    assert own_data.state() == before


def test_a_build_by_hand_without_as_of_still_raises_the_alarm(tmp_path: Path) -> None:
    sentence = told(command("build", "--from", "live", "--data", tmp_path / "data"))
    assert sentence == "there is no snapshot to build from; run `kommunekort fetch --from live` first"
    assert run_record.standing_alarm(Settings(data=tmp_path / "data")) is not None


def test_the_flow_under_prefect_is_not_even_started(real: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*given: Any) -> None:
        raise AssertionError("Prefect was started")

    monkeypatch.setattr(run, "quiet_prefect", started)
    with pytest.raises(UsageError, match="invented data"):
        run.run_prefect(real.settings, Asked("sample"), True)

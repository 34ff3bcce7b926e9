"""A night on which sources do not answer is not a night without news."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from expectations.rules import Outcome
from flows.cli import run
from flows.cli.main import app
from flows.report.words import rule_text
from flows.run import record as run_record
from flows.run.build import rule_as_told
from flows.run.record import FetchReport, RunInfo
from flows.run.summary import markdown_summary, validation_rows
from flows.settings import Settings
from transforms.errors import DataRefused, NothingNew, UsageError

NO_ROUTE = "https://api.statbank.dk: ConnectError; given up after 3 tries, try later"
SILENT = FetchReport(kept_old={"statbank_a": NO_ROUTE, "statbank_b": NO_ROUTE})
PARTLY = FetchReport(unchanged=["statbank_b"], kept_old={"statbank_a": NO_ROUTE})
UNASKED = FetchReport(
    unchanged=["statbank_a"],
    missing=["jobindsats_x"],
    kept_old={"jobindsats_x": "Jobindsats needs a token"},
    unasked=["jobindsats_x"],
)
NIGHT = NothingNew("nothing new since build r0: same snapshots, code and settings")


@pytest.fixture
def ours(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def raising(result: run_record.RunResult, error: Exception) -> None:
    """End as the steps of `run --plain` do."""
    raise error


def setting(result: run_record.RunResult, error: Exception) -> None:
    """End as the tasks of the Prefect flow do, without raising."""
    code = getattr(error, "exit_code", 1)
    result.status = {3: "nothing_new", 2: "refused"}.get(code, "failed")
    result.message = str(error)


End = Callable[[run_record.RunResult, Exception], None]
both_ways = pytest.mark.parametrize("end", [raising, setting])


def night(ours: Settings, fetched: FetchReport, end: End, error: Exception) -> run_record.RunResult:
    """Let a recorded run fetch `fetched` and end by `error`."""
    result = run_record.RunResult(RunInfo.start(ours, "live"), fetched=fetched)
    raised = ""
    try:
        with run_record.recorded(ours, result):
            end(result, error)
    except Exception as ended:
        raised = str(ended)
    assert raised in ("", result.message), "what is raised and what is recorded are one sentence"
    return result


@both_ways
def test_a_night_on_which_nobody_answers_fails(ours: Settings, end: End) -> None:
    result = night(ours, SILENT, end, NIGHT)
    assert result.status == "failed"
    assert result.message == (
        f"none of 2 sources answered (first statbank_a: {NO_ROUTE}); see the network and run again"
    )
    record = next(run_record.records(ours))
    assert (record["status"], record["message"]) == ("failed", result.message)
    assert run_record.last_good(ours) is None
    alarm = run_record.standing_alarm(ours)
    assert alarm is not None
    assert "none of 2 sources answered" in alarm["message"]


def test_it_ends_the_command_with_exit_code_1(ours: Settings) -> None:
    result = run_record.RunResult(RunInfo.start(ours, "live"), fetched=SILENT)
    with pytest.raises(UsageError, match="none of 2 sources answered"), run_record.recorded(ours, result):
        raise NIGHT


@both_ways
def test_the_first_night_without_network_says_so(ours: Settings, end: End) -> None:
    error = UsageError("there is no snapshot to build from; run `kommunekort fetch --from live` first")
    result = night(ours, SILENT, end, error)
    assert result.status == "failed"
    assert result.message == f"none of 2 sources answered (first statbank_a: {NO_ROUTE}); {error}"


@both_ways
def test_a_refusal_on_a_silent_night_stays_a_refusal(ours: Settings, end: End) -> None:
    result = night(ours, SILENT, end, DataRefused("nothing new, and what is published has aged"))
    assert result.status == "refused"
    assert result.message.endswith("; nothing new, and what is published has aged")


@both_ways
def test_a_night_that_only_some_sources_answer_confirms_nothing(ours: Settings, end: End) -> None:
    run_record.raise_alarm(ours, "r1", "failed", "something earlier")
    result = night(ours, PARTLY, end, NIGHT)
    assert result.status == "nothing_new", "Prefect still ends NothingNew, the command with exit code 3"
    assert "1 of 2 sources did not answer (first statbank_a" in result.message
    record = next(run_record.records(ours))
    assert (record["status"], record["message"]) == ("unconfirmed", result.message)
    assert run_record.last_good(ours) is None
    alarm = run_record.standing_alarm(ours)
    assert alarm is not None
    assert alarm["run_id"] == "r1"
    assert markdown_summary(result, ours).startswith("# unconfirmed")


def test_it_raises_no_alarm_of_its_own(ours: Settings) -> None:
    night(ours, PARTLY, raising, NIGHT)
    assert run_record.standing_alarm(ours) is None


@both_ways
def test_a_source_nobody_has_a_token_for_is_no_failure(ours: Settings, end: End) -> None:
    run_record.raise_alarm(ours, "r1", "failed", "something earlier")
    result = night(ours, UNASKED, end, NIGHT)
    assert result.message == str(NIGHT)
    assert next(run_record.records(ours))["status"] == "nothing_new"
    assert run_record.standing_alarm(ours) is None


def test_a_run_that_publishes_on_what_came_is_good(ours: Settings) -> None:
    run_record.raise_alarm(ours, "r1", "failed", "something earlier")
    result = run_record.RunResult(RunInfo.start(ours, "live"), fetched=PARTLY)
    with run_record.recorded(ours, result):
        result.status = "published"
    assert next(run_record.records(ours))["status"] == "published"
    assert run_record.standing_alarm(ours) is None


def test_the_command_ends_with_3_when_only_some_answered(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    record = night(ours, PARTLY, raising, NIGHT).as_dict()
    monkeypatch.setattr(run, "run_plain", lambda *given: record)
    ended = CliRunner().invoke(app, ["run", "--plain", "--data", str(ours.root)])
    assert isinstance(ended.exception, NothingNew)
    asked = CliRunner().invoke(app, ["run", "--plain", "--json", "--data", str(ours.root)])
    assert (asked.exit_code, json.loads(asked.output)["status"]) == (3, "unconfirmed")


@pytest.mark.parametrize("more", [[], ["--json"], ["--quiet"]])
def test_fetch_fails_when_nobody_answers(ours: Settings, monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    monkeypatch.setattr("flows.run.night.fetch", lambda *given, **named: SILENT)
    ended = CliRunner().invoke(app, ["fetch", "--from", "live", "--data", str(ours.root), *more])
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception).startswith(f"none of 2 sources answered (first statbank_a: {NO_ROUTE})")
    if more == ["--json"]:
        assert set(json.loads(ended.stdout)["kept_old"]) == {"statbank_a", "statbank_b"}


def test_fetch_has_nothing_new_when_some_answer(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.run.night.fetch", lambda *given, **named: PARTLY)
    ended = CliRunner().invoke(app, ["fetch", "--from", "live", "--data", str(ours.root)])
    assert isinstance(ended.exception, NothingNew)


@pytest.mark.parametrize("origin", ["sample", "live"])
def test_a_summary_without_a_release_is_marked_by_its_origin(ours: Settings, origin: str) -> None:
    result = run_record.RunResult(RunInfo.start(ours, origin), status="nothing_new", message="nothing new")
    assert ("SYNTHETIC" in markdown_summary(result, ours)) == (origin == "sample")
    built = run_record.RunResult(RunInfo.start(ours, "live"), status="published", release={"is_synthetic": True})
    assert "SYNTHETIC" in markdown_summary(built, ours)


def test_a_summary_tells_deliveries_changes_rules_and_where_to_read_on(ours: Settings) -> None:
    result = run_record.RunResult(RunInfo.start(ours, "live"))
    result.receipts = {"afvist": 1, "godkendt": 3}
    result.revisions = {"count": 0}
    result.rules = [
        rule_as_told(Outcome("a", "t", "critical", "stop", "a", 0, 9, (), True)),
        rule_as_told(Outcome("figures_vary", "t", "warning", "report", "a figure is late", 7, 9, ("x=1",), False)),
    ]
    assert validation_rows(result.rules) == [
        {"severity": "critical", "rule": "1 of 1 rules hold"},
        {"severity": "warning", "rule": "0 of 1 rules hold"},
        {"severity": "warning", "rule": "a figure is late", "kontrol": rule_text(result.rules[1])[0], "broken by": 7,
         "rows looked at": 9, "table": "t", "name": "figures_vary"},
    ]  # fmt: skip
    ours.report.mkdir(parents=True)
    (ours.report / "index.html").write_text("", encoding="utf-8")
    result.status = "refused"
    told = markdown_summary(result, ours)
    assert "## Deliveries\n\n| verdict | deliveries |\n|---|--:|\n| afvist | 1 |\n| godkendt | 3 |" in told
    assert "## Changes\n\nno published figure was changed" in told
    assert "1 of 2 rules hold.\n\n- warning: a figure is late (t): 7 rows" in told
    assert "[report]" not in told, "what was not published does not lead on to what was"
    result.status = "published"
    assert f"- [report]({(ours.report / 'index.html').absolute().as_uri()})" in markdown_summary(result, ours)

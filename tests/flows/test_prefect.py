"""The night under a real Prefect server: the schedule fires, the run publishes, and nothing leaves the machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.flows.prefect_help import records as ledger_of
from tests.flows.prefect_help import running_server, serving, wait_for

pytestmark = [pytest.mark.flow, pytest.mark.long, pytest.mark.timeout(240)]


def test_the_schedule_fires_and_the_run_publishes(tmp_path: Path, few_extracts: Path) -> None:
    """Break this by SQLAlchemy 2.1 or fastapi 0.160: then Prefect starts, but its scheduler or its server does not."""
    data = tmp_path / "data"
    # The sixth field is seconds: every twenty, so that the test need not wait for the next minute.
    with running_server(tmp_path / "prefect") as server:
        with serving(server, few_extracts, data, "--cron", "* * * * * */20"):
            first = wait_for(lambda: [r for r in server.flow_runs() if r["auto_scheduled"]], 60, "the schedule fires")
            run = server.ended(first[-1]["id"])
        assert run["state"]["name"] == "Completed", run["state"]["message"]
        assert run["name"].startswith("nightly-20")
        shown = server.artifacts(run["id"])
        log = server.log(run["id"])
        outside = server.outside()
        audit = (server.folder / "audit.log").read_text(encoding="utf-8")
    record = next(record for record in ledger_of(data) if record["flow_run_id"] == run["id"])
    assert record["status"] == "published"
    assert (data / "kommunekort.duckdb").exists()
    assert f"published: {record['run_id']}" in shown["nightly-summary"]
    assert "SYNTETISKE DATA" in shown["nightly-summary"]
    assert "| statbank_folk1a |" in shown["nightly-summary"]
    assert "## Rules" in shown["nightly-summary"]
    assert f"{record['run_id']}.json)" in shown["nightly-summary"], "the summary leads on"
    found = shown["validations"]
    rules = json.loads(found) if isinstance(found, str) else found
    assert [row["severity"] for row in rules[:2]] == ["critical", "warning"]
    assert all(re.fullmatch(r"\d+ of \d+ rules hold", row["rule"]) for row in rules[:2])
    assert all(row["kontrol"] and row["broken by"] for row in rules[2:])
    assert any(level == 20 and "built mart.mapping" in text for level, text in log), "the run tells its steps at INFO"
    # Server, serve and the run itself were watched, and talked to each other.
    started = [line for line in audit.splitlines() if " started " in line]
    assert len(started) >= 3
    assert any("socket.connect 127.0.0.1" in line for line in audit.splitlines())
    assert outside == []
    assert not (data / "serve.json").exists()

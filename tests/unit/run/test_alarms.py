"""An alarm reaches its receivers, outlives the runs between, leaks nothing, and never hides the fault."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows.run import record as run_record
from flows.run.record import RunInfo
from flows.settings import Settings
from flows.store import snapshots
from transforms.errors import DataRefused, NothingNew


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the address of a receiver on loopback and the list of what it was sent."""
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            return

    with serving(HTTPServer(("127.0.0.1", 0), Receiver)) as port:
        yield f"http://127.0.0.1:{port}/hook/s3cret-token", received


@contextmanager
def mailbox() -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a mail server on loopback and the list of letters it took."""
    letters: list[str] = []

    class Server(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline().decode().strip().upper():
                if line == "DATA":
                    self.wfile.write(b"354 go\r\n")
                    lines = []
                    while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(text)
                    letters.append("\n".join(lines))
                self.wfile.write(b"221 bye\r\n" if line == "QUIT" else b"250 ok\r\n")
                if line == "QUIT":
                    return

    with serving(socketserver.TCPServer(("127.0.0.1", 0), Server)) as port:
        yield port, letters


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def settings(tmp_path: Path, **more: Any) -> Settings:
    return Settings(data=tmp_path / "data", **more)


def test_a_bad_run_is_told_by_file_and_webhook(tmp_path: Path) -> None:
    with webhook() as (url, received):
        ours = settings(tmp_path, webhook_url=url)
        run_record.settle_alarm(ours, "r1", "refused", "file x, row 3:\nvalue -1 breaks the rule")
    (sent,) = received
    assert sent["run_id"] == "r1"
    assert sent["status"] == "refused"
    written = json.loads((ours.root / "ALARM.json").read_text(encoding="utf-8"))
    assert written["delivered"] == {"webhook": "ok"}
    line = (ours.root / "ALARM.txt").read_text(encoding="utf-8")
    assert line.count("\n") == 1
    assert "run r1 refused" in line
    assert sent["text"] == line.strip()
    assert "s3cret-token" not in json.dumps(written) + line


def test_since_is_the_first_bad_run_and_a_good_one_ends_the_alarm(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    first = run_record.raise_alarm(ours, "r1", "failed", "no connection")
    old = {**first, "since": "2026-01-01T02:00:00Z"}
    (ours.root / "ALARM.json").write_text(json.dumps(old), encoding="utf-8")
    assert run_record.raise_alarm(ours, "r2", "crashed", "killed")["since"] == "2026-01-01T02:00:00Z"
    run_record.settle_alarm(ours, "r3", "cancelled", "")
    assert run_record.standing_alarm(ours) is not None
    run_record.settle_alarm(ours, "r4", "nothing_new", "")
    assert run_record.standing_alarm(ours) is None
    assert not list(ours.root.glob("ALARM*"))


def test_a_letter_goes_out(tmp_path: Path) -> None:
    with mailbox() as (port, letters):
        ours = settings(tmp_path, smtp_url=f"smtp://127.0.0.1:{port}", mail_to="vagt@example.dk")
        alarm = run_record.raise_alarm(ours, "r1", "failed", "Ærø mangler")
    assert alarm["delivered"] == {"mail": "ok"}
    (letter,) = letters
    assert "To: vagt@example.dk" in letter
    assert "Subject: kommunekort: run r1 failed" in letter


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook/s3cret-token", "gopher://s3cret-token", "http://[", "s3cret"])
def test_a_receiver_out_of_reach_hides_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, url: str) -> None:
    ours = settings(tmp_path, webhook_url=url, smtp_url="smtp://u:hunter22@127.0.0.1:9", mail_to="a@b.dk")
    alarm = run_record.raise_alarm(ours, "r1", "failed", "no connection to hunter22")
    assert set(alarm["delivered"]) == {"webhook", "mail"}
    assert "ok" not in alarm["delivered"].values()
    assert run_record.standing_alarm(ours) == alarm
    told = caplog.text + json.dumps(alarm) + (ours.root / "ALARM.txt").read_text(encoding="utf-8")
    assert "s3cret" not in told
    assert "hunter22" not in told


def test_an_answer_that_refuses_is_not_taken_for_delivery(tmp_path: Path) -> None:
    with webhook(503) as (url, _):
        assert run_record.raise_alarm(settings(tmp_path, webhook_url=url), "r1", "failed", "x")["delivered"] == {
            "webhook": "answered 503"
        }


def run_into(ours: Settings, fault: BaseException | None) -> dict[str, Any]:
    """Let a recorded run end by `fault` (or well), and return its record."""
    ends = pytest.raises(type(fault)) if fault is not None else nullcontext()
    with ends:
        one_run(ours, fault)
    return next(run_record.records(ours))


def one_run(ours: Settings, fault: BaseException | None) -> None:
    result = run_record.RunResult(RunInfo.start(ours, "sample"))
    with run_record.recorded(ours, result):
        during = next(run_record.records(ours))
        assert during["status"] == "running"
        assert during["ended_at"] is None
        if fault is not None:
            raise fault
        result.status = "published"


@pytest.mark.parametrize(
    ("fault", "status", "alarmed"),
    [
        (None, "published", False),
        (NothingNew("nothing new"), "nothing_new", False),
        (DataRefused("rule broken"), "refused", True),
        (ZeroDivisionError("by zero"), "failed", True),
        (KeyboardInterrupt(), "cancelled", False),
    ],
)
def test_ledger_and_alarm_follow_every_ending(
    tmp_path: Path, fault: BaseException | None, status: str, alarmed: bool
) -> None:
    ours = settings(tmp_path)
    record = run_into(ours, fault)
    assert record["status"] == status
    assert record["ended_at"] is not None
    assert (run_record.standing_alarm(ours) is not None) == alarmed


def test_a_full_disk_at_the_end_of_a_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = settings(tmp_path)
    written = []
    write = snapshots.replace_synced

    def full_at_the_end(path: Path, text: str) -> None:
        if written and path.parent.name == "runs":
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, text)

    monkeypatch.setattr(run_record, "replace_synced", full_at_the_end)
    with pytest.raises(DataRefused, match="the real fault"):
        one_run(ours, DataRefused("the real fault"))
    alarm = run_record.standing_alarm(ours)
    assert alarm is not None
    assert "No space left" in alarm["message"]


def killed_record(ours: Settings) -> str:
    """Leave the record of a run whose process is gone; return its run id."""
    code = (
        "import sys; from flows.run import record\n"
        "from flows.run.record import RunInfo; from flows.settings import Settings\n"
        "ours = Settings(data=sys.argv[1]); result = record.RunResult(RunInfo.start(ours, 'sample'))\n"
        "record.record(ours, result)\n"
        "print(result.run.run_id, flush=True); import os; os.kill(os.getpid(), 9)\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, str(ours.root)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert made.returncode == -9
    return made.stdout.strip()


def test_a_killed_run_is_found_by_its_process(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    lost = killed_record(ours)
    alive = run_record.RunResult(RunInfo.start(ours, "sample"))
    run_record.record(ours, alive)
    assert run_record.reconcile(ours, alone=False) == [lost]
    states = {record["run_id"]: record["status"] for record in run_record.records(ours)}
    assert states == {lost: "crashed", alive.run.run_id: "running"}
    alarm = run_record.standing_alarm(ours)
    assert alarm is not None
    assert alarm["run_id"] == lost


def test_the_holder_of_the_lock_knows_better_than_any_record(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    result = run_record.RunResult(RunInfo.start(ours, "sample"))
    result.process = {**result.process, "host": "another-machine"}
    run_record.record(ours, result)
    assert run_record.reconcile(ours, alone=False) == []
    assert run_record.reconcile(ours, alone=True) == [result.run.run_id]


def test_a_process_number_used_again_is_another_process() -> None:
    ours = run_record.this_process()
    assert not run_record.is_gone(ours)
    assert run_record.is_gone({**ours, "start": ours["start"] - 1})
    assert run_record.is_gone({**ours, "boot_id": "an earlier boot"})
    assert not run_record.is_gone({**ours, "pid": os.getppid(), "host": "another-machine"})


def test_a_damaged_record_is_passed_over(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    run_into(ours, None)
    (ours.runs / "zzz.json").write_text("{", encoding="utf-8")
    assert [record["status"] for record in run_record.records(ours)] == ["published"]

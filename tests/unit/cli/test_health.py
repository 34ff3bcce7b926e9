"""Each fault doctor knows is caused here, and told with its cure; moments are told in Danish time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import httpx
import pytest
import respx
from typer.testing import CliRunner

from flows.cli import health
from flows.cli.health import Fault
from flows.cli.main import app
from flows.run import record
from flows.run.record import RunInfo
from flows.settings import Settings
from flows.store import builds
from flows.store.snapshots import Snapshot, SnapshotStore
from transforms.warehouse import Warehouse


@pytest.fixture
def ours(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", key_file=tmp_path / "keys" / "pseudonym.key")


def published(ours: Settings) -> builds.Build:
    """Publish a database with just what doctor looks at."""
    candidate = ours.root / "candidate.duckdb"
    ours.root.mkdir(parents=True, exist_ok=True)
    with Warehouse.open(candidate) as warehouse:
        warehouse.execute("CREATE SCHEMA meta; CREATE TABLE meta.run (run_id VARCHAR)")
        warehouse.checkpoint()
    return builds.publish(ours, candidate, "20261122T020000000Z", {"run_id": "20261122T020000000Z"})


def snapshot(ours: Settings, source_id: str = "statbank_folk1e", days_old: int = 0) -> Snapshot:
    file = ours.root.parent / "received.csv"
    file.write_text("OMRÅDE;TID;INDHOLD\n", encoding="utf-8")
    received = datetime.now(UTC) - timedelta(days=days_old)
    store = SnapshotStore(ours.snapshots)
    return store.add(source_id, {"a.csv": (file, "csv")}, origin="directory", synthetic=False, retrieved_at=received)


def only(faults: Iterator[Fault]) -> Fault:
    """Return the one fault there is, told in one line with a cure."""
    (fault,) = list(faults)
    assert fault.cure
    assert "\n" not in fault.found + fault.cure
    return fault


def test_a_healthy_folder_has_no_fault(ours: Settings) -> None:
    published(ours)
    snapshot(ours)
    result = record.RunResult(RunInfo.start(ours, "live"))
    with record.recorded(ours, result):
        result.status = "published"
    on_data = {name: found for name, found in health.examine(ours).items() if name != "locked versions"}
    assert {name: found for name, found in on_data.items() if found} == {}


def test_another_python(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 1, "final", 0))
    fault = only(health.check_python(ours))
    assert "Python 3.13.1" in fault.found
    assert "make PYTHON=" in fault.cure


def with_version(monkeypatch: pytest.MonkeyPatch, name: str, version: str | None) -> None:
    """Make one distribution look like another version, or absent."""
    real = metadata.version

    def told(asked: str) -> str:
        if asked != name:
            return real(asked)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", told)


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("sqlalchemy", "2.1.9", "sqlalchemy 2.1.9 is outside <2.1,>=2.0"),
        ("fastapi", "0.165.0", "fastapi 0.165.0 is outside <0.151"),
        ("duckdb", "2.0.0", "duckdb 2.0.0 is outside ==1.5.5"),
        ("pyarrow", None, "pyarrow is not installed"),
    ],
)
def test_a_dependency_out_of_bounds(
    ours: Settings, monkeypatch: pytest.MonkeyPatch, name: str, version: str | None, told: str
) -> None:
    with_version(monkeypatch, name, version)
    assert only(health.check_requirements(ours)).found == told


def test_the_program_itself_is_not_installed(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", nothing)
    assert only(health.check_requirements(ours)).cure == "make setup"


def test_a_version_that_is_not_the_locked_one(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = "".join(fault.found for fault in health.check_lock_file(ours))
    assert "httpx" not in before
    with_version(monkeypatch, "httpx", "0.1")
    monkeypatch.setattr(health, "locked_versions", lambda lock: {"httpx": "0.28.1"})
    assert "httpx 0.1 (locked 0.28.1)" in only(health.check_lock_file(ours)).found


def test_the_lock_file_is_read_as_pip_reads_it(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "a==1.0 \\\n    --hash=sha256:00\nb==2.0 ; sys_platform == 'win32' \\\n    --hash=sha256:11\n", encoding="utf-8"
    )
    assert health.locked_versions(lock) == {"a": "1.0"}


def test_the_encryption_wheel_is_absent(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with_version(monkeypatch, "duckdb-extension-httpfs", None)
    assert "httpfs is absent" in only(health.check_extension(ours)).found


def test_prefect_cannot_be_imported(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setitem(sys.modules, "prefect", None)
    fault = only(health.check_prefect(ours))
    assert "cannot be imported" in fault.found
    assert "--plain" in fault.cure


def test_the_prefect_server_is_down(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    fault = only(health.check_prefect(ours))
    assert fault.found == "PREFECT_API_URL=http://127.0.0.1:9/api: no Prefect server answers there"
    assert "prefect server start" in fault.cure


@respx.mock
def test_a_web_page_in_the_place_of_the_prefect_server(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    page = respx.get("http://prefect.example/api/health").respond(200, html="<h1>Log på</h1>")
    assert "something else answers 200 in its place" in only(health.check_prefect(ours)).found
    page.respond(200, json=True)
    assert list(health.check_prefect(ours)) == []


def test_the_data_folder_cannot_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    fault = only(health.check_folder(Settings(data=tmp_path / "file" / "data")))
    assert (fault.found.endswith(f"{tmp_path / 'file'} is no folder"), fault.cure) == (True, "choose another")


def test_the_data_folder_cannot_be_written(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, *_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "write_text", forbidden)
    fault = only(health.check_folder(ours))
    assert f"{ours.root}: cannot write to the data directory (Permission denied)" in fault.found
    assert fault.cure == "let this user write there, or choose another with --data"


def test_the_disk_is_nearly_full(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 1 << 60)
    assert "GB free" in only(health.check_folder(ours)).found


def test_modes_that_let_others_read(ours: Settings) -> None:
    ours.restricted.mkdir(parents=True)
    ours.restricted.chmod(0o750)
    assert only(health.check_modes(ours)).cure == f"chmod 0700 {ours.restricted}"
    ours.restricted.chmod(0o700)
    ours.key_file.parent.mkdir()
    ours.key_file.touch(0o600)
    assert list(health.check_modes(ours)) == []
    ours.key_file.chmod(0o640)
    assert only(health.check_modes(ours)).cure == f"chmod 0600 {ours.key_file}"


@pytest.fixture
def held_lock(ours: Settings) -> Iterator[None]:
    ours.root.mkdir(parents=True, exist_ok=True)
    handle = os.open(ours.root / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield
    os.close(handle)


@pytest.mark.usefixtures("held_lock")
def test_a_run_that_never_ends(ours: Settings) -> None:
    result = record.RunResult(RunInfo.start(ours, "live"))
    record.record(ours, result)
    assert health.lock_holder(ours.root) == os.getpid()
    assert list(health.check_work(ours)) == []
    started = (datetime.now(UTC) - timedelta(hours=9)).isoformat()
    file = ours.runs / f"{result.run.run_id}.json"
    file.write_text(json.dumps({**result.as_dict(), "started_at": started}), encoding="utf-8")
    fault = only(health.check_work(ours))
    assert fault.found == f"process {os.getpid()} has been writing for 9 hours"
    assert f"kill {os.getpid()}" in fault.cure


def test_leftovers_of_a_killed_run(ours: Settings) -> None:
    (ours.root / ".work").mkdir(parents=True)
    (ours.root / ".work" / "candidate.duckdb").touch()
    assert "killed run" in only(health.check_work(ours)).found


def test_a_snapshot_that_was_never_finished(ours: Settings) -> None:
    part = ours.snapshots / "statbank_folk1e" / ".part-abc"
    part.mkdir(parents=True)
    assert only(health.check_work(ours)).cure == f"rm -r {part}"


def break_link(ours: Settings, build: builds.Build) -> None:
    build.path.unlink()


def break_file(ours: Settings, build: builds.Build) -> None:
    build.path.write_bytes(b"not a database" * 100)


def break_release(ours: Settings, build: builds.Build) -> None:
    build.release.unlink()


def replace_link(ours: Settings, build: builds.Build) -> None:
    ours.published.unlink()
    ours.published.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (break_link, "points at nothing"),
        (break_file, "cannot be read"),
        (break_release, "is absent"),
        (replace_link, "is no link"),
    ],
)
def test_a_publication_that_cannot_be_opened(
    ours: Settings, harm: Callable[[Settings, builds.Build], None], told: str
) -> None:
    build = published(ours)
    assert list(health.check_published(ours)) == []
    harm(ours, build)
    fault = only(health.check_published(ours))
    assert told in fault.found
    assert "kommunekort" in fault.cure


def test_bytes_that_changed_since_they_were_received(ours: Settings) -> None:
    (path,) = snapshot(ours).data_paths()
    assert list(health.check_snapshots(ours)) == []
    path.write_text("changed", encoding="utf-8")
    fault = only(health.check_snapshots(ours))
    assert "not those of the manifest" in fault.found
    assert "fetch again" in fault.cure


def test_a_manifest_that_cannot_be_read(ours: Settings) -> None:
    (snapshot(ours).path / "manifest.json").write_text("{", encoding="utf-8")
    assert "not a readable manifest" in only(health.check_snapshots(ours)).found


def test_a_source_that_has_aged(ours: Settings) -> None:
    snapshot(ours, days_old=431)
    fault = only(health.check_state(ours))
    assert fault.found == "statbank_folk1e: the newest snapshot is 431 days old, more than 430"


@pytest.mark.parametrize("ended_at", ["x", -1, [1], {"a": 1}, "2099-01-01T00:00:00"])
def test_a_record_of_another_shape_is_passed_over(ours: Settings, ended_at: object) -> None:
    published(ours)
    result = record.RunResult(RunInfo.start(ours, "live"), status="published")
    path = record.record(ours, result)
    assert health.status_facts(ours)["last_good_run"] == result.run.run_id
    path.write_text(json.dumps({**json.loads(path.read_text()), "ended_at": ended_at}), encoding="utf-8")
    assert health.status_facts(ours)["last_good_run"] is None


def test_what_stands_in_the_place_of_the_publication_is_a_fault(ours: Settings) -> None:
    ours.root.mkdir(parents=True)
    assert list(health.check_state(ours)) == []
    ours.published.write_bytes(b"made by hand")
    assert "does not lead to a build" in only(health.check_state(ours)).found


def test_a_publication_that_is_gone_with_all_builds_is_a_fault(ours: Settings) -> None:
    record.record(ours, record.RunResult(RunInfo.start(ours, "live"), status="published"))
    assert "does not lead to a build" in only(health.check_state(ours)).found


def test_a_publication_nobody_confirmed(ours: Settings) -> None:
    build = published(ours)
    old = builds.Build("20250101T020000000Z", build.path.with_name("kommunekort-20250101T020000000Z.duckdb"))
    build.path.rename(old.path)
    builds.seal(old, old.path, {"run_id": old.run_id})
    build.release.unlink()
    builds.flip_link(ours.published, old.path)
    assert "KOMMUNEKORT_MAX_PUBLICATION_AGE_DAYS" in only(health.check_state(ours)).found


def test_an_alarm_that_stands(ours: Settings) -> None:
    record.raise_alarm(ours, "r1", "refused", "rule broken")
    assert "run r1 refused" in only(health.check_state(ours)).found


@pytest.mark.long
def test_a_schedule_nobody_keeps(ours: Settings) -> None:
    ours.root.mkdir(parents=True)
    note = {"cron": "0 2 * * *", "timezone": "Europe/Copenhagen", "started_at": "2026-01-01T00:00:00+00:00"}
    gone = {**record.this_process(), "start": 1}
    (ours.root / "serve.json").write_text(json.dumps({**note, "process": gone}), encoding="utf-8")
    assert only(health.check_state(ours)).cure == "start it again"
    for zone in ("Europa/Koebenhavn", "Europe", "/etc", ""):
        (ours.root / "serve.json").write_text(json.dumps({**note, "timezone": zone}), encoding="utf-8")
        assert health.status_facts(ours)["schedule"] is None
    here = {**note, "process": record.this_process()}
    (ours.root / "serve.json").write_text(json.dumps(here), encoding="utf-8")
    assert list(health.check_state(ours)) == []


@respx.mock
def test_the_public_interfaces_are_asked_only_when_wanted(ours: Settings) -> None:
    bank = respx.get(ours.statbank_url).mock(side_effect=httpx.ConnectError("no route"))
    other = respx.get(ours.jobindsats_url).respond(503)
    assert "sources on the network" not in health.examine(ours)
    assert not bank.called
    faults = list(health.check_sources_live(ours))
    assert [fault.found.split(" at ")[0] for fault in faults] == [
        "StatBank does not answer",
        "Jobindsats answers 503",
    ]
    assert other.called


@pytest.mark.long
def test_the_command_tells_and_exits(ours: Settings) -> None:
    record.raise_alarm(ours, "r1", "refused", "rule broken")
    ended = CliRunner().invoke(app, ["doctor", "--data", str(ours.root)])
    assert ended.exit_code == 1
    (line,) = [line for line in ended.output.splitlines() if line.startswith("FAULT state")]
    assert line.endswith("cure: run `kommunekort run` when its cause is gone")
    asked = CliRunner().invoke(app, ["doctor", "--json", "--data", str(ours.root)])
    assert json.loads(asked.output)["ages, alarm and schedule"][0]["check"] == "state"


def test_moments_are_told_in_danish_time() -> None:
    assert health.danish_minute("2026-07-01T22:30:00+00:00") == "2026-07-02 00:30 (Danish time)"
    assert health.danish_minute("2026-01-01T22:30:00Z") == "2026-01-01 23:30 (Danish time)"
    assert health.danish_minute(None) is None

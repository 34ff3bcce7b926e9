"""Publication is one atomic flip; old builds are kept for rollback; one writer at a time."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.cli import look
from flows.settings import Settings
from flows.store import builds
from flows.store.builds import writer_lock
from transforms.errors import DataRefused, UsageError
from transforms.warehouse import Warehouse


def candidate(settings: Settings, value: int) -> Path:
    path = settings.root / "candidate.duckdb"
    settings.root.mkdir(parents=True, exist_ok=True)
    with Warehouse.open(path) as warehouse:
        warehouse.execute("CREATE SCHEMA mart; CREATE TABLE mart.t (k INTEGER PRIMARY KEY, v INTEGER)")
        warehouse.execute("INSERT INTO mart.t VALUES (2, ?), (1, ?)", [value, value])
        warehouse.checkpoint()
    return path


def publish_value(settings: Settings, value: int) -> builds.Build:
    return builds.publish(settings, candidate(settings, value), f"run{value:03d}", {"run_id": f"run{value:03d}"})


def published_value(settings: Settings) -> int:
    with Warehouse.open(settings.published, read_only=True) as warehouse:
        return int(warehouse.scalar("SELECT max(v) FROM mart.t"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", keep_builds=3)


def test_flip_publishes_database_and_exports_together(settings: Settings) -> None:
    publish_value(settings, 1)
    assert settings.published.is_symlink()
    assert published_value(settings) == 1
    assert (settings.exports / "mart.t.parquet").is_file()


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022, 0o000])
def test_what_is_published_can_be_read_and_not_written_whatever_the_umask(settings: Settings, umask: int) -> None:
    before = os.umask(umask)
    try:
        with writer_lock(settings.root):
            build = builds.publish(
                settings,
                candidate(settings, 1),
                "run001",
                {"run_id": "run001"},
                write_products=lambda _, made: (
                    (made.report / "kommune").mkdir(parents=True) or (made.report / "kommune" / "840.html").touch()
                ),
            )
    finally:
        os.umask(before)
    files = [
        build.path,
        build.release,
        *(p for f in (build.exports, build.report) for p in f.rglob("*") if p.is_file()),
    ]
    assert len(files) >= 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o444}
    folders = {parent for path in files for parent in path.parents if parent.is_relative_to(settings.root)}
    assert all(folder.stat().st_mode & 0o555 == 0o555 for folder in folders), folders


def test_exports_are_sorted_by_key_and_equal_for_equal_rows(settings: Settings) -> None:
    first = publish_value(settings, 1).exports / "mart.t.parquet"
    again = builds.publish(settings, candidate(settings, 1), "run002", {}).exports / "mart.t.parquet"
    assert first.read_bytes() == again.read_bytes()
    with Warehouse.open() as warehouse:
        assert warehouse.rows(f"SELECT k FROM '{again}'") == [(1,), (2,)]


def test_a_reader_holds_the_old_build_while_the_new_is_published(settings: Settings) -> None:
    publish_value(settings, 1)
    with Warehouse.open(settings.published, read_only=True) as reader:
        publish_value(settings, 2)
        assert reader.scalar("SELECT max(v) FROM mart.t") == 1
        assert published_value(settings) == 2


def test_old_builds_are_pruned_but_never_the_published_nor_the_kept(settings: Settings) -> None:
    for value in (1, 2, 3, 4):
        builds.publish(settings, candidate(settings, value), f"run{value:03d}", {}, keep={"run001"})
    assert [b.run_id for b in builds.builds(settings)] == ["run001", "run002", "run003", "run004"]
    publish_value(settings, 5)
    assert [b.run_id for b in builds.builds(settings)] == ["run003", "run004", "run005"]
    assert not list(settings.builds.glob("*run001*"))


def test_rollback_goes_one_build_back_and_to_a_named_one(settings: Settings) -> None:
    for value in (1, 2, 3):
        publish_value(settings, value)
    assert builds.rollback(settings).run_id == "run002"
    assert published_value(settings) == 2
    assert builds.rollback(settings, "run003").run_id == "run003"
    assert published_value(settings) == 3
    with pytest.raises(UsageError, match="no build run999 is kept; kept builds: run001, run002, run003"):
        builds.rollback(settings, "run999")


def test_rollback_without_an_earlier_build_is_one_sentence(settings: Settings) -> None:
    publish_value(settings, 1)
    with pytest.raises(UsageError, match="no earlier build"):
        builds.rollback(settings)


def test_a_database_that_was_not_closed_is_refused(settings: Settings) -> None:
    path = candidate(settings, 1)
    path.with_name(path.name + ".wal").write_bytes(b"x")
    with pytest.raises(DataRefused, match="not closed cleanly"):
        builds.publish(settings, path, "run001", {})
    assert not settings.published.exists()


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.store.builds import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=f"process {holder.pid} since"), writer_lock(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with writer_lock(tmp_path):  # the dead process's lock is no obstacle
        pass


def test_who_writes_into_the_publication_takes_the_one_of_the_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_value(settings, 1)
    real = writer_lock

    @contextmanager
    def lock_after_another_run(root: Path) -> Iterator[None]:
        publish_value(settings, 2)
        with real(root):
            yield

    monkeypatch.setattr(builds, "writer_lock", lock_after_another_run)
    with look.writing_into_published(settings, "report-*") as now:
        assert now.run_id == "run002"


@pytest.mark.parametrize(
    ("harmed", "files"),
    [("kommunekort.duckdb", "report-*"), ("kommunekort.duckdb", "*.xlsx"), ("mart.t.parquet", "*.xlsx")],
)
def test_who_writes_into_the_publication_hides_no_damage(settings: Settings, harmed: str, files: str) -> None:
    build = publish_value(settings, 1)
    path = next(path for path in build.files() if path.name == harmed)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with (
        pytest.raises(DataRefused, match="not those that were published"),
        look.writing_into_published(settings, files),
    ):
        pass
    assert build.damage() is not None


@pytest.mark.parametrize(
    "ask",
    [
        lambda data: look.sql("SELECT 1", data),
        lambda data: look.describe("mart.t", data),
        lambda data: look.profile("101", data),
        lambda data: look.workbook(data, data / "a.xlsx"),
        lambda data: look.report(data, data / "report"),
    ],
)
def test_nothing_is_told_of_a_database_that_is_not_as_published(
    settings: Settings, ask: Callable[[Path], None]
) -> None:
    build = publish_value(settings, 1)
    build.path.chmod(0o644)
    with Warehouse.open(build.path) as warehouse:
        warehouse.execute("UPDATE mart.t SET v = 2")
    with pytest.raises(DataRefused, match=r"^[^\n]*not those that were published; `kommunekort run` builds[^\n]*$"):
        ask(settings.root)


def test_a_lost_export_keeps_nobody_from_asking_the_database(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    build = publish_value(settings, 1)
    shutil.rmtree(build.exports)
    look.sql("SELECT min(v) AS v FROM mart.t", settings.root, "csv")
    assert capsys.readouterr().out == "v\n1\n"


@pytest.mark.parametrize(
    ("field", "value"),
    [("snapshots", None), ("snapshots", {"a": None}), ("files", []), ("taken_back", 5), ("as_of", "x"), ("as_of", [1]),
     ("as_of", "2026-01-01T00:00:00"), ("person_deliveries", "x")],
)  # fmt: skip
def test_a_release_of_another_shape_is_damage(settings: Settings, field: str, value: object) -> None:
    build = publish_value(settings, 1)
    facts = build.facts()
    build.release.chmod(0o644)
    build.release.write_text(json.dumps({**(facts or {}), field: value}), encoding="utf-8")
    assert build.facts() is None
    assert build.damage() == f"{build.release} cannot be read"
    build.release.write_text(json.dumps({**(facts or {}), "of_a_newer_version": value}), encoding="utf-8")
    assert build.damage() is None


def test_builds_may_lie_on_another_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The candidate is copied there, and takes its place as any other."""
    publish_value(settings, 1)
    for name in ("rename", "replace"):
        real = getattr(os, name)

        def on_one_disk(source: Path, target: Path, real: Callable[[Path, Path], None] = real) -> None:
            if str(source).endswith("candidate.duckdb"):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
            real(source, target)

        monkeypatch.setattr(os, name, on_one_disk)
    build = publish_value(settings, 2)
    assert (published_value(settings), build.damage()) == (2, None)


def test_a_data_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot write to the data directory"), writer_lock(blocked / "data"):
        pass

"""Snapshots keep bytes as received, once, and tell when a byte has changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.store.snapshots import Snapshot, SnapshotStore
from transforms.errors import DataRefused, UsageError


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots")


def add(store: SnapshotStore, tmp_path: Path, text: str, day: int, *, synthetic: bool = False) -> Snapshot:
    source = tmp_path / "in.csv"
    source.write_text(text, encoding="utf-8")
    return store.add(
        "statbank_x",
        {"x.csv": (source, "csv")},
        origin="sample" if synthetic else "directory",
        synthetic=synthetic,
        retrieved_at=datetime(2026, 1, day, tzinfo=UTC),
    )


def test_bytes_are_kept_and_named_by_moment_and_hash(store: SnapshotStore, tmp_path: Path) -> None:
    snapshot = add(store, tmp_path, "a;b\n", 1)
    assert snapshot.id.startswith("statbank_x/20260101T000000")
    assert snapshot.data_paths()[0].read_text(encoding="utf-8") == "a;b\n"
    assert store.newest("statbank_x") == snapshot
    snapshot.verify()


def test_same_bytes_again_add_nothing(store: SnapshotStore, tmp_path: Path) -> None:
    first = add(store, tmp_path, "same", 1)
    assert add(store, tmp_path, "same", 2).id == first.id
    assert len(store.of("statbank_x")) == 1


def test_as_of_gives_what_was_known_then(store: SnapshotStore, tmp_path: Path) -> None:
    first = add(store, tmp_path, "one", 1)
    second = add(store, tmp_path, "two", 3)
    assert store.newest("statbank_x", datetime(2026, 1, 2, tzinfo=UTC)) == first
    assert store.newest("statbank_x", datetime(2026, 1, 3, tzinfo=UTC)) == second
    assert store.newest("statbank_x", datetime(2025, 1, 1, tzinfo=UTC)) is None


def test_invented_and_real_data_are_kept_apart(store: SnapshotStore, tmp_path: Path) -> None:
    real = add(store, tmp_path, "real", 1)
    invented = add(store, tmp_path, "invented", 2, synthetic=True)
    assert store.newest("statbank_x", synthetic=False) == real
    assert store.newest("statbank_x", synthetic=True) == invented


def test_a_changed_byte_is_told(store: SnapshotStore, tmp_path: Path) -> None:
    snapshot = add(store, tmp_path, "good", 1)
    snapshot.data_paths()[0].write_text("evil", encoding="utf-8")
    with pytest.raises(DataRefused, match=r"x.csv: the bytes are not those of the manifest"):
        snapshot.verify()


def test_a_broken_manifest_is_one_sentence(store: SnapshotStore, tmp_path: Path) -> None:
    snapshot = add(store, tmp_path, "good", 1)
    (snapshot.path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataRefused, match="not a readable manifest"):
        store.newest("statbank_x")


@pytest.mark.parametrize(
    ("field", "value"),
    [("query", None), ("query", "x"), ("files", {"a": 1}), ("files", [{"name": None}]), ("retrieved_at", "yesterday"),
     ("retrieved_at", 5), ("retrieved_at", "2026-01-01T00:00:00"), ("origin", "moon"), ("synthetic", "perhaps")],
)  # fmt: skip
def test_a_manifest_of_another_shape_is_one_sentence(
    store: SnapshotStore, tmp_path: Path, field: str, value: object
) -> None:
    manifest = add(store, tmp_path, "good", 1).path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), field: value}), encoding="utf-8")
    with pytest.raises(DataRefused, match=r"^[^\n]*not a readable manifest[^\n]*$"):
        store.newest("statbank_x")


def test_what_a_newer_version_wrote_into_a_manifest_is_passed_over(store: SnapshotStore, tmp_path: Path) -> None:
    snapshot = add(store, tmp_path, "good", 1)
    manifest = snapshot.path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "signed_by": {"a": 1}}), encoding="utf-8")
    assert store.newest("statbank_x") == snapshot


def test_an_interrupted_copy_is_invisible(store: SnapshotStore, tmp_path: Path) -> None:
    add(store, tmp_path, "good", 1)
    (store.root / "statbank_x" / ".part-abc").mkdir()
    assert len(store.of("statbank_x")) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot write snapshots there"):
        add(SnapshotStore(blocked), tmp_path, "x", 1)

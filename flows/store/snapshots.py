"""The raw layer: input bytes as received, with a manifest, never overwritten."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pydantic import TypeAdapter

from transforms.errors import DataRefused, UsageError

MANIFEST = "manifest.json"
STAMP = "%Y%m%dT%H%M%S%fZ"
NAME = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{8}")
"""What a snapshot's folder is called: `kopi af …` beside it is none."""
NOT_HERE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What a file system says of a call it does not know."""
logger = logging.getLogger(__name__)

Origin = Literal["live", "sample", "directory", "delivery"]
INVENTED_MARK = "SYNTHETIC"
"""A folder that holds a file of this name holds invented data, and so does a table whose description has the word."""


@dataclass(frozen=True)
class SnapshotFile:
    """One file of a snapshot: its name, SHA-256, size and format."""

    name: str
    sha256: str
    bytes: int
    format: str


@dataclass(frozen=True)
class Manifest:
    """What is known about a snapshot: where it came from, when, and its exact bytes."""

    source_id: str
    retrieved_at: str
    published_at: str | None
    origin: Origin
    synthetic: bool
    files: tuple[SnapshotFile, ...]
    query: dict[str, Any] = field(default_factory=dict)
    language: str | None = None
    tableinfo: str | None = None
    rest_of: str | None = None
    """The snapshot the other periods come from, when one period was fetched anew."""

    @property
    def data_files(self) -> tuple[SnapshotFile, ...]:
        """Return the files that hold data (all but table descriptions)."""
        return tuple(file for file in self.files if file.format != "tableinfo")

    @property
    def size(self) -> int:
        """Return the bytes of the data files."""
        return sum(file.bytes for file in self.data_files)

    @property
    def digest(self) -> str:
        """Return one SHA-256 over the data files, independent of the order they came in."""
        joined = "\n".join(sorted(file.sha256 for file in self.data_files))
        return hashlib.sha256(joined.encode()).hexdigest()


MANIFESTS = TypeAdapter(Manifest)
"""What a manifest must hold; what a newer version wrote beside it is passed over."""


@dataclass(frozen=True)
class Snapshot:
    """A manifest and the folder it lies in. `id` is `<source_id>/<stamp>-<sha8>`."""

    id: str
    path: Path
    manifest: Manifest

    def data_paths(self) -> list[Path]:
        """Return the paths of the data files, in the manifest's order."""
        return [self.path / file.name for file in self.manifest.data_files]

    def verify(self) -> None:
        """Raise DataRefused when a byte of the snapshot has changed since it was received."""
        for file in self.manifest.files:
            path = self.path / file.name
            if not path.is_file() or sha256_of(path) != file.sha256:
                raise DataRefused(
                    f"{path}: the bytes are not those of the manifest; restore the file from backup "
                    f"or remove the snapshot folder and fetch again"
                )


class SnapshotStore:
    """All snapshots under one folder."""

    def __init__(self, root: Path):
        self.root = root

    def add(
        self,
        source_id: str,
        files: Mapping[str, tuple[Path, str]],
        *,
        origin: Origin,
        synthetic: bool,
        published_at: str | None = None,
        query: Mapping[str, Any] | None = None,
        language: str | None = None,
        tableinfo: str | None = None,
        rest_of: str | None = None,
        retrieved_at: datetime | None = None,
        move: bool = False,
        hashes: Mapping[str, str] | None = None,
    ) -> Snapshot:
        """Copy `files` (name -> path, format) in, hash and sync them, and make the snapshot appear at once.

        With `move` they are moved in, which leaves nothing behind; they must lie on the same disk, and `hashes`
        (name -> SHA-256) spares those a reading that were hashed as they came. Returns the newest snapshot unchanged
        when it holds the same bytes of the same publication, asked for in the same way, from the same origin.
        Raises UsageError when the folder cannot be written.
        """
        stamp = retrieved_at or self._now_after(source_id)
        folder = self.root / source_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f".part-{uuid4().hex}"  # open to whom the umask leaves it: it becomes the snapshot
            partial.mkdir()
        except OSError as error:
            raise UsageError(f"{folder}: cannot write snapshots there ({error.strerror})") from None
        try:
            known = hashes or {}
            entries = tuple(
                _take_in(partial, name, *file, known.get(name), move) for name, file in sorted(files.items())
            )
            manifest = Manifest(
                source_id=source_id,
                retrieved_at=stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                published_at=published_at,
                origin=origin,
                synthetic=synthetic,
                files=entries,
                query=dict(query or {}),
                language=language,
                tableinfo=tableinfo,
                rest_of=rest_of,
            )
            newest = self.newest(source_id, synthetic=synthetic)
            if newest is not None and _same_data(newest.manifest, manifest):
                return newest
            write_synced(partial / MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False, indent=1))
            final = folder / f"{stamp.astimezone(UTC).strftime(STAMP)}-{manifest.digest[:8]}"
            partial.rename(final)
            sync(folder)
            return Snapshot(f"{source_id}/{final.name}", final, manifest)
        except OSError as error:
            raise UsageError(f"{folder}: writing the snapshot failed ({error.strerror}); nothing kept") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _now_after(self, source_id: str) -> datetime:
        """Return now, or just after the newest snapshot when the clock has gone back: what came last sorts last."""
        known = self.of(source_id)
        now = datetime.now(UTC)
        return max(now, _received(known[-1]) + timedelta(microseconds=1)) if known else now

    def tidy(self) -> None:
        """Remove what interrupted downloads and copies left. The caller holds the writer lock."""
        for pattern in (".fetch-*", "*/.part-*"):
            for leftover in self.root.glob(pattern):
                shutil.rmtree(leftover, ignore_errors=True)

    def set_damaged_aside(self) -> list[str]:
        """Put every snapshot aside that cannot be read, and the newest of a source when its bytes have changed.

        Its folder stays, as `.damaged-<name>`; a fetch brings the bytes in anew. Returns one sentence each. The caller
        holds the writer lock.
        """
        told = []
        for stray in [path for path in self.root.glob("[!.]*") if not path.is_dir()]:
            told.append(f"{stray} is no folder of snapshots; it was put aside as {move_aside(stray).name}")
        for source in self._folders():
            names = self._names(source)
            for name in names:
                try:
                    snapshot = self.read(f"{source}/{name}")
                    if name == names[-1]:
                        snapshot.verify()
                except DataRefused as damage:
                    aside = self.root / source / f".damaged-{name}"
                    shutil.rmtree(aside, ignore_errors=True)
                    (self.root / source / name).rename(aside)
                    told.append(f"{str(damage).partition(';')[0].partition(' (')[0]}; it was put aside as {aside.name}")
        return told

    def newest(self, source_id: str, as_of: datetime | None = None, synthetic: bool | None = None) -> Snapshot | None:
        """Return the newest snapshot known by `as_of` (now when not given), or None.

        `synthetic` asks for invented (True) or real (False) data only: the two are never mixed in one build.
        """
        for snapshot in reversed(self.of(source_id)):
            in_time = as_of is None or _received(snapshot) <= as_of
            if in_time and synthetic in (None, snapshot.manifest.synthetic):
                return snapshot
        return None

    def readable(self, source_id: str, *, synthetic: bool) -> Snapshot | None:
        """Return the newest snapshot, None as well when it cannot be read."""
        with suppress(DataRefused):
            return self.newest(source_id, synthetic=synthetic)
        return None

    def of(self, source_id: str) -> list[Snapshot]:
        """Return the snapshots of one source, oldest first; DataRefused when the newest cannot be read.

        Older ones that cannot be read are passed over: nothing is built from them any more.
        """
        names = self._names(source_id)
        found = []
        for name in names:
            try:
                found.append(self.read(f"{source_id}/{name}"))
            except DataRefused:
                if name == names[-1]:
                    raise
        return found

    def sources(self) -> list[str]:
        """Return the ids of the sources that have a snapshot."""
        return [source for source in self._folders() if self._names(source)]

    def _folders(self) -> list[str]:
        """Return the names of the folders that may hold snapshots."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and not p.name.startswith("."))

    def _names(self, source_id: str) -> list[str]:
        """Return the names of one source's snapshot folders, oldest first."""
        folder = self.root / source_id
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir())

    def read(self, snapshot_id: str) -> Snapshot:
        """Return one snapshot by id; DataRefused when its manifest cannot be read."""
        path = self.root / snapshot_id
        try:
            manifest = MANIFESTS.validate_python(read_json(path / MANIFEST))
            if not is_moment(manifest.retrieved_at):
                raise ValueError("no moment of retrieval")
            return Snapshot(snapshot_id, path, manifest)
        except (OSError, ValueError) as error:
            told = str(error).splitlines()[0]
            raise DataRefused(f"{path / MANIFEST}: not a readable manifest ({told}); move the folder away") from None


def _same_data(old: Manifest, new: Manifest) -> bool:
    """Tell whether nothing is new: equal bytes may still stand for other cells, or be published anew."""
    return all(
        getattr(old, name) == getattr(new, name) for name in ("digest", "origin", "synthetic", "published_at", "query")
    )


def _received(snapshot: Snapshot) -> datetime:
    return datetime.fromisoformat(snapshot.manifest.retrieved_at)


def _take_in(
    folder: Path, name: str, source: Path, file_format: str, known: str | None, is_moved: bool
) -> SnapshotFile:
    """Copy or move one file in, synced to disk, and return its entry; `known` is its SHA-256 when somebody has it."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not is_moved:
        shutil.copyfile(source, target)
    with (source if is_moved else target).open("rb") as reader:
        digest = known or hashlib.file_digest(reader, "sha256").hexdigest()
        to_disk(reader.fileno())
    if is_moved:
        move(source, target)
    return SnapshotFile(name, digest, target.stat().st_size, file_format)


def refuse_no_file(path: Path) -> None:
    """Raise OSError for what is there and is no file: at a pipe in its place a reader would wait for ever."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no file", str(path))


def read_json(path: Path) -> Any:
    """Return what a small file of ours holds; OSError or ValueError when it cannot be read."""
    refuse_no_file(path)
    return json.loads(path.read_text(encoding="utf-8"))


def is_moment(text: Any) -> bool:
    """Tell whether a file of ours tells a moment with its zone there, or nothing."""
    with suppress(TypeError, ValueError):
        return text is None or datetime.fromisoformat(text).tzinfo is not None
    return False


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    refuse_no_file(path)
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def write_synced(path: Path, text: str) -> None:
    """Write a text file and force it to disk."""
    # What a file system gave as a name may be no Unicode; as JSON it can be read again.
    with path.open("w", encoding="utf-8", errors="backslashreplace") as writer:
        writer.write(text)
        writer.flush()
        to_disk(writer.fileno())


def replace_synced(path: Path, text: str) -> None:
    """Replace a text file atomically and durably: a reader sees the old or the new one, whole."""
    own_folder(path.parent)
    partial = path.with_name(f".{path.name}.part")
    remove(partial)
    write_synced(partial, text)
    if path.is_dir() and not path.is_symlink():
        move_aside(path)
    partial.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to disk: a rename survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        to_disk(handle)
    finally:
        os.close(handle)


def move(source: Path, target: Path) -> None:
    """Give a file another place, where it appears at once, whole; it may lie on another disk."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}.part")
        shutil.move(source, partial)
        sync(partial)
        partial.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def move_aside(path: Path) -> Path:
    """Move what stands in the way of one of our own files beside it, as `<name>.aside-<moment>`; return where."""
    aside = path.with_name(f"{path.name}.aside-{datetime.now(UTC).strftime(STAMP)}")
    path.rename(aside)
    logger.warning("%s was not what the program writes there; it is now %s", path, aside.name)
    return aside


def own_folder(path: Path) -> Path:
    """Return the folder, made if need be; a file in its place is moved aside."""
    if path.is_symlink() and not path.exists():
        path.unlink()
    elif path.exists() and not path.is_dir():
        move_aside(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def to_disk(handle: int) -> None:
    """Force an open file or folder to disk; where the file system cannot, a power cut may lose it, which is warned of.

    OSError when the disk tried and failed.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        _warn_of_power_cuts(error.strerror)


@cache
def _warn_of_power_cuts(reason: str) -> None:
    """Warn once, not for every file."""
    logger.warning("this file system cannot force files to disk (%s): a power cut may lose the last", reason)

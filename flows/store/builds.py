"""Publication: a new versioned file, synced, then one atomic flip of the link analysts open."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.settings import Settings
from flows.store.exports import export_parquet
from flows.store.snapshots import replace_synced, sync_file, sync_folder
from transforms.errors import DataRefused, UsageError
from transforms.warehouse import (
    DatabaseError,
    explain_database_error,
)

PREFIX = "kommunekort-"
# DuckDB names the catalog after the file a link leads to, so all builds' files have the same name, each in its folder.
DATABASE = "kommunekort.duckdb"


@dataclass(frozen=True)
class Build:
    """One published (or formerly published) database file."""

    run_id: str
    path: Path

    @classmethod
    def of(cls, path: Path) -> Build:
        """Return the build whose database stands at `path`."""
        # Before, the file itself was named after the run.
        name = path.parent.name if path.name == DATABASE else path.stem
        return cls(name.removeprefix(PREFIX), path)

    @property
    def _beside(self) -> Path:
        return self.path.parent if self.path.name == DATABASE else self.path.with_suffix("")

    @property
    def exports(self) -> Path:
        """Return the folder of this build's exports."""
        return self._beside.with_name(f"exports-{self.run_id}")

    @property
    def report(self) -> Path:
        """Return the folder of this build's report."""
        return self._beside.with_name(f"report-{self.run_id}")

    @property
    def release(self) -> Path:
        """Return the small file that says what this build was made of."""
        return self._beside.with_suffix(".json")


def builds(settings: Settings) -> list[Build]:
    """Return the kept builds, oldest first (a run id sorts by time)."""
    if not settings.builds.is_dir():
        return []
    found = [*settings.builds.glob(f"{PREFIX}*/{DATABASE}"), *settings.builds.glob(f"{PREFIX}*.duckdb")]
    return sorted(map(Build.of, found), key=lambda build: build.run_id)


def current(settings: Settings) -> Build | None:
    """Return the build that is published now, or None."""
    link = settings.published
    if not link.is_symlink():
        return None
    path = link.resolve()
    return Build.of(path) if path.is_file() else None


def sync_tree(*folders: Path) -> None:
    """Force every file and folder below `folders` to disk."""
    for folder in (folder for folder in folders if folder.is_dir()):
        for path in [*folder.rglob("*"), folder]:
            sync_file(path)


def flip_link(link: Path, target: Path) -> None:
    """Make the symbolic link `link` point at `target` (beside or below it), atomically and durably."""
    partial = link.with_name(f".{link.name}.part")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target.relative_to(link.parent))
    partial.replace(link)
    sync_folder(link.parent)


def flip(settings: Settings, build: Build) -> None:
    """Publish `build`: the database first, then its exports and report, each by one atomic flip."""
    sync_file(build.path)
    sync_folder(build.path.parent)
    sync_folder(settings.builds)
    flip_link(settings.published, build.path)
    flip_folders(settings, build)


def flip_folders(settings: Settings, build: Build) -> None:
    """Make the links to exports and report follow `build`, where they do not."""
    for link, folder in ((settings.exports, build.exports), (settings.report, build.report)):
        if folder.is_dir() and link.resolve() != folder.resolve():
            flip_link(link, folder)


def publish(
    settings: Settings,
    candidate: Path,
    run_id: str,
    release: Mapping[str, object],
    *,
    keep: Collection[str] = (),
    dress: Callable[[Path, Build], None] = lambda candidate, build: None,
) -> Build:
    """Move a closed, complete candidate file among the builds, export and publish it, and prune old builds.

    `release` says what it was made of; `keep` names run ids that must not be pruned; `dress` makes what people see
    (report, workbook) in the folders of the build, before anything is published.
    Raises DataRefused when the candidate was not closed cleanly.
    """
    if candidate.with_name(candidate.name + ".wal").exists():
        raise DataRefused(f"{candidate.name}: the database was not closed cleanly; build again")
    build = Build.of(settings.builds / f"{PREFIX}{run_id}" / DATABASE)
    try:
        settings.builds.mkdir(parents=True, exist_ok=True)
        hashes = export_parquet(candidate, build.exports)
        replace_synced(build.release, json.dumps({**release, "exports": hashes}, indent=1, sort_keys=True))
        dress(candidate, build)
        sync_tree(build.exports, build.report)
        build.path.parent.mkdir()
        candidate.replace(build.path)
        flip(settings, build)
    except DatabaseError as error:
        _clear_away(settings)
        raise explain_database_error(error, f"exporting build {run_id}") from None
    except OSError as error:
        _clear_away(settings)
        raise UsageError(
            f"{settings.builds}: publishing build {run_id} failed ({error.strerror}); free space or check the rights, "
            "and run again"
        ) from None
    prune(settings, keep)
    return build


def tidy(settings: Settings) -> None:
    """Finish or clear away what an interrupted publication left. The caller holds the writer lock.

    Exports and report follow the published database; files of a build whose database never came are removed.
    """
    now = current(settings)
    if now is not None:
        flip_folders(settings, now)
    kept = {build.run_id for build in builds(settings)}
    for leftover in settings.builds.glob(".*.part"):
        remove(leftover)
    for prefix in ("exports-", "report-", PREFIX):
        for path in settings.builds.glob(f"{prefix}*"):
            if path.stem.removeprefix(prefix) not in kept:
                remove(path)


def _clear_away(settings: Settings) -> None:
    """Tidy as far as a failing disk lets us, to give its space back; the next run does the rest."""
    with suppress(OSError):
        tidy(settings)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def prune(settings: Settings, keep: Collection[str] = ()) -> list[Build]:
    """Remove builds beyond the number to keep, never the published one nor those in `keep`."""
    now = current(settings)
    spare = [b for b in builds(settings) if b.run_id not in keep and (now is None or b.run_id != now.run_id)]
    excess = spare[: max(len(spare) - (settings.keep_builds - 1), 0)]
    for build in excess:
        for folder in (build.exports, build.report):
            shutil.rmtree(folder, ignore_errors=True)
        build.release.unlink(missing_ok=True)
        remove(build.path.parent if build.path.name == DATABASE else build.path)
    return excess


def rollback(settings: Settings, run_id: str | None = None) -> Build:
    """Publish an earlier build again (the one before the current, or `run_id`), exports included.

    Raises UsageError when there is none.
    """
    now = current(settings)
    kept = builds(settings)
    if run_id is None:
        earlier = [b for b in kept if now is None or b.run_id < now.run_id]
        if not earlier:
            raise UsageError("there is no earlier build to go back to; `kommunekort status` lists the builds")
        target = earlier[-1]
    else:
        named = [b for b in kept if b.run_id == run_id]
        if not named:
            known = ", ".join(b.run_id for b in kept) or "none"
            raise UsageError(f"no build {run_id} is kept; kept builds: {known}")
        target = named[0]
    flip(settings, target)
    return target


# One writer at a time: an operating-system lock that dies with its process.


def prepare_folder(root: Path) -> None:
    """Make the data folder; UsageError in one sentence when it cannot be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".write-probe-{os.getpid()}"
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{root}: cannot write to the data directory ({error.strerror}); choose another with --data"
        ) from None


@contextmanager
def writer_lock(root: Path) -> Iterator[None]:
    """Hold the only right to write under `root`; UsageError naming the holder when another process has it.

    `flock` is released by the kernel when the process ends, however it ends, so a lock is never stale; what the
    lock file says about its holder is only for people.
    """
    prepare_folder(root)
    path = root / ".lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{root}: another run is writing here ({_holder(path)}); wait for it to end") from None
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "started_at": started}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _holder(path: Path) -> str:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return f"process {known['pid']} since {known['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "process unknown"


# Where data come from (`--from`), invented or real; what a folder holds already, and what to type for more of it.


def is_synthetic(origin: str) -> bool:
    """Tell whether an origin (`sample`, `live` or a folder) gives invented data."""
    return origin == "sample" or (Path(origin) / "SYNTHETIC").exists()


def published_release(settings: Settings) -> dict[str, Any] | None:
    """Return the release facts of what is published now, or None."""
    now = current(settings)
    if now is None or not now.release.is_file():
        return None
    found: dict[str, Any] = json.loads(now.release.read_text(encoding="utf-8"))
    return found


def refuse_invented_over_real(settings: Settings, origin: str, *, synthetic: bool | None = None) -> None:
    """Raise UsageError when `origin` gives invented data and what is published is real.

    The other way needs no word: everybody begins with the sample. `synthetic` is given where the data are made already.
    """
    release = published_release(settings) or {}
    invented = is_synthetic(origin) if synthetic is None else synthetic
    if invented and release.get("is_synthetic") is False:
        raise UsageError(
            f"{settings.root} publishes real data (build {release['run_id']}), and {from_option(origin)} would put "
            f"invented data in their place; type `{from_option(release['origin'])}`, or give another folder with --data"
        )


def from_option(origin: str) -> str:
    """Return an origin as it is typed."""
    return f"--from {shlex.quote(origin)}"

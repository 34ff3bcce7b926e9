"""Publication: a new versioned file, synced, then one atomic flip of the link analysts open."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
import pwd
import shlex
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from flows.settings import Settings
from flows.store.exports import export_parquet
from flows.store.snapshots import (
    INVENTED_MARK,
    NOT_HERE,
    is_moment,
    move,
    move_aside,
    own_folder,
    read_json,
    remove,
    replace_synced,
    sha256_of,
    sync,
)
from transforms.errors import DataRefused, UsageError
from transforms.periods import utc_text
from transforms.warehouse import DatabaseError, Locked, Warehouse, explain_database_error

PREFIX = "kommunekort-"
# DuckDB names the catalog after the file a link leads to, so all builds' files have the same name, each in its folder.
DATABASE = "kommunekort.duckdb"
DATABASE_ALONE = f"{PREFIX}*"
"""The pattern of a build's database among its files."""
logger = logging.getLogger(__name__)


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

    def facts(self) -> dict[str, Any] | None:
        """Return what the build was made of; None when that file is not there or not readable."""
        try:
            found = read_json(self.release)
        except (OSError, ValueError):
            return None
        maps = ("snapshots", "files", "taken_back", "person_deliveries")
        whole = isinstance(found, dict) and all(isinstance(found.get(key, {}), dict) for key in maps)
        told = whole and found.get("run_id") == self.run_id and is_moment(found.get("as_of"))
        return found if told and all(isinstance(each, str) for each in found.get("snapshots", {}).values()) else None

    def files(self) -> list[Path]:
        """Return the database, the exports and the report, file by file."""
        made = (path for folder in (self.exports, self.report) for path in folder.rglob("*"))
        return [self.path, *sorted(path for path in made if path.is_file())]

    def damage(self, of: str = "*", but: str = "") -> str | None:
        """Return one sentence when a byte of the build is not as it was published, else None.

        `of` names, as a pattern, the files that are looked at, `but` those of them that are about to be written anew.
        """
        facts = self.facts()
        if not self.path.is_file():
            return f"{self.path} is gone"
        if facts is None:
            return f"{self.release} {'cannot be read' if self.release.exists() else 'is absent'}"
        log = self.path.with_name(f"{self.path.name}.wal")
        if log.exists():
            return f"{log} lies beside the published database: somebody has written into it"
        for name, digest in facts.get("files", {}).items():
            path = self.release.parent / name
            if not fnmatch(name, of) or fnmatch(name, but):
                continue
            if not path.is_file():
                return f"{path} is gone"
            if sha256_of(path) != digest:
                return f"{path}: the bytes are not those that were published"
        return None


def builds(settings: Settings) -> list[Build]:
    """Return the kept builds, oldest first (a run id sorts by time)."""
    if not settings.builds.is_dir():
        return []
    found = [*settings.builds.glob(f"{PREFIX}*/{DATABASE}"), *settings.builds.glob(f"{PREFIX}*.duckdb")]
    known = (Build.of(path) for path in found if path.is_file())
    return sorted((build for build in known if build.run_id.isalnum()), key=lambda build: build.run_id)


def current(settings: Settings) -> Build | None:
    """Return the build that is published now, or None."""
    path = target_of(settings.published)
    if path is None or not path.is_file():
        return None
    return Build.of(path)


def pointer_of(link: Path) -> Path:
    """Return the file that stands in for a link where the file system has none: one line, the path it points at."""
    return link.with_name(f"{link.name}.pointer.txt")


def target_of(link: Path) -> Path | None:
    """Return what a link (or the pointer file in its place) points at, or None."""
    if link.is_symlink():
        return link.parent / link.readlink()
    with suppress(OSError, ValueError):
        return link.parent / pointer_of(link).read_text(encoding="utf-8").strip()
    return None


@contextmanager
def readable(build: Build) -> Iterator[Path]:
    """Yield a file that holds what the build does and that can be opened whatever others do.

    When somebody has opened the build to write into it, that is a copy, and a warning names who. DataRefused when they
    have written.
    """
    try:
        with Warehouse.open(build.path, read_only=True):
            pass
    except Locked as locked:
        logger.warning("%s; a copy is read meanwhile", str(locked).partition(";")[0])
    else:
        yield build.path
        return
    with tempfile.TemporaryDirectory(prefix="kommunekort-") as scratch:
        copy = Path(scratch) / build.path.name
        shutil.copyfile(build.path, copy)
        known = (build.facts() or {}).get("files", {}).get(str(build.path.relative_to(build.release.parent)))
        if known is not None and sha256_of(copy) != known:
            raise DataRefused(f"{build.path}: somebody has written into it; `kommunekort run` builds it again")
        yield copy


def sync_tree(*folders: Path) -> None:
    """Force every file and folder below `folders` to disk."""
    for folder in (folder for folder in folders if folder.is_dir()):
        for path in [*folder.rglob("*"), folder]:
            sync(path)


def flip_link(link: Path, target: Path) -> None:
    """Make the symbolic link `link` point at `target` (beside or below it), atomically and durably.

    On a file system without symbolic links a pointer file says the same.
    """
    if link.exists() and not link.is_symlink():
        move_aside(link)
    partial = link.with_name(f".{link.name}.part")
    remove(partial)
    inner = target.relative_to(link.parent)
    try:
        partial.symlink_to(inner)
    except OSError as error:
        if error.errno not in {*NOT_HERE, errno.EPERM}:
            raise
        replace_synced(pointer_of(link), f"{inner.as_posix()}\n")
        return
    partial.replace(link)
    pointer_of(link).unlink(missing_ok=True)
    sync(link.parent)


def flip(settings: Settings, build: Build) -> None:
    """Publish `build`: the database first, then its exports and report, each by one atomic flip."""
    sync(build.path)
    sync(build.path.parent)
    sync(settings.builds)
    flip_link(settings.published, build.path)
    flip_folders(settings, build)


def flip_folders(settings: Settings, build: Build) -> list[Path]:
    """Make the links to exports and report follow `build`, where they do not; return those that did not."""
    flipped = []
    for link, folder in ((settings.exports, build.exports), (settings.report, build.report)):
        if folder.is_dir() and target_of(link) != folder:
            flip_link(link, folder)
            flipped.append(link)
    return flipped


def seal(build: Build, candidate: Path, facts: Mapping[str, object]) -> None:
    """Write down what a build is made of and the SHA-256 of all its files, which nobody may write into any more."""
    home = build.release.parent
    hashes = {}
    for path in build.files():
        made = candidate if path == build.path else path
        if made.is_file():
            hashes[str(path.relative_to(home))] = sha256_of(made)
            made.chmod(0o444)
    exports = {Path(name).name: digest for name, digest in hashes.items() if name.endswith(".parquet")}
    home.chmod(home.stat().st_mode | 0o555)
    for folder in (build.exports, build.report):
        for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            if place.is_dir():
                place.chmod(place.stat().st_mode | 0o555)
    replace_synced(build.release, json.dumps({**facts, "exports": exports, "files": hashes}, indent=1, sort_keys=True))
    build.release.chmod(0o444)


def seal_again(build: Build) -> None:
    """Seal a build after its report or workbook was written anew."""
    facts = build.facts()
    if facts is not None:
        seal(build, build.path, facts)


def publish(
    settings: Settings,
    candidate: Path,
    run_id: str,
    release: Mapping[str, object],
    *,
    keep: Collection[str] = (),
    write_products: Callable[[Path, Build], None] = lambda candidate, build: None,
) -> Build:
    """Move a closed, complete candidate file among the builds, export and publish it, and prune old builds.

    `release` says what it was made of; `keep` names run ids that must not be pruned; `write_products` makes what
    people see (report, workbook) in the folders of the build, before anything is published.
    Raises DataRefused when the candidate was not closed cleanly.
    """
    if candidate.with_name(candidate.name + ".wal").exists():
        raise DataRefused(f"{candidate.name}: the database was not closed cleanly; build again")
    build = Build.of(settings.builds / f"{PREFIX}{run_id}" / DATABASE)
    try:
        own_folder(settings.builds)
        export_parquet(candidate, build.exports)
        write_products(candidate, build)
        sync_tree(build.exports, build.report)
        seal(build, candidate, release)
        build.path.parent.mkdir(exist_ok=True)
        build.path.parent.chmod(0o755)
        move(candidate, build.path)
        flip(settings, build)
    except DatabaseError as error:
        _clear_away(settings)
        raise explain_database_error(error, f"exporting build {run_id}") from None
    except OSError as error:
        if target_of(settings.published) != build.path:
            remove(build.path.parent)
        _clear_away(settings)
        raise UsageError(
            f"{error.filename or settings.builds}: publishing build {run_id} failed ({error.strerror}); free space or "
            "check the rights, and run again"
        ) from None
    prune(settings, keep)
    return build


def tidy(settings: Settings) -> list[str]:
    """Finish, mend or clear away what interrupted publications and people left; return what was mended.

    Exports and report follow the published database; a publication whose link is lost is the newest whole build
    again; files of a build whose database never came are removed. The caller holds the writer lock.
    """
    mended = []
    kept = builds(settings)
    if current(settings) is None and kept:
        whole = next((build for build in reversed(kept) if build.damage() is None), None)
        if whole is not None:
            flip(settings, whole)
            mended.append(f"{settings.published.name} did not lead to a build; it leads to {whole.run_id} again")
    now = current(settings)
    if now is not None:
        mended += [f"{link.name} did not follow the publication; it does again" for link in flip_folders(settings, now)]
    ids = {build.run_id for build in kept}
    if settings.builds.is_dir():
        for leftover in settings.builds.glob(".*.part"):
            remove(leftover)
        for prefix in ("exports-", "report-", PREFIX):
            for path in settings.builds.glob(f"{prefix}*"):
                run_id = path.stem.removeprefix(prefix)
                if run_id.isalnum() and run_id not in ids:
                    remove(path)
    return mended


def _clear_away(settings: Settings) -> None:
    """Tidy as far as a failing disk lets us, to give its space back; the next run does the rest."""
    with suppress(OSError):
        tidy(settings)


def prune(settings: Settings, keep: Collection[str] = ()) -> list[Build]:
    """Remove builds beyond the number to keep, never the published one nor those in `keep`."""
    now = current(settings)
    spare = [b for b in builds(settings) if b.run_id not in keep and (now is None or b.run_id != now.run_id)]
    excess = spare[: max(len(spare) - (settings.keep_builds - 1), 0)]
    for build in excess:
        for path in (build.exports, build.report, build.release, build.path.with_name(f"{build.path.name}.wal")):
            remove(path)
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
    damage = target.damage()
    if damage is not None:
        raise UsageError(f"build {target.run_id} is damaged: {damage}; name another with --to, or run again")
    flip(settings, target)
    return target


# One writer at a time: an operating-system lock that dies with its process.


def prepare_folder(root: Path) -> None:
    """Make the data folder; UsageError in one sentence when it cannot be written."""
    try:
        if not root.exists():
            root.mkdir(parents=True)
            with suppress(PermissionError):  # some file systems know no rights
                root.chmod(0o755)  # what is published is for others to read, whatever the umask; the rest closes itself
        probe = root / f".write-probe-{os.getpid()}"
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{root}: cannot write to the data directory ({error.strerror}){_owned_by_another(root)}; "
            "let this user write there, or choose another with --data"
        ) from None


def _owned_by_another(path: Path) -> str:
    """Return who owns a file or folder, when that is not the user at work; else nothing."""
    with suppress(OSError):
        owner = path.stat().st_uid
        if owner != os.getuid():
            return f": it belongs to user {_user(owner)}, this is {_user(os.getuid())}"
    return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class Busy(UsageError):
    """Another run is writing."""


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other one: host, boot, number and start (clock ticks since boot)."""
    return {"host": platform.node(), "boot_id": _boot_id(), "pid": os.getpid(), "start": _start_of(os.getpid())}


def is_gone(process: dict[str, Any]) -> bool:
    """Tell whether a process has surely ended; False when it runs, or ran on another host and cannot be known."""
    if process.get("host") != platform.node():
        return False
    if process.get("boot_id") != _boot_id():
        return True
    pid = process.get("pid")
    if not isinstance(pid, int):
        return True
    start = _start_of(pid)
    return start is None or start != process.get("start")


@cache
def _boot_id() -> str | None:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return None


def _start_of(pid: int) -> int | None:
    """Return when a process started, or None when there is none (a zombie counts as ended)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _alive_without_proc(pid)


def _alive_without_proc(pid: int) -> int | None:
    """Return 0 for a live process where the system has no /proc (macOS), else None."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return 0 if error.errno == errno.EPERM else None
    return 0


@contextmanager
def writer_lock(root: Path) -> Iterator[None]:
    """Hold the only right to write under `root`; Busy naming the holder when another process has it.

    `flock` is released by the kernel when the process ends, however it ends, so such a lock is never stale; what the
    lock file says about its holder is only for people. Where the file system has no locks, a file with the holder's
    identity stands in: it is taken over when that process has surely ended.
    """
    prepare_folder(root)
    path = root / ".lock"
    if path.is_dir() and not path.is_symlink():
        move_aside(path)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be opened ({error.strerror}){_owned_by_another(path)}; "
            "let one and the same user run the nights"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{root}: another run is writing here ({_holder(path)}); wait for it to end") from None
        except OSError as error:
            logger.warning("%s: locks do not work here (%s); %s.held stands in", root, error.strerror, path.name)
            with _lock_file(root, path.with_name(f"{path.name}.held")):
                yield
            return
        started = utc_text(datetime.now(UTC))
        with suppress(OSError):  # a full disk takes no lock away
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps({"pid": os.getpid(), "started_at": started}).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def _lock_file(root: Path, path: Path) -> Iterator[None]:
    """Hold a lock that is a file: who made it holds it, until it is removed or its process has surely ended."""
    me = this_process()
    for _ in range(2):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            break
        except FileExistsError:
            holder = _read_holder(path)
            if holder is not None and not is_gone(holder):
                raise Busy(
                    f"{root}: another run is writing here (process {holder.get('pid')} on {holder.get('host')}); wait "
                    f"for it to end, or remove {path} when that computer is no longer on"
                ) from None
            stale = path.with_name(f"{path.name}.{os.getpid()}")
            with suppress(FileNotFoundError):  # of two who find it, one takes it away
                path.rename(stale)
                stale.unlink()
    else:
        raise Busy(f"{root}: another run is writing here; wait for it to end")
    try:
        os.write(handle, json.dumps(me).encode())
    finally:
        os.close(handle)
    try:
        yield
    finally:
        if _read_holder(path) == me:
            path.unlink(missing_ok=True)


def _read_holder(path: Path) -> dict[str, Any] | None:
    found = None
    with suppress(OSError, ValueError):
        found = read_json(path)
    return found if isinstance(found, dict) and "pid" in found else None


def _holder(path: Path) -> str:
    known = _read_holder(path) or {}
    return f"process {known.get('pid', 'unknown')} since {known.get('started_at', 'unknown')}"


def is_synthetic(origin: str) -> bool:
    """Tell whether an origin (`sample`, `live` or a folder) gives invented data."""
    return origin == "sample" or (Path(origin) / INVENTED_MARK).exists()


def published_release(settings: Settings) -> dict[str, Any] | None:
    """Return the release facts of what is published now, or None."""
    now = current(settings)
    return None if now is None else now.facts()


def last_release(settings: Settings) -> dict[str, Any] | None:
    """Return the release facts of what is published; of the newest kept build that tells, when that does not."""
    told = published_release(settings)
    return told or next((facts for build in reversed(builds(settings)) if (facts := build.facts())), None)


def refuse_invented_over_real(settings: Settings, origin: str, *, synthetic: bool | None = None) -> None:
    """Raise UsageError when `origin` gives invented data and what is published is real.

    The other way needs no word: everybody begins with the sample. `synthetic` is given where the data are made already.
    """
    release = last_release(settings) or {}
    invented = is_synthetic(origin) if synthetic is None else synthetic
    if invented and release.get("is_synthetic") is False:
        raise UsageError(
            f"{settings.root} publishes real data (build {release['run_id']}), and {from_option(origin)} would put "
            f"invented data in their place; type `{from_option(release['origin'])}`, or give another folder with --data"
        )


def from_option(origin: str) -> str:
    """Return an origin as it is typed."""
    return f"--from {shlex.quote(origin)}"

"""Fetch: from the sample world, the live registers or a folder of files into snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.connectors.statbank_files import recognise_directory
from flows.settings import Settings
from flows.snapshots import SnapshotStore
from transforms.catalogue import Catalogue
from transforms.errors import UsageError

Progress = Callable[[str], None]


@dataclass
class FetchReport:
    """What became of every source and of every file that is none: plain words for the summary."""

    new: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    kept_old: dict[str, str] = field(default_factory=dict)
    refused_files: dict[str, str] = field(default_factory=dict)


def fetch(settings: Settings, catalogue: Catalogue, origin: str, only: Sequence[str], on_step: Progress) -> FetchReport:
    """Bring the newest bytes of every StatBank source (or `only` these) in; a fault at one leaves the others be.

    `origin` is `sample`, `live` or the path of a folder. Raises UsageError when the folder does not exist.
    """
    wanted = [s.id for s in catalogue.sources.values() if s.connector == "statbank" and (not only or s.id in only)]
    unknown = sorted(set(only) - catalogue.sources.keys())
    if unknown:
        raise UsageError(f"no source {unknown[0]}; `kommunekort sources` lists them")
    if origin in ("sample", "live"):
        return fetch_api(settings, catalogue, origin, wanted, on_step)
    return fetch_directory(settings, catalogue, Path(origin), wanted, on_step)


def fetch_directory(
    settings: Settings, catalogue: Catalogue, folder: Path, wanted: Sequence[str], on_step: Progress
) -> FetchReport:
    """Take the StatBank files of a folder in, one snapshot per table; name what was not recognised, and why."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder that holds the downloaded files")
    store = SnapshotStore(settings.snapshots)
    on_step(f"recognise the files in {folder}")
    found = recognise_directory(folder, catalogue)
    report = FetchReport(refused_files={_shown(path, folder): reason for path, reason in found.refused})
    synthetic = (folder / "SYNTHETIC").exists()
    by_source: dict[str, list[tuple[Path, str]]] = {}
    for path, recognised in found.accepted:
        by_source.setdefault(recognised.source_id, []).append((path, recognised.presentation))
    for source_id in wanted:
        files = by_source.get(source_id)
        if files is None:
            report.missing.append(source_id)
            continue
        before = store.newest(source_id, synthetic=synthetic)
        names = {_shown(path, folder).replace("/", "__"): (path, kind) for path, kind in files}
        snapshot = store.add(source_id, names, origin="directory", synthetic=synthetic)
        changed = before is None or before.id != snapshot.id
        (report.new if changed else report.unchanged).append(source_id)
    return report


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder))


def fetch_api(
    settings: Settings, catalogue: Catalogue, origin: str, wanted: Sequence[str], on_step: Progress
) -> FetchReport:
    """Fetch from the StatBank API: the live one, or the stand-in over the sample world on loopback."""
    raise UsageError("not wired yet")

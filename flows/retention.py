"""How long snapshots are kept: the newest of each source, and whatever a kept build or a frozen baseline rests on."""

from __future__ import annotations

import json
import shutil

from flows import baseline, publish
from flows.settings import Settings
from flows.snapshots import SnapshotStore


def needed_snapshots(settings: Settings) -> set[str]:
    """Return the snapshot ids that kept builds and frozen baselines were made of."""
    needed = baseline.kept_snapshots(settings)
    for build in publish.builds(settings):
        if build.release.is_file():
            needed |= set(json.loads(build.release.read_text(encoding="utf-8"))["snapshots"].values())
    return needed


def prune_snapshots(settings: Settings) -> list[str]:
    """Remove the oldest snapshots beyond `keep_snapshots` per source that nothing rests on; return their ids."""
    store = SnapshotStore(settings.snapshots)
    needed = needed_snapshots(settings)
    removed = []
    for source in store.sources():
        excess = store.of(source)[: -settings.keep_snapshots]
        for snapshot in (s for s in excess if s.id not in needed):
            shutil.rmtree(snapshot.path)
            removed.append(snapshot.id)
    return removed

"""How long data are kept: snapshots and superseded person rows, and whatever a frozen baseline rests on."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

from flows import baseline, publish
from flows.persons import TABLES, open_deliveries
from flows.settings import Settings
from flows.snapshots import SnapshotStore
from transforms.restricted import FILE, Known
from transforms.restricted_superseded import delete_superseded, deliveries_in_force, newest_periods
from transforms.warehouse import Warehouse


def needed_snapshots(settings: Settings) -> set[str]:
    """Return the snapshot ids that kept builds and frozen baselines were made of."""
    needed = baseline.kept_snapshots(settings)
    for build in publish.builds(settings):
        if build.release.is_file():
            needed |= set(json.loads(build.release.read_text(encoding="utf-8"))["snapshots"].values())
    return needed


def prune(settings: Settings) -> None:
    """Remove what is kept for rebuilds alone and has been kept long enough: snapshots, superseded person rows."""
    prune_snapshots(settings)
    prune_superseded(settings, datetime.now(UTC))


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


def prune_superseded(settings: Settings, now: datetime) -> list[str]:
    """Delete the person rows of deliveries superseded more than `keep_superseded_days` ago; return whose, by id.

    Those that a frozen baseline is built again from stay, and those of what is published, which may be frozen next.
    """
    if not (settings.restricted / FILE).is_file():
        return []
    releases = [frozen.manifest["release"] for frozen in baseline.baselines(settings)]
    published = publish.current(settings)
    if published is not None and published.release.is_file():
        releases.append(json.loads(published.release.read_text(encoding="utf-8")))
    with open_deliveries(settings, read_only=False) as warehouse:
        needed = {delivery_id for release in releases for delivery_id in deliveries_of(warehouse, release)}
        return delete_superseded(warehouse, now - timedelta(days=settings.keep_superseded_days), needed)


def deliveries_of(warehouse: Warehouse, release: dict[str, Any]) -> set[str]:
    """Return the ids of the deliveries whose rows a build that was made of `release` read."""
    as_of = datetime.fromisoformat(release["as_of"]) if release["as_of"] else None
    known = Known(as_of, release.get("last_delivery"))  # absent: frozen before it was recorded
    in_force = deliveries_in_force(warehouse, known, synthetic=release["is_synthetic"])
    return {delivery.delivery_id for _, kind in TABLES for delivery in newest_periods(in_force, kind)}

"""Where data come from (`--from`), invented or real; what a folder holds already, and what to type for more of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from flows import ledger, publish
from flows.moments import shown
from flows.settings import Settings
from flows.snapshots import SnapshotStore
from transforms.errors import UsageError


def is_synthetic(origin: str) -> bool:
    """Tell whether an origin (`sample`, `live` or a folder) gives invented data."""
    return origin == "sample" or (Path(origin) / "SYNTHETIC").exists()


def published_release(settings: Settings) -> dict[str, Any] | None:
    """Return the release facts of what is published now, or None."""
    now = publish.current(settings)
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


def origin_in_use(settings: Settings) -> str | None:
    """Return where the published data came from; else where the newest good run, or the newest, took its from."""
    release = published_release(settings) or {}
    record = ledger.last_good(settings) or next(ledger.records(settings), {})
    found = release.get("origin") or record.get("origin")
    return None if found is None else str(found)


def command(settings: Settings, name: str, *flags: str) -> str:
    """Return a command as it is typed for the data this folder holds: without `--from` the sample would come."""
    origin = origin_in_use(settings)
    chosen = [from_option(origin)] if origin not in (None, "sample") else []
    return " ".join(["kommunekort", name, *map(str, chosen), *flags])


def why_no_snapshot(settings: Settings, source_ids: Iterable[str], origin: str, as_of: datetime | None) -> str:
    """Return one sentence for a build that found no snapshot: too early an `--as-of`, another kind, or none at all."""
    store = SnapshotStore(settings.snapshots)
    found = [snapshot.manifest for source_id in source_ids for snapshot in store.of(source_id)]
    asked = "invented" if is_synthetic(origin) else "real"
    received = [manifest.retrieved_at for manifest in found if manifest.synthetic == (asked == "invented")]
    if received and as_of is not None:
        oldest = shown(datetime.fromisoformat(min(received)), as_of)
        return (
            f"nothing was received by {shown(as_of, as_of)}, so there is no snapshot to build from; "
            f"the oldest is of {oldest}, give that or later to --as-of"
        )
    fetch = f"run `kommunekort fetch {from_option(origin)}` first"
    if found:
        other = "real" if asked == "invented" else "invented"
        return (
            f"there is no {asked} snapshot to build from ({from_option(origin)}): all snapshots here are {other}; "
            f"give the --from they came with, or {fetch}"
        )
    return f"there is no snapshot to build from; {fetch}"

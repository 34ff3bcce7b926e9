"""The delivery step of a run: the watched drop folder, or the sample world's deliveries, received with receipts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from flows.settings import Settings
from flows.snapshots import replace_synced
from transforms.fingerprint import code_version

Progress = Callable[[str], None]


def receive(settings: Settings, origin: str, on_step: Progress) -> dict[str, int]:
    """Receive what has come in and return verdict -> number of receipts; nothing to receive gives an empty answer.

    With origin `sample` the synthetic deliveries of all municipalities are made and received, under a key that is
    made when there is none; else the files of the drop folder. What was received before changes nothing.
    Raises UsageError when there are files but no usable key.
    """
    if origin == "sample":
        return receive_sample(settings, on_step)
    if settings.drop_folder is None:
        return {}
    from flows.connectors.deliveries import receive_folder

    on_step(f"receive deliveries from {settings.drop_folder}")
    receipts = receive_folder(settings.drop_folder, settings.root, settings.key_file.expanduser())
    return dict(Counter(receipt.verdict for receipt in receipts))


def receive_sample(settings: Settings, on_step: Progress) -> dict[str, int]:
    """Make and receive the sample deliveries, once per world and code; the files are removed when received."""
    import tempfile
    from datetime import UTC, datetime, time

    from flows.connectors.deliveries import deliver
    from flows.keys import keygen
    from flows.sample.deliveries import write_deliveries
    from flows.sample.world import build_world

    wanted = {
        "seed": settings.sample_seed,
        "vintage": str(settings.sample_vintage),
        "code_version": code_version(),
    }
    mark = settings.restricted / "sample.json"
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8"))["made_from"] == wanted:
        known: dict[str, int] = json.loads(mark.read_text(encoding="utf-8"))["verdicts"]
        return known
    key = settings.key_file.expanduser()
    if not key.exists():
        keygen(key, settings.root)
    on_step("write the sample deliveries")
    world = build_world(seed=settings.sample_seed, vintage=settings.sample_vintage)
    with tempfile.TemporaryDirectory(prefix="kommunekort-sample-") as scratch:
        written = write_deliveries(world, Path(scratch))
        on_step(f"receive {len(written)} sample deliveries")
        moment = datetime.combine(world.vintage, time(12), UTC)
        receipts = deliver(
            sorted(Path(scratch).iterdir()), None, settings.root, key, synthetic=True, received_at=moment
        )
    verdicts = dict(Counter(receipt.verdict for receipt in receipts))
    replace_synced(mark, json.dumps({"made_from": wanted, "verdicts": verdicts}, ensure_ascii=False))
    return verdicts

"""The delivery step of a run: the watched drop folder, or the sample world's deliveries, received with receipts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from flows.origins import refuse_invented_over_real
from flows.settings import Settings
from flows.snapshots import replace_synced
from transforms.errors import UsageError
from transforms.fingerprint import code_version
from transforms.persons import COHORT_YEARS

Progress = Callable[[str], None]


def receive(settings: Settings, origin: str, on_step: Progress) -> dict[str, int]:
    """Receive what has come in and return verdict -> number of receipts; nothing to receive gives an empty answer.

    With origin `sample` the synthetic deliveries of all municipalities are made and received, under a key that is
    made when there is none; else the files of the drop folder. What was received before changes nothing.
    Raises UsageError when there are files but no usable key, or when the published data are real and these are not.
    """
    refuse_invented_over_real(settings, origin)
    if origin == "sample":
        return receive_sample(settings, on_step)
    if settings.drop_folder is None:
        return {}
    from flows.connectors.deliveries import deliver

    on_step(f"receive deliveries from {settings.drop_folder}")
    files, key = waiting_files(settings.drop_folder), settings.key_file.expanduser()
    receipts = deliver(files, None, settings.root, key, from_folder=True)
    return dict(Counter(str(receipt.verdict) for receipt in receipts))


def waiting_files(folder: Path) -> list[Path]:
    """Return the files of a drop folder that may hold a table, the last written last, so that a correction wins.

    Files written at the same moment go by name: the order is the same every night.
    """
    from flows.connectors.deliveries import TAKEN_SUFFIXES

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; set KOMMUNEKORT_DROP_FOLDER to the folder deliveries come to")
    files = (
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in TAKEN_SUFFIXES and not path.name.startswith((".", "~$"))
    )
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))


def receive_sample(settings: Settings, on_step: Progress) -> dict[str, int]:
    """Make and receive the sample deliveries, once per world and code, in a process of its own beside the fetch."""
    wanted = {
        "seed": settings.sample_seed,
        "vintage": str(settings.sample_vintage),
        "code_version": code_version(),
    }
    mark = settings.restricted / "sample.json"
    if mark.is_file():
        known: dict[str, Any] = json.loads(mark.read_text(encoding="utf-8"))
        if known["made_from"] == wanted:
            return dict(known["verdicts"])
    on_step("write and receive the sample deliveries")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        verdicts = pool.submit(make_and_receive, settings).result()
    replace_synced(mark, json.dumps({"made_from": wanted, "verdicts": verdicts}, ensure_ascii=False))
    return verdicts


def make_and_receive(settings: Settings) -> dict[str, int]:
    """Write the deliveries of all municipalities to a folder that is removed again, receive them, count verdicts."""
    import tempfile

    from flows.connectors.deliveries import deliver
    from flows.keys import keygen
    from flows.sample.deliveries import write_deliveries
    from flows.sample.world import build_world

    key = settings.key_file.expanduser()
    if not key.exists():
        keygen(key, settings.root)
    world = build_world(seed=settings.sample_seed, vintage=settings.sample_vintage)
    with tempfile.TemporaryDirectory(prefix="kommunekort-sample-") as scratch:
        write_deliveries(world, Path(scratch), since=date(world.vintage.year - COHORT_YEARS + 1, 1, 1))
        moment = datetime.combine(world.vintage, time(12), UTC)
        files = sorted(Path(scratch).iterdir())
        receipts = deliver(files, None, settings.root, key, synthetic=True, received_at=moment)
    return dict(Counter(str(receipt.verdict) for receipt in receipts))

"""Every file of a data folder broken in turn: the night mends what can be made again, and says what cannot."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flows.cli.health import examine, status_facts
from flows.run.record import standing_alarm
from flows.settings import Settings
from flows.store import builds
from tests.faults.kills import counts, whole
from tests.faults.tally import Tally
from tests.fixtures.world import run_from
from transforms.errors import KommunekortError, NothingNew

Damage = Callable[[Path], None]


def truncate(path: Path) -> None:
    """Keep the first half."""
    data = path.read_bytes()
    _write(path, data[: len(data) // 2])


def flip(path: Path) -> None:
    """Change one byte in the middle."""
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 0x55
    _write(path, bytes(data))


def empty(path: Path) -> None:
    """Leave no byte."""
    _write(path, b"")


def garble(path: Path) -> None:
    """Replace the text by JSON of another shape."""
    _write(path, b'["x", 1]')


def retype(path: Path) -> None:
    """Keep the JSON and its names, and give every field another kind of value."""
    told = json.loads(path.read_text(encoding="utf-8"))
    _write(path, json.dumps({key: value if key == "run_id" else 5 for key, value in told.items()}).encode())


def _write(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def remove(path: Path) -> None:
    """Take the file, link or folder away."""
    builds.remove(path)


def into_folder(path: Path) -> None:
    """Put a folder in its place."""
    builds.remove(path)
    path.mkdir()
    (path / "note.txt").write_text("hej", encoding="utf-8")


def into_pipe(path: Path) -> None:
    """Put a pipe in its place, at which a reader would wait for ever."""
    builds.remove(path)
    os.mkfifo(path)


def into_file(path: Path) -> None:
    """Put a file in its place."""
    builds.remove(path)
    path.write_text("hej", encoding="utf-8")


def stray(path: Path) -> None:
    """Lay a copy with a file manager's name beside it."""
    copy = path.with_name(f"kopi af {path.name}")
    if path.is_dir():
        shutil.copytree(path, copy)
    else:
        shutil.copy(path, copy)
    other = path.with_name(f"{path.stem} - kopi{path.suffix}")
    if path.is_file():
        shutil.copy(path, other)


FILE_DAMAGES = (truncate, flip, empty, garble, remove, into_folder, into_pipe, stray)
OTHER_DAMAGES = (remove, into_folder, into_file, stray)


def places(root: Path) -> Iterator[tuple[Path, Damage]]:
    """Yield every path below a data folder with every damage that fits: of many files alike the first and last."""
    seen: dict[str, int] = {}
    for path in sorted(root.rglob("*")):
        if any(parent.is_symlink() for parent in path.parents) or path.name.startswith(".write-probe"):
            continue
        inside = path.relative_to(root)
        kind = f"{inside.parent}/*{path.suffix}" if len(inside.parts) > 2 else str(inside)
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > 1:
            continue
        damages: tuple[Damage, ...] = OTHER_DAMAGES if path.is_symlink() or path.is_dir() else FILE_DAMAGES
        damages = (*damages, retype) if path.suffix == ".json" else damages
        for damage in damages:
            yield path, damage


def broken_in_turn(folder: Path, base: Path, origin: Path, every: int = 1) -> Tally:
    """Damage one thing at a time, look with status and doctor, run twice, and judge what came of it."""
    tally = Tally("a broken data folder")
    faults = [(path.relative_to(base), damage) for path, damage in places(base)]
    for number, (inside, damage) in enumerate(faults):
        if number % every:
            continue
        data = folder / f"broken-{number}"
        shutil.copytree(base, data, symlinks=True)
        settings = Settings(data=data, threads=1)
        rows = counts(settings)
        name = f"{damage.__name__} {inside}"
        damage(data / inside)
        began = time.monotonic()
        try:
            told = judge(settings, origin)
        except Exception as fault:
            tally.fail(f"{name}: a fault of the program: {type(fault).__name__}: {fault}"[:300])
        else:
            tally.table.append((name, told, whole_again := whole(settings, set()) is None))
            if told.startswith("NOTHING NEW") and not whole_again:
                tally.fail(f"{name}: nothing new over a broken publication", wrong=True)
            elif "\n" in told:
                tally.fail(f"{name}: more than one sentence: {told}")
            elif whole_again and rows is not None and counts(settings) != rows:
                tally.fail(f"{name}: rows before and after differ", rows=1)
            elif not whole_again and standing_alarm(settings) is None:
                tally.fail(f"{name}: {whole(settings, set())}, and no alarm", wrong=True)
            else:
                tally.survive(time.monotonic() - began)
        shutil.rmtree(data, ignore_errors=True)
    return tally


def judge(settings: Settings, origin: Path) -> str:
    """Look, run, and return in one line how the run ended and what it mended."""
    status_facts(settings)
    list(examine_folder(settings))
    try:
        result = run_from(settings, origin)
    except NothingNew as nothing:
        told = f"NOTHING NEW {nothing}"
    except KommunekortError as error:
        told = f"{type(error).__name__}: {error}"
    else:
        told = f"published again: {'; '.join(result.warnings) or 'as news'}"
    status_facts(settings)
    return told


def examine_folder(settings: Settings) -> list[str]:
    """Return what doctor says of the data folder."""
    return [fault.found for faults in examine(settings).values() for fault in faults]

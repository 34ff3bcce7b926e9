"""The drop folder: every file in it and its subfolders is received or answered; no link is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flows.deliveries.contract import Refusal
from flows.deliveries.files import LEFT_BY_SYSTEMS
from transforms.errors import UsageError

# Files that are still being sent; they are received once they have their own name.
ON_THEIR_WAY = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".download")


def waiting_files(folder: Path) -> list[Path]:
    """Return what lies in a drop folder and its subfolders, the last written last, so that a correction wins.

    Files written at the same moment go by name: the order is the same every night. Links, and folders that cannot be
    looked into, are among them, so that they are answered; what systems leave behind and what is still on its way is
    not. Raises UsageError when there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; set KOMMUNEKORT_DROP_FOLDER to the folder deliveries come to")
    found: list[Path] = []
    closed: list[str] = []
    for root, folders, files in os.walk(folder, onerror=lambda error: closed.append(str(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [Path(root) / name for name in (*links, *files) if _is_sent(name)]
    found += [Path(name) for name in closed if Path(name) != folder]
    return sorted(found, key=lambda path: (path.lstat().st_mtime_ns, str(path.relative_to(folder))))


def _is_sent(name: str) -> bool:
    return not (name.startswith(".") or LEFT_BY_SYSTEMS.search(name) or name.lower().endswith(ON_THEIR_WAY))


def refuse_unread(path: Path) -> None:
    """Raise Refusal for what is no plain file that can be read: a link, a folder, a device."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise Refusal("unreadable", why=error.strerror) from None
    if stat.S_ISLNK(mode):
        raise Refusal("link")
    if not stat.S_ISREG(mode) or not os.access(path, os.R_OK):
        raise Refusal("no_access")

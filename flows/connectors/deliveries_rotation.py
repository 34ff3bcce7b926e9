"""Change of key: stored pseudonyms carried over and the restricted database encrypted anew, without a CPR number."""

from __future__ import annotations

import shutil
from pathlib import Path

from flows.keys import Keys, begin_rotation, finish_rotation
from flows.snapshots import sync_folder
from transforms.errors import UsageError
from transforms.pseudonym import KeyedHash, keyed_ids
from transforms.restricted import FILE, copy_database, open_restricted, person_ids, person_tables, replace_person_ids

NEW = "rotating"


def rotate(key_file: Path, data_dir: Path) -> str:
    """Change to a new key and return its id. Run again after an interruption, it finishes what was begun.

    Every pseudonym changes in the same way for everybody, so persons still meet their earlier rows and a
    municipality's next delivery meets both. Raises UsageError when the key file or the database is not in order.
    """
    before, after = begin_rotation(key_file, data_dir)
    folder = data_dir / "restricted"
    if (folder / FILE).exists() and not _opens(folder, after):
        _rewrite(folder, before, after)
    finish_rotation(key_file, data_dir)
    return after.key_id


def _opens(folder: Path, keys: Keys) -> bool:
    try:
        with open_restricted(folder, keys.database_key, read_only=True):
            return True
    except UsageError:
        return False


def _rewrite(folder: Path, before: Keys, after: Keys) -> None:
    """Build the database under the new key beside the old one, then put it in its place in one step."""
    built = folder / NEW
    for left_over in (built / FILE, built / f"{FILE}.wal"):
        left_over.unlink(missing_ok=True)
    with open_restricted(folder, before.database_key) as old:
        old.checkpoint()
    with open_restricted(built, after.database_key) as warehouse:
        copy_database(warehouse, folder / FILE, before.database_key)
        step = KeyedHash(after.last_step())
        for table in person_tables(warehouse):
            ids = person_ids(warehouse, table)
            replace_person_ids(warehouse, table, dict(zip(ids, keyed_ids(step, ids), strict=True)))
        warehouse.checkpoint()
    (built / FILE).replace(folder / FILE)
    sync_folder(folder)
    shutil.rmtree(built)

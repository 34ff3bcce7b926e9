"""The key file: the secrets behind pseudonyms and the restricted database, kept outside the data.

One file holds a chain of keys. A pseudonym under keys 1…n is the pseudonym under keys 1…n-1 hashed once more with
key n. Rotation therefore needs no CPR number: `rotate` appends a key, hashes every stored pseudonym once more and
encrypts the database anew, and later deliveries of the same persons still meet their earlier rows. Who has
learnt an earlier key can no longer compute today's pseudonyms. The earlier keys must stay in the file.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transforms.errors import UsageError
from transforms.pseudonym import Pseudonymiser

SECRET_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """The chain, oldest first. `key_id` names the newest key and gives nothing away; secrets are never printed."""

    key_id: str
    _secrets: tuple[bytes, ...] = field(repr=False)

    @property
    def database_key(self) -> str:
        """Return the key of the restricted database."""
        return _derived(self._secrets[-1], "database").hex()

    def pseudonymiser(self) -> Pseudonymiser:
        """Return the function from CPR numbers to pseudonyms."""
        return Pseudonymiser([_derived(secret, "person") for secret in self._secrets])

    def last_step(self) -> bytes:
        """Return the secret of the newest link, which carries pseudonyms of the chain before it over."""
        return _derived(self._secrets[-1], "person")

    def content_id(self, sha256: str, what: str) -> str:
        """Return a keyed hash of delivered bytes; without the key nobody can test a guess at the content.

        The first key is used, so that the same bytes are recognised after a rotation too.
        """
        return hmac.digest(_derived(self._secrets[0], "content"), f"{sha256}:{what}".encode(), "sha256").hex()


def keygen(path: Path, data_dir: Path | None = None) -> str:
    """Write a new key file (mode 0600) and return its key id; UsageError when it exists or lies inside the data."""
    path = path.expanduser()
    _refuse_inside(path, data_dir)
    if path.exists():
        raise UsageError(f"{path}: a key is there already; without it nothing stored can be linked, so it is kept")
    entry = _new_entry()
    _write(path, [entry])
    return str(entry["id"])


def load_keys(path: Path, data_dir: Path | None = None) -> Keys:
    """Return the keys in force. Raises UsageError when the file is absent, open to others, or inside the data."""
    entries = _entries(path.expanduser(), data_dir)
    if any(entry["state"] == "pending" for entry in entries):
        raise UsageError(f"{path}: a change of key was interrupted; finish it with `kommunekort keygen --rotate`")
    return _keys(entries)


def begin_rotation(path: Path, data_dir: Path) -> tuple[Keys, Keys]:
    """Return (keys before, keys after) with a new key written to the file as pending; again after a crash: the same."""
    path = path.expanduser()
    entries = _entries(path, data_dir)
    if entries[-1]["state"] != "pending":
        entries = [*entries, {**_new_entry(), "state": "pending"}]
        _write(path, entries)
    return _keys(entries[:-1]), _keys(entries)


def finish_rotation(path: Path, data_dir: Path) -> None:
    """Mark the pending key as the one in force."""
    path = path.expanduser()
    _write(path, [{**entry, "state": "active"} for entry in _entries(path, data_dir)])


def _new_entry() -> dict[str, str]:
    secret = secrets.token_bytes(SECRET_BYTES)
    return {
        "id": _derived(secret, "id").hex()[:8],
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "secret": base64.b64encode(secret).decode(),
        "state": "active",
    }


def _entries(path: Path, data_dir: Path | None) -> list[dict[str, Any]]:
    _refuse_inside(path, data_dir)
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no key there; make one with `kommunekort keygen`") from None
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path}: the key cannot be read") from None
    if mode & 0o077:
        raise UsageError(f"{path}: others than its owner can read the key (mode {mode & 0o777:o}); run chmod 600 on it")
    try:
        entries = json.loads(text)["keys"]
        for entry in entries:
            secret = base64.b64decode(entry["secret"], validate=True)
            if len(secret) < SECRET_BYTES or _derived(secret, "id").hex()[:8] != entry["id"]:
                raise ValueError
        _keys(entries)
    except (ValueError, KeyError, TypeError, IndexError):
        raise UsageError(f"{path}: this is no key file or it is damaged; restore it from your backup") from None
    return list(entries)


def _keys(entries: list[dict[str, Any]]) -> Keys:
    return Keys(entries[-1]["id"], tuple(base64.b64decode(entry["secret"]) for entry in entries))


def _derived(secret: bytes, use: str) -> bytes:
    """Return the key for one use, so that no use tells anything about another."""
    return hmac.digest(secret, f"kommunekort {use} 1".encode(), "sha256")


def _refuse_inside(path: Path, data_dir: Path | None) -> None:
    if data_dir is not None and path.resolve().is_relative_to(data_dir.expanduser().resolve()):
        raise UsageError(f"{path}: the key must not lie inside the data directory; keep it elsewhere")


def _write(path: Path, entries: list[dict[str, Any]]) -> None:
    """Replace the file as a whole, readable by its owner alone from the first byte on."""
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as writer:
            json.dump({"keys": entries}, writer, indent=1)
            writer.flush()
            os.fsync(writer.fileno())
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: the key cannot be written ({error.strerror})") from None

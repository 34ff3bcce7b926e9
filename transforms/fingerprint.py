"""What a result was made from: one hash over the code and facts that decide it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

PACKAGES = ("transforms", "expectations", "flows")
SUFFIXES = {".py", ".sql", ".yml", ".csv"}


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the first 16 hexadecimals of one SHA-256 over every code, SQL and reference file of the project."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in SUFFIXES and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(root)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]

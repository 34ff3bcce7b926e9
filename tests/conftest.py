"""Fixtures every test may use: the real publisher files when they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """Return the folder of real publisher files, or skip: they are never part of the repository."""
    folder = Path(os.environ.get("KOMMUNEKORT_REAL", ROOT.parent / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip("real publisher files are not here (set KOMMUNEKORT_REAL to their folder)")
    return folder

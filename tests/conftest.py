"""Fixtures every test may use: the real publisher files, small synthetic extracts, and data folders built from them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.deliveries.keys import keygen
from flows.settings import Settings
from tests.fixtures.extracts import cached_extracts, copy_extracts
from tests.fixtures.world import Published, hurry, publish_from

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write tests/golden anew; review the diff.")


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """Return the folder of real publisher files, or skip: they are never part of the repository."""
    folder = Path(os.environ.get("KOMMUNEKORT_REAL", ROOT.parent / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip("real publisher files are not here (set KOMMUNEKORT_REAL to their folder)")
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this test session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session", autouse=True)
def known_key(shared_folder: Path) -> Path:
    """Keep the pseudonyms' key beside the tests' data, the same in every session: random rounding is drawn from it."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("secrets.token_bytes", lambda length: hashlib.sha256(b"SYNTHETIC").digest()[:length])
            keygen(folder / "pseudonym.key")

    path = make_once(shared_folder / "keys", make) / "pseudonym.key"
    os.environ["KOMMUNEKORT_KEY_FILE"] = str(path)
    return path


@pytest.fixture(scope="session", autouse=True)
def checked_connect() -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Return how DuckDB is opened, and leave out of it what takes longest of a small delivery: the check of the
    signature of DuckDB's own extension. Every command run in a process of its own has it."""
    connect = duckdb.connect

    def unchecked(*given: Any, **named: Any) -> duckdb.DuckDBPyConnection:
        if given == (":memory:",) and "config" in named:
            named["config"] = {**named["config"], "allow_unsigned_extensions": "true"}
        return connect(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", unchecked)
        yield connect


def make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return `folder`, made by whichever worker comes first; the others wait for it."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            make(folder)
    return folder


@pytest.fixture(scope="session")
def sample_extracts(pytestconfig: pytest.Config) -> Path:
    """Return a folder of nineteen small StatBank extracts for `--from`, all areas, one or two periods. SYNTHETIC."""
    assert pytestconfig.cache is not None
    return cached_extracts(pytestconfig.cache.mkdir("extracts"))


@pytest.fixture(scope="session")
def few_extracts(sample_extracts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the three smallest extracts that make a mapping: the quickest whole run. SYNTHETIC."""
    return copy_extracts(sample_extracts, tmp_path_factory.mktemp("few"), "FOLK1A", "FOLK1AM", "AULKP01")


@pytest.fixture(scope="session")
def tiny_run(sample_extracts: Path, shared_folder: Path) -> Published:
    """Return a data folder with one run from all of `sample_extracts`. Read only: copy it to write."""
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        folder = make_once(shared_folder / "tiny", lambda folder: publish_from(sample_extracts, folder))
    return Published(Settings(data=folder), sample_extracts)


@pytest.fixture(scope="session")
def few_run(few_extracts: Path, shared_folder: Path) -> Published:
    """Return a data folder with one run from `few_extracts`. Read only: copy it to write."""
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        folder = make_once(shared_folder / "few-data", lambda folder: publish_from(few_extracts, folder))
    return Published(Settings(data=folder), few_extracts)


@pytest.fixture(scope="session")
def sample_run(shared_folder: Path) -> Published:
    """Return a data folder with one default run: the sample world over loopback. Half a minute; for `long` tests."""
    folder = make_once(shared_folder / "sample", lambda folder: publish_from("sample", folder))
    return Published(Settings(data=folder), Path("sample"))


@pytest.fixture
def own_data(few_run: Published, tmp_path: Path) -> Published:
    """Return a copy of `few_run` that a test may change."""
    folder = tmp_path / "data"
    shutil.copytree(few_run.settings.root, folder, symlinks=True)
    return Published(Settings(data=folder, threads=1), few_run.origin)


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes seconds and decides nothing: the record by Great Expectations, the report."""
    hurry(monkeypatch)

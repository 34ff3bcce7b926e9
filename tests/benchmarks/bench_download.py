"""From the StatBank API to a staging table: our connector against curl to disk and DuckDB's own typed read.

The API is the stand-in in a process of its own, on loopback, answering BULK from the sample world.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.bench_ingest import Work, build_database, fresh, read_typed
from tests.benchmarks.extract import SOURCE
from tests.benchmarks.harness import ROOT, Benchmark, Bound, Step
from transforms.catalogue import Catalogue, Source, load_catalogue

HERE = "tests.benchmarks.bench_download"
ROWS_PER_PERIOD = 20_000  # of 21,840 cells; the others are zero
CURL, OURS = "curl to disk, and DuckDB's typed read_csv", "kommunekort, fetch and load to staging"
START_SECONDS = 60.0


def benchmark() -> Benchmark:
    """Return the benchmark of download and load."""
    return Benchmark(
        name="download",
        title="FOLK1E (32 quarters) in BULK from the stand-in over loopback HTTP to a closed database",
        prepare=f"{HERE}:prepare",
        steps=(Step(CURL, f"{HERE}:by_curl"), Step(OURS, f"{HERE}:by_us")),
        bounds=(Bound(OURS, 1.25, CURL),),
        full_rows=32 * ROWS_PER_PERIOD,
        quick_rows=1,
    )


def prepare(folder: Path, rows: int) -> None:
    """Nothing is prepared: every step starts its own stand-in and warms it before the clock runs."""


def source_of(catalogue: Catalogue, rows: int) -> Source:
    """Return FOLK1E with the codes its source file selects, of as many of the newest quarters as give about `rows`."""
    source = catalogue.sources[SOURCE]
    periods = max(round(rows / ROWS_PER_PERIOD), 1)
    newest = {"select": [f"(-n+{periods})"]}
    dimensions = [d.model_copy(update=newest) if d.role == "time" else d for d in source.dimensions]
    return source.model_copy(update={"dimensions": dimensions})


@contextmanager
def standin() -> Iterator[str]:
    """Serve the stand-in from another process; yields its base address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "flows.sample.standin", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(base)
        yield base
    finally:
        server.kill()
        server.wait()


def wait_for(base: str) -> None:
    """Return when the server answers; TimeoutError when it never does."""
    for _ in range(int(START_SECONDS * 10)):
        try:
            httpx.get(f"{base}/subjects", timeout=1.0)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the stand-in did not start")


def warmed(base: str, source: Source) -> dict[str, Any]:
    """Ask once for everything, so that the world is simulated; return the body of the request."""
    from flows.connectors.statbank.query import make_plan, parse_tableinfo

    address = f"{base}/tableinfo"
    for language in ("da", "en"):
        described = httpx.post(address, json={"table": source.table, "lang": language, "format": "JSON"}, timeout=120)
    body: dict[str, Any] = make_plan(source, parse_tableinfo(described.content), None).query.body()
    httpx.post(f"{base}/data", json=body, timeout=600).raise_for_status()
    return body


def by_curl(folder: Path, rows: int) -> Work:
    """Let curl write the answer to disk, and read it with DuckDB alone."""
    import duckdb  # noqa: F401  (its import is not to be timed)

    serving = standin()
    base = serving.__enter__()
    body = warmed(base, source_of(load_catalogue(), rows))
    path = folder / "curl.csv"
    header = "Content-Type: application/json"
    command = ["curl", "-sSf", "-o", str(path), "-H", header, "-d", json.dumps(body), f"{base}/data"]

    def work() -> Mapping[str, Any]:
        try:
            subprocess.run(command, check=True)
            return {**read_typed(path, fresh(folder / "typed.duckdb")), "MB": path.stat().st_size // 1_000_000}
        finally:
            serving.__exit__(None, None, None)

    return work


def by_us(folder: Path, rows: int) -> Work:
    """Fetch with the connector (descriptions, download, check, hash, snapshot), and load as a build does."""
    import shutil

    import pandas  # noqa: F401  (any build has imported it, and pyarrow with it)
    import pyarrow.csv
    import pyarrow.dataset  # noqa: F401  (DuckDB imports it with the first Arrow table it is given)

    from flows.connectors import FetchOptions
    from flows.connectors.http import open_client
    from flows.connectors.statbank.client import canonical_rows, fetch_source
    from flows.store.snapshots import SnapshotStore
    from transforms.dictionary import load_dictionary
    from transforms.load import load_staging
    from transforms.tables import ROOT as SQL
    from transforms.tables import read_sql_file

    catalogue, dictionary = load_catalogue(), load_dictionary()
    source, file = source_of(catalogue, rows), read_sql_file(SQL / "staging" / f"{SOURCE}.sql")
    serving = standin()
    base = serving.__enter__()
    warmed(base, source)
    shutil.rmtree(folder / "fetched", ignore_errors=True)
    store = SnapshotStore(folder / "fetched")

    def work() -> Mapping[str, Any]:
        try:
            with open_client(base) as client:
                snapshot = fetch_source(client, source, store, catalogue, FetchOptions("sample")).snapshot
            assert snapshot is not None, "it was fetched just now"
            with build_database(folder) as warehouse:
                given = canonical_rows(source, snapshot, catalogue, folder / "work")
                count = load_staging(warehouse, file, given, dictionary)
            return {"rows": count.rows_loaded, "zero cells filled": count.rows_filled}
        finally:
            serving.__exit__(None, None, None)

    return work

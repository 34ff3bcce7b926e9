"""A hostile network between the connector and a small StatBank: recovered, or one sentence and the old snapshot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from flows.connectors import FetchOptions, FetchResult
from flows.connectors.http import Patience, open_client
from flows.connectors.statbank.client import fetch_all
from flows.sample.standin import create_app, running_app
from flows.store.snapshots import SnapshotStore
from tests.faults.tally import Tally
from tests.fixtures.standin_faults import Fault, Faulty, Script, running_standin
from tests.unit.connectors.statbank.statbank_fakes import FOLK1A, FakeCubes, small_catalogue

QUICK = Patience(attempts=3, total=20.0, wait_initial=0.01, wait_max=0.05, retry_after_max=0.2)
BOUND = 30.0
HEADER = "OMRÅDE;KØN;ALDER".encode()

# What happens -> the fault (a new one each time), and whether the fetch gets through in spite of it.
FAULTS: dict[str, tuple[Callable[[], Fault], bool]] = {
    "dropped once": (lambda: Fault(drop_after=2000), True),
    "dropped every time": (lambda: Fault(drop_after=2000, times=99), False),
    "dropped before the first byte": (lambda: Fault(drop_after=0), True),
    "stalled once": (lambda: Fault(stall_after=1500, seconds=3.0), True),
    "stalled every time": (lambda: Fault(stall_after=1500, seconds=3.0, times=99), False),
    "truncated politely": (lambda: Fault(cut_after=3000, times=99), False),
    "truncated in the first line": (lambda: Fault(cut_after=10, times=99), False),
    "429 with Retry-After": (lambda: Fault(status=429, retry_after="0"), True),
    "429 for ever, wait an hour": (lambda: Fault(status=429, retry_after="3600", times=99), False),
    "500 twice": (lambda: Fault(status=500, times=2), True),
    "502 for ever": (lambda: Fault(status=502, body="<html>Bad gateway</html>", times=99), False),
    "503 with a date to wait for": (lambda: Fault(status=503, retry_after="Sun, 06 Nov 1994 08:49:37 GMT"), True),
    "web page with 200": (lambda: closed_for_maintenance(times=99), False),
    "JSON error with 200": (
        lambda: Fault(status=200, body='{"message": "fejl"}', content_type="text/json", times=99),
        False,
    ),
    "empty answer": (lambda: Fault(status=200, body="", content_type="text/csv", times=99), False),
    "204": (lambda: Fault(status=204, times=99), False),
    "404": (lambda: Fault(status=404, body="{}", content_type="text/json", times=99), False),
    "wrong charset": (lambda: Fault(charset="latin-1", times=99), False),
    "renamed column": (lambda: Fault(replace=(HEADER, "OMRÅDE;GENDER;ALDER".encode()), times=99), False),
    "extra column": (lambda: Fault(replace=(HEADER, HEADER + b";MERE"), times=99), False),
    "comma for semicolon": (lambda: Fault(replace=(b";", b","), times=99), False),
    "changed code": (lambda: Fault(replace=(b"\r\n101;", b"\r\n10X;"), times=99), False),
    "described in other words": (lambda: Fault("/tableinfo", replace=(b'"text":"', b'"text":"Neu '), times=1), True),
    "redirected elsewhere": (lambda: Fault(status=302, location="http://127.0.0.1:9/steal", times=99), False),
    "description is no JSON": (lambda: Fault("/tableinfo", status=200, body="oops", times=99), False),
}


HTML = "<!DOCTYPE html><html><body><h1>Lukket for vedligeholdelse</h1></body></html>"


def closed_for_maintenance(match: str = "/data", times: int = 1) -> Fault:
    """Return the fault of an HTML page with status 200 in place of the answer."""
    return Fault(match, times, status=200, body=HTML)


def bad_nights(folder: Path, repeat: int = 1) -> Tally:
    """Play every fault against a source that has a snapshot and a newer extract waiting."""
    tally = Tally("hostile network")
    cubes, script, catalogue = FakeCubes(), Script(), small_catalogue()
    with running_standin(cubes, catalogue, script) as url, open_client(url) as client:
        client.timeout = httpx.Timeout(0.5, connect=10.0)
        for turn in range(repeat):
            for name, (fault, passes) in FAULTS.items():
                script.faults = []
                store = SnapshotStore(folder / f"{turn}-{name}")
                [first] = fetch_all(client, [FOLK1A], store, catalogue, FetchOptions("sample", patience=QUICK))
                newer = Fault("/tableinfo", times=9, replace=(b"2025-08-11T08:00:00", b"2025-11-10T08:00:00"))
                script.faults = [fault(), newer]
                began = time.monotonic()
                [result] = fetch_all(client, [FOLK1A], store, catalogue, FetchOptions("sample", patience=QUICK))
                judge(tally, name, store, first, result, passes, time.monotonic() - began)
    return tally


def judge(
    tally: Tally, name: str, store: SnapshotStore, first: FetchResult, result: FetchResult, passes: bool, seconds: float
) -> None:
    """Count one fault: through, or told in one sentence with the old snapshot kept; and within bounds either way."""
    newest = store.newest(FOLK1A.id)
    through = result.status in ("new", "unchanged")
    if newest is None or first.snapshot is None or newest.manifest.digest != first.snapshot.manifest.digest:
        tally.fail(f"{name}: the newest snapshot holds other bytes", wrong=True)
    elif through != passes:
        tally.fail(f"{name}: {result.status}: {result.message}", wrong=through)
    elif not through and ("\n" in result.message or len(result.message) < 20):
        tally.fail(f"{name}: no sentence: {result.message!r}")
    elif seconds > BOUND:
        tally.fail(f"{name}: took {seconds:.0f} s")
    elif leftovers := [*store.root.glob(".fetch-*"), *store.root.glob("*/.part-*")]:
        tally.fail(f"{name}: left behind {leftovers}")
    else:
        tally.survive(seconds)


def endless_body(folder: Path) -> Tally:
    """Let the answer never end: the patience for one request bounds it."""
    tally = Tally("endless body")
    patience = Patience(attempts=1, total=2.0, wait_initial=0.01, wait_max=0.02)
    cubes, script = FakeCubes(), Script(Fault(endless=True, times=99))
    with running_standin(cubes, small_catalogue(), script) as url, open_client(url) as client:
        client.timeout = httpx.Timeout(1, connect=10.0)
        store = SnapshotStore(folder / "endless")
        began = time.monotonic()
        [result] = fetch_all(client, [FOLK1A], store, small_catalogue(), FetchOptions("sample", patience=patience))
    seconds = time.monotonic() - began
    if result.status == "failed" and seconds < BOUND and not store.newest(FOLK1A.id):
        tally.survive(seconds)
    else:
        tally.fail(f"{result.status} after {seconds:.0f} s: {result.message}", wrong=True)
    return tally


def server_restarted(folder: Path) -> Tally:
    """Stop the server in the middle of a download, and start it again on the same port a second later."""
    tally = Tally("server stopped and restarted")
    cubes, catalogue = FakeCubes(), small_catalogue()
    app = create_app(cubes, catalogue)
    patience = Patience(attempts=20, total=30.0, wait_initial=0.1, wait_max=0.3)
    store = SnapshotStore(folder / "restarted")
    slow = Script(Fault(stall_after=2000, seconds=20.0))
    results: list[FetchResult] = []
    first = running_app(Faulty(app, slow))
    root = first.__enter__()
    with open_client(f"{root}/v1") as client:
        client.timeout = httpx.Timeout(2.0, connect=10.0)
        download = threading.Thread(
            target=lambda: results.extend(
                fetch_all(client, [FOLK1A], store, catalogue, FetchOptions("sample", patience=patience))
            )
        )
        download.start()
        while not any("/data" in request for request in slow.requests):
            time.sleep(0.01)
        time.sleep(0.2)
        first.__exit__(None, None, None)
        began = time.monotonic()
        with running_app(app, int(root.rsplit(":", 1)[1])):
            download.join(60)
    if results and results[0].status == "new":
        tally.survive(time.monotonic() - began)
    else:
        tally.fail(str(results))
    return tally

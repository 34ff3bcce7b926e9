"""How soon the report's front page answers its reader: a headless Chromium on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.benchmarks.bench_ingest import Work
from tests.benchmarks.harness import Benchmark, Bound, Step
from tests.browser.conftest import ARGUMENTS, chromium

HERE = "tests.benchmarks.bench_browser"
FRONT = "the front page, until it answers"


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmark of the front page; none where there is no Chromium."""
    if chromium() is None:
        return ()
    return (
        Benchmark(
            name="browser",
            title="the report's front page over loopback in a headless Chromium, nothing cached",
            prepare=f"{HERE}:prepare",
            steps=(Step(FRONT, f"{HERE}:front_page"),),
            bounds=(Bound(FRONT, 1, what="seconds"),),
            full_rows=98,
        ),
    )


def prepare(folder: Path, rows: int) -> None:
    """Build the report of a made-up country."""
    from flows.report.build import build_report
    from flows.settings import Settings
    from tests.report_database import make_database

    build_report(make_database(folder / "made-up.duckdb", municipalities=rows), folder / "site", Settings(data=folder))


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def front_page(folder: Path, rows: int) -> Work:
    """Time from the address to the first answer: scripts run, and the map tells of the municipality pointed at."""
    from playwright.sync_api import sync_playwright

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder / "site")))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/index.html"

    def work() -> Mapping[str, Any]:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            try:
                browser.new_page().goto("about:blank")  # the browser itself has started
                page = browser.new_page()
                page.add_init_script(WATCH)
                page.goto(address)
                page.wait_for_function("window.answered !== undefined")
                milliseconds = float(page.evaluate("window.answered"))
            finally:
                browser.close()
                server.shutdown()
        return {"seconds": milliseconds / 1000}

    return work


# Points at a municipality as soon as there is a map, and notes when the page tells of it (from the navigation's start).
WATCH = """
const timer = setInterval(() => {
    const tile = document.querySelector("#map a[data-c='461']");
    const readout = document.querySelector("#readout");
    if (!tile || !readout) return;
    tile.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
    tile.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
    tile.dispatchEvent(new PointerEvent("pointerenter"));
    tile.dispatchEvent(new MouseEvent("mouseenter"));
    if (readout.textContent.includes("Odense")) {
        window.answered = performance.now();
        clearInterval(timer);
    }
}, 5);
"""

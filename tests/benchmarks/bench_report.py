"""How long the report and the workbook of 98 municipalities take, and how heavy their pages are.

Run: python -m tests.benchmarks.bench_report [database]. Without a database a made-up one is used.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from flows.report import data, drawings
from flows.report.build import build_report
from flows.report.workbook import write_workbook
from flows.settings import Settings
from tests.browser.conftest import chromium as find_chromium
from tests.report_database import make_database

LIMIT_S, LIMIT_INDEX_MB = 20.0, 1.2


def measure(database: Path, folder: Path) -> list[tuple[str, float, str]]:
    """Return (what, figure, unit) of one report and one workbook."""
    out = []
    start = time.perf_counter()
    data.load(database)
    out.append(("read the database", time.perf_counter() - start, "s"))
    rows = [{"year": 2010 + k, "value": 50.0 + k, "series": "total"} for k in range(12)]
    drawings.svg("trend", rows, "x")
    start = time.perf_counter()
    for _ in range(20):
        drawings.svg("trend", rows, "x")
    out.append(("one chart", (time.perf_counter() - start) * 1000 / 20, "ms"))
    start, processor = time.perf_counter(), time.process_time()
    files = build_report(database, folder / "site", Settings(data=folder))
    out.append(("the report", time.perf_counter() - start, "s"))
    out.append(("the report, processor", time.process_time() - processor, "s"))
    size = {path.relative_to(folder / "site").as_posix(): path.stat().st_size for path in files}
    loaded = ("index.html", *(f"assets/{name}" for name in LOADED))
    out.append(("the front page with all it loads", sum(size[name] for name in loaded) / 1e6, "MB"))
    out.append(("the whole report", sum(size.values()) / 1e6, "MB"))
    start = time.perf_counter()
    path = write_workbook(database, folder / "a.xlsx")
    out.append(("the workbook", time.perf_counter() - start, "s"))
    out.append(("the workbook's size", path.stat().st_size / 1e6, "MB"))
    return out


def measure_pdfs(database: Path, folder: Path, chromium: Path) -> list[tuple[str, float, str]]:
    """Return (what, figure, unit) of the report with a PDF of every profile; the processor's time is the browsers'."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    build_report(database, folder / "printed", Settings(data=folder, pdf=True, chromium=chromium))
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    made = sorted((folder / "printed" / "kommune").glob("*.pdf"))
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [
        ("the report with PDFs", wall, "s"),
        ("PDFs made", float(len(made)), ""),
        ("a PDF, processor", spent / max(1, len(made)), "s"),
        ("all PDFs", sum(path.stat().st_size for path in made) / 1e6, "MB"),
    ]


LOADED = ("report.css", "start.js", "definitions.js", "values.js", "map.js", "report.js")


def main() -> None:
    """Print the figures beside their limits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = Path(sys.argv[1]) if len(sys.argv) > 1 else make_database(folder / "a.duckdb")
        path = find_chromium()
        printed = measure_pdfs(database, folder, Path(path)) if path else []
        for what, figure, unit in [*measure(database, folder), *printed]:
            limit = {
                "the report": f" (limit {LIMIT_S:.0f} s)",
                "the front page with all it loads": f" (limit {LIMIT_INDEX_MB} MB)",
            }
            print(f"{what:36} {figure:8.2f} {unit}{limit.get(what, '')}")


if __name__ == "__main__":
    main()

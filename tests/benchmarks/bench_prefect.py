"""What Prefect itself costs: the same small run with and without it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_ingest import Work
from tests.benchmarks.harness import MB, ROOT, Benchmark, Step

HERE = "tests.benchmarks.bench_prefect"
TABLES = ("FOLK1A", "FOLK1AM", "AULKP01")
PLAIN, FLOW = "kommunekort run --plain", "kommunekort run (Prefect, a server of its own)"


def benchmark() -> Benchmark:
    """Return the benchmark of Prefect's own cost; no bound, since Prefect's start is not ours to shorten."""
    return Benchmark(
        name="prefect",
        title=f"one run from a folder of {len(TABLES)} small extracts, the server's database at hand",
        prepare=f"{HERE}:prepare",
        steps=(Step(PLAIN, f"{HERE}:plain"), Step(FLOW, f"{HERE}:flow")),
        full_rows=1,
    )


def prepare(folder: Path, rows: int) -> None:
    """Write the extracts, and run once each way, so that no timed run has to make Prefect's database."""
    from tests.fixtures.extracts import cached_extracts, copy_extracts

    extracts = cached_extracts(ROOT / ".pytest_cache" / "d" / "extracts")
    copy_extracts(extracts, folder / "extracts", *TABLES)
    for way in (plain, flow):
        way(folder, rows)()


def plain(folder: Path, rows: int) -> Work:
    """Run without Prefect."""
    return lambda: command(folder, "plain", "--plain")


def flow(folder: Path, rows: int) -> Work:
    """Run the flow; Prefect starts a temporary server."""
    return lambda: command(folder, "flow")


def command(folder: Path, data: str, *options: str) -> Mapping[str, Any]:
    """Run the command and return the highest memory of its processes together, looked at five times a second."""
    import psutil

    shown = ["run", "--from", str(folder / "extracts"), "--data", str(folder / data), "--force", "--quiet", *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "KOMMUNEKORT_"))}
    start = [sys.executable, "-c", "from flows.cli.main import main; main()", *shown]
    with subprocess.Popen(start, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as running:
        peak = 0.0
        while running.poll() is None:
            peak = max(peak, _memory(psutil, running.pid))
            time.sleep(0.2)
        said = running.stderr.read() if running.stderr else ""
    if running.returncode != 0:
        raise RuntimeError(f"kommunekort {' '.join(shown)} ended with {running.returncode}: {said[-1000:]}")
    return {"peak_mb": peak, "cpu": float("nan")}


def _memory(psutil: Any, pid: int) -> float:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0
    return total / MB

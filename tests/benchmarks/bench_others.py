"""The benchmarks that print tables of their own (models, deliveries, report) beside all others."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_ingest import Work
from tests.benchmarks.harness import Benchmark, Bound, Step

HERE = "tests.benchmarks.bench_others"
DELIVER = "kommunekort deliver"


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of models, deliveries and report."""
    models = Benchmark(
        name="models",
        title="all models from simulated persons to estimates (the simulation apart)",
        prepare=f"{HERE}:nothing",
        steps=tuple(
            Step(f"{share * 2_000_000:,.0f} persons", f"{HERE}:models", share=share, scaled=False)
            for share in (0.01, 0.1, 1.0)
        ),
        bounds=(Bound("200,000 persons", 60, what="seconds"), Bound("200,000 persons", 2048)),
        full_rows=2_000_000,
        runs=3,
    )
    deliveries = Benchmark(
        name="deliveries",
        title="a municipality's cases and measures (five times as many), received, judged and stored encrypted",
        prepare=f"{HERE}:nothing",
        steps=(Step(DELIVER, f"{HERE}:deliveries"),),
        # 250,000 of the six million rows a second.
        bounds=(Bound(DELIVER, 24, what="seconds"), Bound(DELIVER, 2048)),
        full_rows=1_000_000,
        runs=3,
    )
    report = Benchmark(
        name="report",
        title="the report of 98 municipalities",
        prepare=f"{HERE}:nothing",
        steps=(Step("report", f"{HERE}:report"),),
        bounds=(Bound("report", 20, what="seconds"),),
        full_rows=98,
        runs=3,
    )
    return models, deliveries, report


def nothing(folder: Path, rows: int) -> None:
    """Prepare nothing."""


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def models(folder: Path, rows: int) -> Work:
    """Time all models over `rows` persons."""
    from tests.benchmarks.bench_models import measure

    def work() -> Mapping[str, Any]:
        cells = [cell.strip() for cell in _said(lambda: measure(rows)).splitlines()[-1].strip("| ").split("|")]
        return {"seconds": float(cells[-3]), "peak_mb": float(cells[-2])}

    return work


def deliveries(folder: Path, rows: int) -> Work:
    """Time the reception of `rows` cases and five times as many measures."""
    from tests.benchmarks.bench_deliveries import measure

    def work() -> Mapping[str, Any]:
        found = measure(_emptied(folder / "deliveries"), rows, 5 * rows)
        facts = {"rows": found.rows, "rows a second": int(found.speed)}
        facts |= {"times a load as text by DuckDB": f"{found.seconds / found.plain_load:.1f}"}
        return {"seconds": found.seconds, "cpu": found.cpu, "peak_mb": float(found.peak_mb), **facts}

    return work


def report(folder: Path, rows: int) -> Work:
    """Time the report over a made-up database."""
    from tests.benchmarks.bench_report import measure
    from tests.report_database import make_database

    if not (folder / "made-up.duckdb").exists():
        make_database(folder / "made-up.duckdb")

    def work() -> Mapping[str, Any]:
        figures = {what: (figure, unit) for what, figure, unit in measure(folder / "made-up.duckdb", folder)}
        told = {what: f"{figure:.1f} {unit}" for what, (figure, unit) in figures.items() if what != "the report"}
        return {"seconds": figures["the report"][0], **told}

    return work


def _said(step: Any) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        step()
    return said.getvalue()

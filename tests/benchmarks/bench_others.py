"""The benchmarks that print tables of their own (models, deliveries, report) beside all others."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_ingest import Work
from tests.benchmarks.harness import Benchmark, Bound, Step, in_child

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
    people = Benchmark(
        name="people",
        title="persons with five rows of measures and jobs each, from the encrypted database to all their figures",
        prepare="tests.benchmarks.bench_people:prepare",
        steps=(
            Step(ALONE, f"{HERE}:people_alone"),
            Step(TOGETHER, f"{HERE}:people_by_two"),
            Step(CLUSTER, f"{HERE}:people_by_a_cluster"),
        ),
        bounds=(Bound(ALONE, 40, what="seconds"), Bound(ALONE, 600), Bound(CLUSTER, 1.25, TOGETHER)),
        full_rows=2_000_000,
        runs=3,
    )
    growth = Benchmark(
        name="growth",
        title="ten times as many such persons, by one process: seconds as for all of them",
        prepare=f"{HERE}:nothing",
        steps=(Step(TENTH, f"{HERE}:people_of", share=0.1), Step(ALL, f"{HERE}:people_of")),
        bounds=(Bound(ALL, 1.2, TENTH), Bound(ALL, 2048)),
        full_rows=10_000_000,
        runs=1,
    )
    many = Benchmark(
        name="many",
        title="measures of 98 municipalities in a file each, read by one process and by two",
        prepare="tests.benchmarks.bench_deliveries:prepare_many",
        steps=(Step("one process", f"{HERE}:many_by_one"), Step("two processes", f"{HERE}:many_by_two")),
        bounds=(Bound("two processes", 1 / 1.6, "one process"),),
        full_rows=6_000_000,
        runs=3,
    )
    return models, deliveries, report, people, growth, many


ALONE, TOGETHER, CLUSTER = "one process", "two processes", "a scheduler and two workers"
TENTH, ALL = "1,000,000 persons", "10,000,000 persons"


def people_alone(folder: Path, rows: int) -> Work:
    """Time one process, bucket after bucket."""
    return _people(folder)


def people_by_two(folder: Path, rows: int) -> Work:
    """Time two processes beside the one that fits."""
    return _people(folder, workers=2)


def people_by_a_cluster(folder: Path, rows: int) -> Work:
    """Time a Dask cluster on this machine; its processes are ended with this one's."""
    import atexit
    import tempfile

    from tests.benchmarks.bench_people import settings_in
    from tests.unit.deliveries.test_cluster import Cluster

    cluster = Cluster(Path(tempfile.mkdtemp(dir=folder)), settings_in(folder))
    atexit.register(cluster.end)
    return _people(folder, dask=cluster.address)


def _people(folder: Path, **more: Any) -> Work:
    from tests.benchmarks.bench_people import figures, settings_in

    def work() -> Mapping[str, Any]:
        made = figures(settings_in(folder, **more))
        return {"counting s": f"{made.loaded:.1f}", "fitting s": f"{made.fitted:.1f}", "figures": made.digest()}

    return work


def people_of(folder: Path, rows: int) -> Work:
    """Time one process over so many persons, made ready in a process of their own."""
    in_child("tests.benchmarks.bench_people:prepare", folder / str(rows), rows)
    return _people(folder / str(rows))


def many_by_one(folder: Path, rows: int) -> Work:
    """Time the reception of many files by one process."""
    return _many(folder, rows, 1)


def many_by_two(folder: Path, rows: int) -> Work:
    """Time the reception of many files by two processes: both read, one stores."""
    return _many(folder, rows, 2)


def _many(folder: Path, rows: int, workers: int) -> Work:
    from flows.deliveries.intake import deliver
    from flows.deliveries.keys import keygen

    place = _emptied(folder / "received")
    keygen(place / "key")
    files = sorted((folder / "files").iterdir())

    def work() -> Mapping[str, Any]:
        start = time.perf_counter()
        receipts = deliver(files, None, place / "data", place / "key", workers=workers)
        assert len(receipts) == len(files)
        assert not any(receipt.is_refused for receipt in receipts)
        return {"rows a second": int(rows / (time.perf_counter() - start))}

    return work


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
        facts: dict[str, Any] = {"rows": found.rows, "rows a second": int(found.speed)}
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

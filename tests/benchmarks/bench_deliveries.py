"""Speed of receiving deliveries: a million cases and five million measures, against DuckDB's plain load.

Run: `python -m tests.benchmarks.bench_deliveries [--cases 1000000] [--measures 5000000]`. Prints rows per second, the
ratio to `CREATE TABLE AS SELECT * FROM read_csv(all_varchar)` of the same file, and peak memory. The numbers of the
made-up persons are drawn at random and belong to nobody in particular.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

TARGET_ROWS_PER_SECOND = 250_000
CHUNK = 200_000
MEASURES = (
    "Virksomhedspraktik, privat",
    "Virksomhedspraktik, offentlig",
    "IGU",
    "Mentor",
    "Danskuddannelse",
    "Opkvalificering",
)
BASES = ("Kvoteflygtning", "§ 7 stk. 1", "§ 7 stk. 2", "Familiesammenført til flygtning")
LANDS = ("Syrien", "Eritrea", "Irak", "Afghanistan", "Iran", "Somalia")
INDUSTRIES = ("561010", "812100", "477110", "107120", "522920", "")


def cprs(count: int) -> list[str]:
    """Return `count` distinct numbers, a sixth of them with a birthday on 1 January."""
    rng = np.random.default_rng(7)
    days, months = rng.integers(1, 29, count), rng.integers(1, 13, count)
    new_year = rng.random(count) < 1 / 6
    days[new_year] = months[new_year] = 1
    years = rng.integers(50, 99, count)
    serial = np.arange(count) % 4_000
    found = dict.fromkeys(
        f"{d:02d}{m:02d}{y:02d}-{s:04d}" for d, m, y, s in zip(days, months, years, serial, strict=True)
    )
    return list(found)


def dates(count: int, seed: int) -> list[str]:
    """Return dates of 2010-2015 as dd-mm-yyyy."""
    days = np.datetime64("2010-01-01") + np.random.default_rng(seed).integers(0, 2_190, count)
    return [f"{text[8:]}-{text[5:7]}-{text[:4]}" for text in days.astype(str)]


def cases(people: list[str]) -> Iterator[list[str]]:
    """Yield lines of a cases delivery."""
    yield ["CPR-nr.;Navn;Dato for opholdstilladelse;Opholdsgrundlag;Oprindelsesland;Antal børn"]
    rng = np.random.default_rng(1)
    for start in range(0, len(people), CHUNK):
        part = people[start : start + CHUNK]
        n = len(part)
        columns = zip(
            part, dates(n, start), rng.choice(BASES, n), rng.choice(LANDS, n), rng.integers(0, 6, n), strict=True
        )
        yield [f"{cpr};Opdigtet;{day};{basis};{land};{children}" for cpr, day, basis, land, children in columns]


def measures(people: list[str], count: int) -> Iterator[list[str]]:
    """Yield lines of a measures delivery, persons in random order."""
    yield ["CPR-nr.;Indsats;Startdato;Slutdato;Timer pr. uge;Branche"]
    rng = np.random.default_rng(2)
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        who = rng.integers(0, len(people), n)
        columns = zip(
            who, rng.choice(MEASURES, n), dates(n, start + 1), rng.choice(["37", "20,5", "15"], n),
            rng.choice(INDUSTRIES, n), strict=True,
        )  # fmt: skip
        yield [f"{people[i]};{kind};{day};;{hours};{industry}" for i, kind, day, hours, industry in columns]


def write(path: Path, blocks: Iterator[list[str]]) -> int:
    """Write lines and return the number of rows under the heading."""
    rows = -1
    with path.open("w", encoding="utf-8", newline="") as file:
        for block in blocks:
            file.write("\r\n".join(block) + "\r\n")
            rows += len(block)
    return rows


def prepare_many(folder: Path, rows: int) -> None:
    """Write measures of 98 municipalities, so many rows in all, into a file each."""
    from transforms.areas import areas_at

    (folder / "files").mkdir(parents=True, exist_ok=True)
    places = areas_at(["municipality"])
    people = cprs(max(rows // 5, len(places)))
    for number, place in enumerate(places):
        path = folder / "files" / f"indsatser {place.name_da} 2016K2.csv"
        write(path, measures(people[number :: len(places)], rows // len(places)))


def plain_load(path: Path) -> float:
    """Return the seconds DuckDB needs to load the file as text into a file database."""
    from transforms.warehouse import Warehouse, quote_literal

    started = time.perf_counter()
    with Warehouse.open(path.with_suffix(".duckdb"), threads=2) as warehouse:
        source = f"read_csv({quote_literal(str(path))}, delim = ';', all_varchar = true, header = true, quote = '')"
        warehouse.execute(f"CREATE TABLE t AS SELECT * FROM {source}")
    return time.perf_counter() - started


def receive(folder: Path, files: list[Path]) -> None:
    """Receive the files together in this process and print rows, rejected, seconds, CPU seconds and peak memory."""
    from flows.deliveries.intake import deliver
    from flows.deliveries.keys import keygen

    keygen(folder / "k")
    started, started_cpu = time.perf_counter(), time.process_time()
    receipts = deliver(files, "840", folder / "data", folder / "k", received_at=datetime(2016, 4, 1, tzinfo=UTC))
    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    assert all(receipt.rows_in == receipt.rows_accepted + receipt.rows_rejected for receipt in receipts)
    rows, rejected = (sum(getattr(r, name) for r in receipts) for name in ("rows_in", "rows_rejected"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{rows};{rejected};{seconds:.2f};{cpu:.2f};{peak}", flush=True)


@dataclass(frozen=True)
class Measured:
    """What one reception took: rows in and rejected, seconds, seconds of a plain load, CPU seconds, peak megabytes."""

    rows: int
    rejected: int
    seconds: float
    plain_load: float
    cpu: float
    peak_mb: int

    @property
    def speed(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


def measure(folder: Path, cases_rows: int, measures_rows: int) -> Measured:
    """Write both files, load them plainly, and receive them in a process of its own."""
    people = cprs(int(cases_rows * 1.1))[:cases_rows]
    writers: dict[str, Callable[[], Iterator[list[str]]]] = {
        "sager_2016K1": lambda: cases(people),
        "indsatser_2016K1": lambda: measures(people, measures_rows),
    }
    files = [folder / f"{name}.csv" for name in writers]
    for path, make in zip(files, writers.values(), strict=True):
        write(path, make())
    floor = sum(plain_load(path) for path in files)
    command = [sys.executable, "-m", "tests.benchmarks.bench_deliveries", "--receive", *map(str, files)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows, rejected, seconds, cpu, peak = said.splitlines()[-1].split(";")
    return Measured(int(rows), int(rejected), float(seconds), floor, float(cpu), int(peak))


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; exit code 1 when slower than the target or above 2 GB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--measures", type=int, default=5_000_000)
    parser.add_argument("--receive", nargs="*", type=Path)
    options = parser.parse_args(argv)
    if options.receive:
        receive(options.receive[0].parent, options.receive)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(Path(temporary), options.cases, options.measures)
    print(
        f"{found.rows:,} rows ({found.rejected:,} rejected) in {found.seconds} s ({found.cpu} CPU s): "
        f"{found.speed:,.0f} rows/s, {found.seconds / found.plain_load:.1f} x plain load, "
        f"peak memory {found.peak_mb:,} MB"
    )
    return 0 if found.speed >= TARGET_ROWS_PER_SECOND and found.peak_mb < 2048 else 1


if __name__ == "__main__":
    sys.exit(main())

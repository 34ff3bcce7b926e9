"""Measure steps against each other: interleaved rounds, each step in a fresh process, ratios of one round's times.

A step is a function `module:name` that takes the folder of the prepared input, does what is not to be timed (imports,
opening) and returns the work to be timed. Ratios are taken within a round, since a shared machine drifts between them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from importlib.metadata import version
from math import isnan
from pathlib import Path
from statistics import median
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent.parent
MB = 1024 * 1024


@dataclass(frozen=True)
class Step:
    """One way of doing the work.

    `share` is the part of the rows it is given; its time is scaled up accordingly unless `scaled` is false.
    """

    name: str
    function: str
    share: float = 1.0
    scaled: bool = True
    quick: bool = True

    @property
    def factor(self) -> float:
        """Return by how much its time is divided."""
        return self.share if self.scaled else 1.0


@dataclass(frozen=True)
class Sample:
    """One timing: wall seconds, CPU seconds of all threads, highest memory in MB, and what the work returned."""

    seconds: float
    cpu: float
    peak_mb: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bound:
    """What must hold: `step` against `against` in time (at most `limit` times), or without `against` its `what`."""

    step: str
    limit: float
    against: str | None = None
    what: Literal["peak_mb", "seconds"] = "peak_mb"

    def text(self) -> str:
        """Return the bound in words."""
        if self.against is None and self.what == "seconds":
            return f"«{self.step}» takes at most {self.limit:g} s"
        if self.against is None:
            return f"«{self.step}» peaks at most at {self.limit:,.0f} MB"
        if self.limit < 1:
            return f"«{self.step}» is at least {1 / self.limit:.3g} times as fast as «{self.against}»"
        return f"«{self.step}» takes at most {self.limit:g} times «{self.against}»"


@dataclass(frozen=True)
class Benchmark:
    """Steps over one prepared input; times are shown relative to the first step.

    Without `quick_rows` it is left out of the quick mode. `runs` caps the rounds of what takes minutes.
    """

    name: str
    title: str
    prepare: str
    steps: tuple[Step, ...]
    bounds: tuple[Bound, ...] = ()
    full_rows: int = 0
    quick_rows: int = 0
    runs: int | None = None


class StepFailed(Exception):
    """A step ended badly; the message holds what it said."""


def measure(benchmark: Benchmark, folder: Path, rows: int, runs: int) -> dict[str, list[Sample]]:
    """Prepare the input once, then run every step `runs` times, round by round; return step name -> samples."""
    in_child(benchmark.prepare, folder, rows)
    samples: dict[str, list[Sample]] = {step.name: [] for step in benchmark.steps}
    for _ in range(runs):
        for step in benchmark.steps:
            sample = in_child(step.function, folder, int(rows * step.share))
            scaled = replace(sample, seconds=sample.seconds / step.factor, cpu=sample.cpu / step.factor)
            samples[step.name].append(scaled)
    return samples


def in_child(function: str, folder: Path, rows: int) -> Sample:
    """Run one step in a process of its own; StepFailed with its last words when it fails."""
    command = [sys.executable, "-m", "tests.benchmarks.harness", function, str(folder), str(rows)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise StepFailed(f"{function}: {done.stderr.strip()[-2000:]}")
    return Sample(**json.loads(done.stdout.strip().splitlines()[-1]))


def ratio(samples: Mapping[str, Sequence[Sample]], step: str, against: str) -> float:
    """Return the median of the rounds' ratios of wall time."""
    pairs = zip(samples[step], samples[against], strict=True)
    return median(one.seconds / other.seconds for one, other in pairs)


def middle(samples: Sequence[Sample]) -> Sample:
    """Return the medians of the samples, and the last one's facts."""
    return Sample(
        median(s.seconds for s in samples), median(s.cpu for s in samples), median(s.peak_mb for s in samples),
        samples[-1].facts,
    )  # fmt: skip


def value_of(bound: Bound, samples: Mapping[str, Sequence[Sample]]) -> float:
    """Return the measured ratio, memory or time a bound speaks of."""
    if bound.against is None:
        found = middle(samples[bound.step])
        return found.seconds if bound.what == "seconds" else found.peak_mb
    return ratio(samples, bound.step, bound.against)


def table(benchmark: Benchmark, samples: Mapping[str, Sequence[Sample]], *, judged: bool) -> tuple[str, bool]:
    """Return the Markdown table of one benchmark with its bounds, and whether all of them hold."""
    first = benchmark.steps[0].name
    lines = [f"### {benchmark.name}: {benchmark.title}", "", "| step | seconds | x | CPU s | peak MB | |"]
    lines.append("|---|---:|---:|---:|---:|---|")
    for step in benchmark.steps:
        found = middle(samples[step.name])
        notes = [
            f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}" for key, value in found.facts.items()
        ]
        if step.factor != 1:
            notes.insert(0, f"measured on {step.share:.2%} of the rows, scaled")
        lines.append(
            f"| {step.name} | {found.seconds:.2f} | {ratio(samples, step.name, first):.2f} | {_cpu(found)} "
            f"| {found.peak_mb:.0f} | {', '.join(notes)} |"
        )
    holds = True
    if judged and benchmark.bounds:
        lines += ["", "| bound | measured | holds |", "|---|---:|---|"]
        for bound in benchmark.bounds:
            value = value_of(bound, samples)
            kept = value <= bound.limit
            holds = holds and kept
            unit = "" if bound.against else " s" if bound.what == "seconds" else " MB"
            shown = f"{1 / value if bound.limit < 1 else value:.{0 if unit == ' MB' else 2}f}{unit}"
            lines.append(f"| {bound.text()} | {shown} | {'yes' if kept else '**NO**'} |")
    return "\n".join(lines) + "\n", holds


def _cpu(sample: Sample) -> str:
    return "" if isnan(sample.cpu) else f"{sample.cpu:.2f}"


def machine() -> str:
    """Return one line about the machine and the versions that matter."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MB / 1024
    names = ("duckdb", "pandas", "polars", "great-expectations", "prefect")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB; Python {platform.python_version()}; "
        f"{', '.join(f'{name} {version(name)}' for name in names)}; load average at the start {load}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def peak_mb() -> float:
    """Return the highest memory of this process so far.

    The kernel's own figure where there is one: `ru_maxrss` begins at what the parent process had used.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work: Callable[[], Any]) -> Sample:
    """Run the work once and return its timing; a mapping it returns becomes the facts.

    A fact called `seconds`, `cpu` or `peak_mb` replaces what was measured around it (for work in other processes).
    """
    start, cpu = time.perf_counter(), time.process_time()
    found = work()
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    facts = dict(found) if isinstance(found, Mapping) else {}
    return Sample(
        facts.pop("seconds", seconds), facts.pop("cpu", used), max(facts.pop("peak_mb", 0.0), peak_mb()), facts
    )


def main() -> None:
    """Run one step or one preparation (which returns nothing to time) and print its sample as JSON."""
    module, name = sys.argv[1].split(":")
    step = getattr(import_module(module), name)
    work = step(Path(sys.argv[2]), int(sys.argv[3]))
    sample = timed(work) if callable(work) else Sample(0.0, 0.0, 0.0)
    print(json.dumps(asdict(sample)))


if __name__ == "__main__":
    main()

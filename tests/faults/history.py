"""What the order of things must not change: arrivals, redeliveries, builds in between, pruning."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.run import night
from flows.run.night import build_step
from flows.run.record import RunInfo
from flows.settings import Settings
from flows.store import baselines
from flows.store import builds as store_builds
from flows.store.exports import export_parquet
from flows.store.snapshots import SnapshotStore
from tests.faults.machine import changed_extracts
from tests.faults.tally import Tally
from tests.fixtures.world import run_from
from transforms.catalogue import load_catalogue

START = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES = ("statbank_aulkp01", "statbank_folk1a", "statbank_folk1am")


def revision(extracts: Path, folder: Path, source: str, number: int) -> Path:
    """Return an extract in its n-th revision: persons moved from one municipality to its neighbour, rates shifted."""
    path = folder / f"{source}-{number}.csv"
    if path.is_file():
        return path
    lines = (extracts / f"{source.removeprefix('statbank_')}.csv").read_text(encoding="utf-8").splitlines()
    for place, line in enumerate(lines):
        keys, value = line.rsplit(";", 1)
        if source == "statbank_aulkp01" and line.startswith(("101;TOT;TOT;", "147;TOT;TOT;")):
            lines[place] = f"{keys};{float(value) + number / 10:.1f}"
        elif source == "statbank_folk1am" and line.startswith(("101;", "147;")):
            lines[place] = f"{keys};{int(value) + (number if line.startswith('101') else -number)}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def receive(settings: Settings, path: Path, source: str, moment: datetime) -> None:
    SnapshotStore(settings.snapshots).add(
        source,
        {f"{source.removeprefix('statbank_')}.csv": (path, "csv")},
        origin="sample",
        synthetic=True,
        retrieved_at=moment,
    )


def replay_equals_increments(folder: Path, extracts: Path, arrivals: list[tuple[int, int]], builds: set[int]) -> bool:
    """Tell whether the mart after arrivals with builds between them is that of one build from all arrivals.

    An arrival is (source number, revision); the first three bring every source. `builds` are the arrivals after
    which a build is published.
    """
    wanted = [(source, 0) for source in range(len(SOURCES))] + arrivals
    hashes = []
    for name, between in (("increments", builds), ("replay", set[int]())):
        shutil.rmtree(folder / name, ignore_errors=True)
        settings = Settings(data=folder / name, threads=1)
        for number, (source, version) in enumerate(wanted):
            path = revision(extracts, folder / "revisions", SOURCES[source], version)
            receive(settings, path, SOURCES[source], START + timedelta(hours=number))
            if number - len(SOURCES) in between:
                publish_now(settings)
        hashes.append(publish_now(settings))
    return hashes[0] == hashes[1]


def publish_now(settings: Settings) -> dict[str, str]:
    """Build and publish without checks of the night; return the hashes of the exports."""
    run = RunInfo.start(settings, "sample")
    candidate = build_step(settings, load_catalogue(), run, force=True)
    made = store_builds.publish(settings, candidate.path, run.run_id, candidate.release)
    exported = export_parquet(made.path, settings.root / ".compared")
    # What changed since earlier publications is the one table that tells of them.
    return {name: digest for name, digest in exported.items() if not name.startswith("meta.revision")}


def random_arrivals(folder: Path, extracts: Path, times: int, seed: int = 17) -> Tally:
    """Compare increments and replay for random orders of revisions and redeliveries."""
    tally = Tally("increments against replay")
    dice = random.Random(seed)
    for number in range(times):
        arrivals = [(dice.randrange(3), dice.randrange(4)) for _ in range(dice.randint(1, 6))]
        builds = {place for place in range(len(arrivals)) if dice.random() < 0.4}
        if replay_equals_increments(folder / "arrivals", extracts, arrivals, builds):
            tally.survive()
        else:
            tally.fail(f"case {number}: {arrivals}, built after {sorted(builds)}", wrong=True)
    return tally


def baseline_outlives_pruning(folder: Path, base: Path, origin: Path, runs: int = 4) -> Tally:
    """Freeze, then publish and prune: the baseline's build and snapshots stay, and it can be built again."""
    tally = Tally("pruning against baselines")
    data = folder / "frozen"
    shutil.copytree(base, data, symlinks=True)
    settings = Settings(data=data, threads=1, keep_builds=1, keep_snapshots=1)
    frozen = baselines.freeze(settings, "nulpunkt")
    changed = origin
    for number in range(runs):
        changed = changed_extracts(folder / f"changed-{number}", changed)
        run_from(settings, changed)
    store = SnapshotStore(settings.snapshots)
    kept = {snapshot.id for source in store.sources() for snapshot in store.of(source)}
    checks = {
        "the build of the baseline was pruned": frozen.manifest["run_id"]
        in {b.run_id for b in store_builds.builds(settings)},
        "a snapshot of the baseline was pruned": set(frozen.manifest["release"]["snapshots"].values()) <= kept,
        "nothing was pruned": len(store.of("statbank_aulkp01")) < runs + 1,
        "the baseline builds to other bytes": all(night.rebuild(settings, "nulpunkt").values()),
    }
    for complaint, good in checks.items():
        if good:
            tally.survive()
        else:
            tally.fail(complaint, wrong=True)
    return tally


def as_of_takes_what_was_known(folder: Path, extracts: Path) -> Tally:
    """Build as of each day of a history and compare with what had been received by then."""
    tally = Tally("as-of builds")
    settings = Settings(data=folder / "as-of", threads=1)
    history = [(0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (0, 2)]
    for day, (source, version) in enumerate(history):
        path = revision(extracts, folder / "revisions", SOURCES[source], version)
        receive(settings, path, SOURCES[source], START + timedelta(days=day))
    store = SnapshotStore(settings.snapshots)
    for day in range(2, len(history)):
        moment = START + timedelta(days=day, hours=12)
        run = RunInfo.start(settings, "sample", moment)
        candidate = build_step(settings, load_catalogue(), run, force=True)
        wanted = {
            name: [s.id for s in store.of(name) if s.manifest.retrieved_at < moment.isoformat()][-1] for name in SOURCES
        }
        if candidate.release["snapshots"] == wanted and not candidate.stops:
            tally.survive()
        else:
            tally.fail(f"as of {moment:%d %B}: {candidate.release['snapshots']}, {candidate.stops[:1]}", wrong=True)
    return tally

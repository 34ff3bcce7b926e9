"""How things stand in one data folder, as plain values: for `status`, `doctor` and whatever watches from outside."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer
from cronsim import CronSim, CronSimError

from flows.cli.console import DataOption, JsonOption, answer, print_json, print_rows, say
from flows.orchestration.serve import served
from flows.run import ages as run_ages
from flows.run import record as run_record
from flows.run.record import command
from flows.settings import ROOT, Settings, settings_from
from flows.store import baselines
from flows.store.builds import builds, current, is_gone, prepare_folder, published_release, readable, target_of
from flows.store.snapshots import SnapshotStore
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused, KommunekortError
from transforms.periods import COPENHAGEN, age_in_days

# What can be wrong with the installation, each fault with its cure in one line.


PYTHON = (3, 11)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: what was looked at, what was found, and what to do."""

    check: str
    found: str
    cure: str

    @classmethod
    def of(cls, check: str, error: KommunekortError) -> Fault:
        """Return the fault that an error tells of, whose last words are the cure."""
        found, _, cure = str(error).partition("; ")
        return cls(check, found, cure)


def check_python(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the interpreter is not the one the wheels are locked for."""
    if sys.version_info[:2] != PYTHON:
        running = ".".join(map(str, sys.version_info[:3]))
        yield Fault("python", f"this is Python {running}, not 3.11", "make PYTHON=/path/to/python3.11 setup")


def check_requirements(settings: Settings) -> Iterator[Fault]:
    """Yield a fault per requirement of the program that is absent or outside its bounds (fastapi, SQLAlchemy, …)."""
    from packaging.requirements import Requirement

    try:
        wanted = metadata.requires("kommunekort") or []
    except metadata.PackageNotFoundError:
        yield Fault("versions", "kommunekort itself is not installed", "make setup")
        return
    for text in wanted:
        requirement = Requirement(text)
        version = installed(requirement.name)
        if version is None:
            yield Fault("versions", f"{requirement.name} is not installed", "make setup")
        elif not requirement.specifier.contains(version, prereleases=True):
            cure = f"{ROOT}/.venv/bin/python -m pip install --require-hashes --no-deps -r requirements.lock"
            yield Fault("versions", f"{requirement.name} {version} is outside {requirement.specifier}", cure)


def check_lock_file(settings: Settings) -> Iterator[Fault]:
    """Yield a fault naming the installed versions that differ from requirements.lock."""
    lock = ROOT / "requirements.lock"
    if not lock.is_file():
        return
    differing = [
        f"{name} {version} (locked {locked})"
        for name, locked in locked_versions(lock).items()
        if (version := installed(name)) is not None and version != locked
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        yield Fault("lock", f"not as locked: {', '.join(differing[:3])}{more}", "rm .venv/.installed && make setup")


def installed(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def locked_versions(lock: Path) -> dict[str, str]:
    """Return name -> version of a requirements file, for the lines that hold on this machine."""
    from packaging.requirements import Requirement

    found = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        text = line.split(" --hash")[0].rstrip(" \\")
        if not text or text[0] in " #-":
            continue
        requirement = Requirement(text)
        versions = [clause.version for clause in requirement.specifier if clause.operator == "=="]
        if versions and (requirement.marker is None or requirement.marker.evaluate()):
            found[requirement.name] = versions[0]
    return found


def check_extension(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the wheel that encrypts the restricted database is absent or of another DuckDB."""
    wheel, engine = installed("duckdb-extension-httpfs"), installed("duckdb")
    if wheel != engine:
        told = f"the extension wheel httpfs is {wheel or 'absent'}, DuckDB is {engine or 'absent'}"
        yield Fault("extension", f"{told}: deliveries cannot be encrypted", "make setup")


def check_prefect(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when Prefect cannot be imported, or PREFECT_API_URL names a server that does not answer."""
    from flows.orchestration.server import check_server

    try:
        import prefect  # noqa: F401
    except Exception as error:
        told = f"it cannot be imported ({type(error).__name__})"
        yield Fault("prefect", told, "make setup; until then `run --plain` works")
    try:
        check_server()
    except KommunekortError as error:
        yield Fault.of("prefect server", error)


def check_sources_live(settings: Settings) -> Iterator[Fault]:
    """Yield a fault per public API that does not answer. Goes out on the network: only when asked."""
    import httpx

    for name, url in (("StatBank", settings.statbank_url), ("Jobindsats", settings.jobindsats_url)):
        try:
            status = httpx.get(url, timeout=10.0, follow_redirects=True).status_code
        except httpx.HTTPError as error:
            yield Fault("sources", f"{name} does not answer at {url} ({type(error).__name__})", "see the network")
            continue
        if status >= 500:
            yield Fault("sources", f"{name} answers {status} at {url}", "wait; the last snapshots are kept meanwhile")


# What can be wrong with the data folder, each fault with its cure in one line; and all checks together.


MIN_FREE_BYTES = 2_000_000_000
"""A full build of the sample, its exports and its spill files take under one gigabyte."""
LONG_RUN_HOURS = 6
Check = Callable[[Settings], Iterator[Fault]]


def check_folder(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the data folder cannot be written or its disk is nearly full."""
    try:
        prepare_folder(settings.root)
    except KommunekortError as error:
        found, _, cure = str(error).partition("; ")
        yield Fault("data folder", found, cure)
        return
    free = shutil.disk_usage(settings.root).free
    if free < MIN_FREE_BYTES:
        yield Fault("disk", f"{free / 1e9:.1f} GB free under {settings.root}", "free space, or set KOMMUNEKORT_DATA")


def check_modes(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when person-level data or the key can be read by others."""
    key = settings.key_file.expanduser()
    for path, mode in ((settings.restricted, 0o700), (key, 0o600)):
        if os.access(path, os.F_OK) and (found := path.stat().st_mode & 0o777) & ~mode:
            yield Fault("modes", f"{path} has mode {found:04o}", f"chmod {mode:04o} {path}")


def check_drop_folder(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when deliveries could not be fetched from the drop folder, or others could."""
    folder = settings.drop_folder
    if folder is None:
        return
    path = folder.expanduser()
    if not path.is_dir():
        yield Fault("drop folder", f"{path} is no folder", "make it, or set KOMMUNEKORT_DROP_FOLDER to another")
        return
    if not os.access(path, os.R_OK | os.X_OK):
        yield Fault("drop folder", f"{path} cannot be read", f"give user {os.getuid()} access to it")
    if path.resolve().is_relative_to(settings.root):
        yield Fault("drop folder", f"{path} lies inside the data folder", "set KOMMUNEKORT_DROP_FOLDER to one outside")
    if path.stat().st_mode & 0o007:
        yield Fault("drop folder", f"{path} is open to every user of the machine", f"chmod o= {path}")
    if not os.access(settings.key_file.expanduser(), os.F_OK):
        yield Fault("drop folder", "deliveries may come and there is no key", "`kommunekort keygen`")


def check_work(settings: Settings) -> Iterator[Fault]:
    """Yield a fault for a run that writes too long, and for what a killed run left behind."""
    pid = lock_holder(settings.root)
    if pid is not None:
        started = next((record.get("started_at") for record in run_record.unfinished(settings)), None)
        hours = (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds() / 3600 if started else 0
        if hours > LONG_RUN_HOURS:
            told = f"process {pid} has been writing for {hours:.0f} hours"
            yield Fault("lock", told, f"see what it does; kill {pid}")
        return
    if settings.candidate.exists():
        yield Fault(
            "leftovers", f"{settings.work} is what a killed run left", f"`{command(settings, 'run')}` clears it"
        )
    for part in settings.snapshots.glob("*/.part-*"):
        yield Fault("leftovers", f"{part} is a snapshot that was never finished", f"rm -r {part}")


def lock_holder(root: Path) -> int | None:
    """Return the process that holds the writer lock, or None. The lock itself is not tried: a run could miss it."""
    lock, table = root / ".lock", Path("/proc/locks")
    if not lock.exists() or not table.exists():
        return None
    inode = str(lock.stat().st_ino)
    for line in table.read_text(encoding="ascii").splitlines():
        words = line.split()
        if "FLOCK" in words and words[-3].rpartition(":")[2] == inode:
            return int(words[-4])
    return None


def check_published(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the link analysts open is broken, or what it points at cannot be read."""
    from transforms.warehouse import DatabaseError, Warehouse

    again = f"`{command(settings, 'run', '--force')}`"
    if target_of(settings.published) is None:
        if settings.published.exists():
            yield Fault("published", f"{settings.published} is no link", f"move it away, then {again}")
        return
    now = current(settings)
    if now is None:
        yield Fault("published", f"{settings.published} points at nothing", f"`kommunekort rollback`, or {again}")
        return
    damage = now.damage()
    try:
        with readable(now) as database, Warehouse.open(database, read_only=True) as warehouse:
            warehouse.scalar("SELECT count(*) FROM meta.run")
    except (DatabaseError, KommunekortError):
        yield Fault("published", f"{now.path} cannot be read", f"`kommunekort rollback`, then {again}")
    else:
        if damage is not None:
            yield Fault("published", damage, f"`{command(settings, 'run')}` builds it again")
    for kept in builds(settings):
        if kept.run_id != now.run_id and (damage := kept.damage()) is not None:
            yield Fault("kept builds", damage, f"rm {kept.path}, when no rollback to it is wanted")


def check_snapshots(settings: Settings) -> Iterator[Fault]:
    """Yield a fault per source whose newest snapshot has changed since it was received."""
    store = SnapshotStore(settings.snapshots)
    for source in store.sources():
        try:
            if newest := store.newest(source):
                newest.verify()
        except KommunekortError as error:
            yield Fault.of("snapshots", error)


def check_state(settings: Settings) -> Iterator[Fault]:
    """Yield what `status` finds wrong: alarm, ages of sources and publication, schedule."""

    try:
        faults = status_facts(settings)["faults"]
    except KommunekortError as error:
        faults = [str(error)]
    for fault in faults:
        found, _, cure = str(fault).rpartition("; ")
        yield Fault("state", found or cure, cure if found else "kommunekort status")


CHECKS: dict[str, Check] = {
    "Python": check_python,
    "required versions": check_requirements,
    "locked versions": check_lock_file,
    "encryption extension": check_extension,
    "Prefect": check_prefect,
    "data folder and disk": check_folder,
    "file modes": check_modes,
    "drop folder": check_drop_folder,
    "lock and leftovers": check_work,
    "published database": check_published,
    "snapshots": check_snapshots,
    "ages, alarm and schedule": check_state,
}


def examine(settings: Settings, *, live: bool = False) -> dict[str, list[Fault]]:
    """Return check -> its faults (none: healthy)."""
    checks = {**CHECKS, **({"sources on the network": check_sources_live} if live else {})}
    return {name: list(check(settings)) for name, check in checks.items()}


# doctor: what is wrong with the installation and the data folder, and how to cure it.


def doctor(
    data: DataOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the public APIs too whether they answer.")] = False,
    origin: Annotated[
        Literal["live", "sample"] | None,
        typer.Option("--from", help="Look at the registers' own descriptions instead: what a fetch would meet."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for everything that can be wrong; exit code 1 when anything is. Example: kommunekort doctor --from live

    With --from one line per source and finding, each with its cure; exit code 2 when one brings not what it should.
    """
    if origin is not None:
        tell_preflight(settings_from(data), origin, as_json=as_json)
        return
    found = examine(settings_from(data), live=live)
    if as_json:
        print_json({check: [asdict(fault) for fault in faults] for check, faults in found.items()})
    else:
        for check, faults in found.items():
            lines = [f"FAULT {fault.check}: {fault.found}; cure: {fault.cure}" for fault in faults]
            for line in lines or [f"ok    {check}"]:
                say(line)
    if any(found.values()):
        raise typer.Exit(1)


SEARCH = timedelta(days=366)


def next_run(cron: str, timezone: str, after: datetime) -> datetime | None:
    """Return the first moment after `after` that a five-field cron line names, in `timezone`.

    None when there is none within a year, or when the line uses more than numbers, `*`, lists, ranges and steps.
    """
    if len(cron.split()) != 5 or not re.fullmatch(r"[\d\s*,/-]+", cron):
        return None
    zone = ZoneInfo(timezone)
    start = after.astimezone(zone)
    # By the clock on the wall from the day's beginning: the hour that comes twice is neither before nor after itself.
    eve = start.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(seconds=1)
    try:
        # Through UTC and back, as Prefect does: 02:30 on the night the clock moves on becomes 03:30.
        moments = (there.replace(tzinfo=zone).astimezone(UTC) for there in CronSim(cron, eve))
        found = next((moment for moment in moments if moment > after), None)
    except CronSimError:
        return None
    return found.astimezone(zone) if found and found - after < SEARCH else None


LAST_RUNS = 5


def status_facts(settings: Settings, now: datetime | None = None) -> dict[str, Any]:
    """Return what is published, how old it and its sources are at `now`, the last runs, and every fault in a sentence.

    Sources are judged as the publication knows them: the newest snapshot of its kind (synthetic or real), and for a
    publication as of a day, on that day.
    """
    now = now or datetime.now(UTC)
    build = current(settings)
    release = published_release(settings) or {}
    good = run_record.last_good(settings)
    published_at = run_record.moment_of(build.run_id) if build else None
    confirmed = (good.get("ended_at") if good else None) or published_at
    sources = [source for source in source_facts(settings, now) if source["status"] != "not fetched"]
    states = Counter(source["status"] for source in sources)
    facts: dict[str, Any] = {
        "published": str(build.path) if build else None,
        "run_id": build.run_id if build else None,
        "is_synthetic": bool(release.get("is_synthetic")),
        "published_at": published_at.isoformat() if published_at else None,
        "publication_age_days": age_in_days(published_at, now) if published_at else None,
        "confirmed_at": confirmed,
        "max_publication_age_days": settings.max_publication_age_days,
        "last_good_run": good["run_id"] if good else None,
        "builds": [kept.run_id for kept in builds(settings)],
        "sources": sources,
        "sources_ok": states["ok"],
        "sources_old": states["too old"],
        "sources_missing": states["missing"],
        "last_runs": [run_line(record) for record in islice(run_record.records(settings), LAST_RUNS)],
        "damage": build.damage() if build else lost_publication(settings, good),
        "alarm": run_record.standing_alarm(settings),
        "schedule": schedule_facts(settings, now),
    }
    return {**facts, "faults": list(faults_of(settings, facts, now))}


def source_facts(settings: Settings, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return the state of every source as the publication knows it.

    The newest snapshot of its kind (synthetic or real) counts, and for a publication as of a day, on that day. Before
    the first publication every snapshot does.
    """
    release = published_release(settings) or {}
    as_of = datetime.fromisoformat(release["as_of"]) if release.get("as_of") else None
    synthetic = release.get("is_synthetic")
    store = SnapshotStore(settings.snapshots)
    at = as_of or now or datetime.now(UTC)
    rows = run_ages.source_states(load_catalogue().sources, store, at, as_of=as_of, synthetic=synthetic)
    taken_back = release.get("taken_back") or {}
    return [{**row, "status": "newest not used"} if row["source_id"] in taken_back else row for row in rows]


def lost_publication(settings: Settings, good: dict[str, Any] | None) -> str | None:
    """Return one sentence when something was published here, or stands in its place, and no build is."""
    was_published = good or builds(settings) or os.path.lexists(settings.published)
    return f"{settings.published} does not lead to a build" if was_published else None


def clock_faults(facts: dict[str, Any], now: datetime) -> list[str]:
    """Return one sentence when something known here was made later than it is now."""
    made = {f"run {run['run_id']}": run_record.moment_of(run["run_id"]) for run in facts["last_runs"]}
    made |= {f"the snapshot of {row['source_id']}": row["received"] for row in facts["sources"] if row["received"]}
    late = [name for name, moment in made.items() if moment is not None and run_ages.from_the_future(moment, now)]
    clock = now.astimezone(COPENHAGEN).isoformat(" ", "minutes")  # with its offset: 02:30 comes twice a year
    return [
        f"{name} was made later than this computer's clock tells ({clock}); "
        "the clock was wrong then or is wrong now: set it, ages count from it"
        for name in late[:1]
    ]


def run_line(record: dict[str, Any]) -> dict[str, Any]:
    """Return what is shown of a run; one that says `running` without a process has crashed."""
    lost = record["status"] == "running" and is_gone(record.get("process") or {})
    return {
        **{key: record.get(key) for key in ("run_id", "origin", "message")},
        "status": "crashed" if lost else record["status"],
    }


def schedule_facts(settings: Settings, now: datetime) -> dict[str, Any] | None:
    """Return the schedule kept here, by whom, and the next run; None when it is not set up."""
    note = served(settings)
    if note is None:
        return None
    due = next_run(note["cron"], note["timezone"], now)
    return {
        "cron": note["cron"],
        "timezone": note["timezone"],
        "is_served": not note["is_gone"],
        "served_since": note["started_at"],
        "kept_by": note.get("kept_by", "kommunekort serve"),
        "next_run": due.isoformat() if due else None,
    }


def faults_of(settings: Settings, facts: dict[str, Any], now: datetime) -> list[str]:
    """Return one sentence, with its cure, per thing that is wrong."""
    faults = []
    cure = command(settings, "run")
    if facts["alarm"] is not None:
        told = run_record.sentence(facts["alarm"]).removeprefix("kommunekort: ")  # whoever prints a fault says that
        faults.append(f"{told}; run `{cure}` when its cause is gone")
    elif facts["last_runs"] and facts["last_runs"][0]["status"] == "crashed":
        run_id = facts["last_runs"][0]["run_id"]
        faults.append(f"run {run_id} ended without a word (killed, or the machine went down); run `{cure}`")
    stale = run_ages.publication_fault(facts["confirmed_at"], settings.max_publication_age_days, now, cure)
    if stale is not None and facts["published"]:
        faults.append(stale)
    faults += [
        f"{source['source_id']}: the newest snapshot is {source['age_days']} days old, more than "
        f"{source['max_age_days']}; fetch it again, or ask its producer"
        for source in facts["sources"]
        if source["status"] == "too old"
    ]
    ours = settings.root.exists() and settings.root.stat().st_uid == os.getuid()
    faults += [
        f"{source['source_id']}: the newest snapshot cannot be read; "
        + (f"run `{cure}`, which fetches it anew" if ours else "ask again as the user who runs the nights")
        for source in facts["sources"]
        if source["status"] == "unreadable"
    ]
    if facts["damage"] is not None:
        faults.append(f"{facts['damage']}; run `{cure}`, which builds the publication again")
    faults += clock_faults(facts, now)
    faults += [
        f"{path}: the baseline cannot be read, so nothing is pruned; restore it from backup"
        for path in baselines.unreadable(settings)
    ]
    schedule = facts["schedule"]
    if schedule is not None and not schedule["is_served"]:
        faults.append(f"nobody keeps the schedule ({schedule['cron']}): `kommunekort serve` was killed; start it again")
    return faults


# sources, status: what is there, how fresh it is, and what is wrong.


def sources(
    data: DataOption = None,
    check: Annotated[bool, typer.Option("--check", help="Ask the live registers what has changed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the sources with their newest snapshot and its age. Example: kommunekort sources --check"""
    if check:
        tell_preflight(settings_from(data), "live", as_json=as_json)
        return
    rows = source_facts(settings_from(data))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("source_id", "producer", "frequency", "licence", "snapshot", "origin", "age_days", "status"))


def tell_preflight(settings: Settings, origin: Literal["live", "sample"], *, as_json: bool = False) -> None:
    """Print a line per finding of a look at the registers' own descriptions; DataRefused when a fetch would fail."""
    from flows.run.fetch import preflight

    found = preflight(settings, load_catalogue(), origin)
    marks = {"ok": "ok   ", "new": "NEW  ", "fault": "FAULT"}
    lines = (f"{marks[finding.level]} {finding.source_id}: {finding.text}" for finding in found)
    answer([asdict(finding) for finding in found], lines, as_json=as_json)
    faults = [finding for finding in found if finding.level == "fault"]
    if faults:
        at_fault = len({finding.source_id for finding in faults})
        told = f"{at_fault} of {len({finding.source_id for finding in found})} sources would not bring what they should"
        raise DataRefused(f"{told} (first {faults[0].source_id}: {faults[0].text})")


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Tell what is published, how old it is, the last runs and what is wrong (exit code 2 when anything is).

    Example: kommunekort status --json
    """
    told = status_facts(settings_from(data))
    if as_json:
        print_json(told)
    else:
        print_status(told)
    if told["faults"]:
        more = f" (and {len(told['faults']) - 1} more)" if len(told["faults"]) > 1 else ""
        raise DataRefused(f"{told['faults'][0]}{more}")


def print_status(told: dict[str, Any]) -> None:
    """Print what `status_facts` found."""
    from flows.store.exports import SYNTHETIC

    lines = [f"published: {told['published'] or 'nothing yet'}"]
    if told["is_synthetic"]:
        lines.append(SYNTHETIC)
    if told["published_at"]:
        confirmed = danish_minute(told["confirmed_at"])
        lines.append(f"published {told['publication_age_days']} days ago; last good run: {confirmed}")
    lines.append(
        f"sources: {told['sources_ok']} fresh, {told['sources_old']} too old, {told['sources_missing']} missing"
    )
    schedule = told["schedule"]
    if schedule is None:
        lines.append("schedule: not kept here (`kommunekort serve`, or cron)")
    else:
        coming = danish_minute(schedule["next_run"]) or "unknown"
        lines.append(f"schedule: {schedule['cron']} {schedule['timezone']}, next run {coming} ({schedule['kept_by']})")
    lines.append(f"kept builds: {', '.join(told['builds']) or 'none'}")
    for line in [*lines, *(f"FAULT: {fault}" for fault in told["faults"])]:
        say(line)
    aged = [source for source in told["sources"] if source["age_days"] is not None]
    if aged:
        print_rows(aged, ("source_id", "age_days", "max_age_days", "status"))
    if told["last_runs"]:
        print_rows(told["last_runs"], ("run_id", "status", "origin", "message"))


def danish_minute(moment: str | None) -> str | None:
    """Return a moment told in UTC as Danish time to the minute; what is none stays as it is."""
    try:
        told = datetime.fromisoformat(str(moment))
    except ValueError:
        return moment
    return told.astimezone(COPENHAGEN).strftime("%Y-%m-%d %H:%M") + " (Danish time)" if told.tzinfo else moment

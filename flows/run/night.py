"""One night in order: fetch (deliveries beside it), build, validate, publish.

Every command and deployment goes a stretch of it: `run` the whole way, `build` from the snapshots at hand, `validate`
up to the verdict, `publish` from there on, `fetch` the beginning alone; a baseline is rebuilt by the build alone. How a
step is run is the caller's: in this process, or as a task of Prefect.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

from expectations.rules import blocking, verdict_sentence
from flows.deliveries.store import (
    FILE,
    TABLES,
    Known,
    delete_superseded,
    deliveries_in_force,
    forgotten_rows,
    newest_periods,
    open_deliveries,
    read_ledger,
    record_published,
)
from flows.run import ages, steps
from flows.run.build import (
    Candidate,
    build,
    describe,
    finish,
    import_ahead,
    keep_refused,
    nothing_to_wait_for,
    prepare_work,
    release_of,
)
from flows.run.fetch import fetch, receive
from flows.run.record import RunInfo, RunResult, begun_at, command, find_record, recorded
from flows.settings import Settings
from flows.store import baselines, builds, exports
from flows.store.baselines import Baseline, verify
from flows.store.builds import from_option, is_synthetic, last_release, published_release, refuse_invented_over_real
from flows.store.snapshots import Snapshot, SnapshotStore, own_folder, replace_synced
from transforms.catalogue import Catalogue, load_catalogue
from transforms.errors import DataRefused, KommunekortError, NothingNew, UsageError
from transforms.periods import is_period, parse_period, span
from transforms.tables import code_version
from transforms.warehouse import Warehouse

Step = Literal["fetch", "build", "validate", "publish"]
ORDER: tuple[Step, ...] = ("fetch", "build", "validate", "publish")
Made = TypeVar("Made")
Given = ParamSpec("Given")
Made_co = TypeVar("Made_co", covariant=True)


@dataclass(frozen=True)
class Asked:
    """What a run is asked for: a stretch of the night, and on which data."""

    origin: str
    first: Step = "fetch"
    last: Step = "publish"
    as_of: datetime | None = None
    only: Sequence[str] = ()
    force: bool = False
    again: bool = False
    period: str | None = None

    def covers(self, step: Step) -> bool:
        """Tell whether the step is on the stretch."""
        return ORDER.index(self.first) <= ORDER.index(step) <= ORDER.index(self.last)

    @property
    def is_watched(self) -> bool:
        """Tell whether the alarm tells of the run: who builds as of a day, or validates, sees how it ends."""
        return self.as_of is None and self.last != "validate"


class Beside(Protocol[Made_co]):
    """Work at hand beside the steps."""

    def done(self) -> bool:
        """Tell whether it has ended."""

    def result(self) -> Made_co:
        """Wait for its end; return what it made, or raise what it raised."""


class Doing(Protocol):
    """How the steps of a night are run."""

    def step(self, name: str, work: Callable[Given, Made]) -> Callable[Given, Made]:
        """Return the step as it is run: to its end, with what it makes or raises."""

    def beside(self, name: str, work: Callable[[], Made]) -> AbstractContextManager[Beside[Made]]:
        """Run a step beside the others; it has ended when the block has, however that ends."""


class InThisProcess:
    """Run the steps as they are."""

    def step(self, name: str, work: Callable[Given, Made]) -> Callable[Given, Made]:
        """Return the work itself."""
        return work

    @contextmanager
    def beside(self, name: str, work: Callable[[], Made]) -> Iterator[Beside[Made]]:
        """Run a step in a thread of its own."""
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(work)


def run(settings: Settings, asked: Asked, doing: Doing | None = None, result: RunResult | None = None) -> RunResult:
    """Go the stretch of the night that is asked for, and return how it ended; ledger and alarm tell the same.

    `result` is given by who must know it when the run is stopped. The caller holds the writer lock. Raises UsageError
    only for what comes before the ledger: invented data asked for over real ones, nothing to publish, a ledger that
    cannot be written.
    """
    result = result or new_result(settings, asked)
    refuse_invented_over_real(settings, result.run.origin, synthetic=result.release.get("is_synthetic"))
    try:
        with recorded(settings, result), steps.listening(Warnings(result)):
            go(settings, asked, result, doing or InThisProcess())
    except KommunekortError:
        if result.status == "running":  # not even entered in the ledger
            raise
    return result


@dataclass(frozen=True)
class Warnings(steps.Listener):
    """Notes in the record of a run what was not as it should be."""

    result: RunResult

    def warn(self, text: str) -> None:
        """Note a warning."""
        self.result.warnings.append(text)


def new_result(settings: Settings, asked: Asked) -> RunResult:
    """Return the beginning of a run; one that only publishes goes on with the run that was validated."""
    if asked.first == "publish":
        return validated(settings)
    return RunResult(RunInfo.start(settings, asked.origin, asked.as_of), is_watched=asked.is_watched)


def go(settings: Settings, asked: Asked, result: RunResult, doing: Doing) -> None:
    """Take the steps in order and write into `result` how far they came."""
    catalogue = load_catalogue()
    run = result.run
    mend(settings, fetching=asked.covers("fetch"))
    candidate = Candidate(waiting_candidate(settings), dict(result.release))
    with ExitStack() as at_hand:
        deliveries_in: Callable[[], None] = nothing_to_wait_for
        if asked.covers("fetch"):
            receiving = None
            if asked.covers("build"):
                receiving = at_hand.enter_context(doing.beside("deliver", lambda: receive(settings, run.origin)))
            result.fetched = doing.step("fetch", fetch)(
                settings, catalogue, asked.origin, asked.only, again=asked.again, period=asked.period
            )
            if receiving is None:
                result.status = "fetched" if result.fetched.new else "unconfirmed"
                result.message = result.fetched.sentence
                return
            deliveries_in = partial(wait_for_deliveries, result, receiving)
            if not receiving.done():
                import_ahead(lambda: not receiving.done())  # there will be something to build
        if asked.covers("build"):
            run = replace(run, told=result.fetched.told)
            result.ages = judge_ages(settings, catalogue, run)
            force = asked.force or asked.first == "build"
            candidate = doing.step("build", build_step)(
                settings, catalogue, run, force=force, deliveries_in=deliveries_in
            )
            describe(result, candidate)
            refuse_lost_deliveries(settings, candidate.release)
    if asked.covers("validate"):
        doing.step("validate", validate_step)(settings, candidate, run)
    if not asked.covers("publish"):
        result.database = str(keep_validated(settings, candidate))
        result.status = "validated"
        return
    steps.step("publish")
    result.database = str(doing.step("publish", publish_step)(settings, candidate, run).path)
    result.status = "published"


def mend(settings: Settings, *, fetching: bool) -> None:
    """Put in order what is damaged in the data folder and can be made again; every repair is a warning of the run."""
    for folder in (settings.builds, settings.snapshots):
        own_folder(folder)
    for told in builds.tidy(settings):
        steps.warn(told)
    if fetching:
        for told in SnapshotStore(settings.snapshots).set_damaged_aside():
            steps.warn(told)


def wait_for_deliveries(result: RunResult, receiving: Beside[dict[str, int]]) -> None:
    """Return when what is received beside the fetch is in, and note the verdicts."""
    steps.step("receive deliveries")
    result.receipts = receiving.result()


# What `validate` leaves for `publish`: a checked candidate, and the run it came from.


def write_docs(database: Path, folder: Path) -> Path:
    """Write Great Expectations' Data Docs of a validated database into a folder; return their front page."""
    from expectations import gx  # seconds

    return gx.write_docs(database, folder)


def waiting_candidate(settings: Settings) -> Path:
    """Return where a validated candidate waits for its publication."""
    return settings.root / "validated.duckdb"


def keep_validated(settings: Settings, candidate: Candidate) -> Path:
    """Lay a validated candidate aside for `publish`, and return where."""
    waiting = waiting_candidate(settings)
    candidate.path.replace(waiting)
    replace_synced(waiting.with_suffix(".json"), json.dumps(candidate.release))
    return waiting


def validated(settings: Settings) -> RunResult:
    """Return the run whose candidate waits for its publication; UsageError without one, or when it is outdated."""
    waiting = waiting_candidate(settings)
    facts = waiting.with_suffix(".json")
    again = f"run `{command(settings, 'validate')}`"
    if not waiting.is_file() or not facts.is_file():
        raise UsageError(f"there is no validated candidate; {again} first")
    try:
        release = json.loads(facts.read_text(encoding="utf-8"))
        run_id, origin, as_of = release["run_id"], release["origin"], _moment(release.get("as_of"))
        begun = begun_at(run_id)
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{facts}: cannot be read; {again} again") from None
    now = builds.current(settings)
    if now is not None and run_id < now.run_id:
        raise UsageError(
            f"the validated candidate is older than build {now.run_id}; "
            f"run `kommunekort validate {from_option(origin)}` again"
        )
    known = find_record(settings, run_id) or {}
    kept = {key: known[key] for key in ("counts", "tables", "rules", "ages") if key in known}
    return RunResult(RunInfo(run_id, begun, origin, as_of), release=release, **kept)


# The steps.


def choose_snapshots(
    settings: Settings, catalogue: Catalogue, origin: str, as_of: datetime | None
) -> dict[str, Snapshot]:
    """Return the newest snapshot of every source known by `as_of`; real and invented data are never mixed."""
    store, synthetic = SnapshotStore(settings.snapshots), is_synthetic(origin)
    found = {source: store.newest(source, as_of, synthetic) for source in catalogue.sources}
    return {source: snapshot for source, snapshot in found.items() if snapshot is not None}


def build_step(
    settings: Settings,
    catalogue: Catalogue,
    run: RunInfo,
    *,
    force: bool = False,
    deliveries_in: Callable[[], None] = nothing_to_wait_for,
) -> Candidate:
    """Build the candidate; NothingNew when snapshots, code and settings are those of the published build.

    `deliveries_in` returns when no delivery is being received any more. UsageError when invented data would be
    published over real ones.
    """
    refuse_invented_over_real(settings, run.origin)
    snapshots = choose_snapshots(settings, catalogue, run.origin, run.as_of)
    published = published_release(settings)
    refuse_loss(settings, catalogue, snapshots, run)
    now = builds.current(settings)
    damage = now.damage() if now is not None and not force else None
    if damage is not None:
        steps.warn(f"{damage}; the publication is built again")
    elif published is not None and not force:
        deliveries_in()
        if published.get("fingerprint") == release_of(settings, snapshots, run)["fingerprint"]:
            refuse_old(catalogue, snapshots, run)
            raise NothingNew(f"nothing new since build {published['run_id']}: same snapshots, code and settings")
    refuse_without_required(catalogue, snapshots, run)
    return build(settings, catalogue, snapshots, run, deliveries_in)


def refuse_without_required(catalogue: Catalogue, snapshots: Mapping[str, Snapshot], run: RunInfo) -> None:
    """Raise DataRefused when a required source has no snapshot at all: the mapping would be no mapping.

    A folder of files is what somebody chose: it gives the indicators it can carry.
    """
    if run.origin != "live" or not snapshots:  # without any, the build says why there is none
        return
    absent = [source.id for source in catalogue.sources.values() if source.required and source.id not in snapshots]
    if absent:
        raise DataRefused(
            f"nothing is published without {', '.join(absent)}: required, and never received; see why it was not "
            f"fetched, or set `required: false` in flows/sources/{absent[0]}.yml"
        )


def refuse_loss(settings: Settings, catalogue: Catalogue, snapshots: dict[str, Snapshot], run: RunInfo) -> None:
    """Raise DataRefused when what is published rests on a snapshot that is gone and nothing newer has come.

    Else the night after a loss would publish older figures, or none, as if they were news. Who builds as of a day asks
    for the past.
    """
    release = last_release(settings)
    if release is None or run.as_of is not None or release.get("as_of") is not None:
        return
    if bool(release.get("is_synthetic")) != is_synthetic(run.origin):
        return
    for source, known in sorted(release.get("snapshots", {}).items()):
        chosen = snapshots.get(source)
        if source in catalogue.sources and (chosen is None or chosen.id < known):
            told = "nothing of that source is left" if chosen is None else f"the newest left is {chosen.path.name}"
            raise DataRefused(
                f"{settings.snapshots / known}: what is published rests on this snapshot, which is gone, and {told}; "
                f"restore the folder from backup, or run `{command(settings, 'fetch', '--again')}`"
            )


def refuse_lost_deliveries(settings: Settings, release: dict[str, Any]) -> None:
    """Raise DataRefused when what is published rests on deliveries and their database is gone.

    Else the night after the loss would publish the mapping without them, as if nobody had delivered.
    """
    before = last_release(settings) or {}
    if before.get("deliveries") is None or release["deliveries"] is not None or release["as_of"] is not None:
        return
    database = settings.restricted / FILE
    if database.is_file() or bool(before.get("is_synthetic")) != release["is_synthetic"]:
        return
    raise DataRefused(
        f"{database}: what is published rests on deliveries, and their database is gone; restore it "
        "from backup, or deliver the files again (`kommunekort deliver FILE…`)"
    )


def refuse_old(catalogue: Catalogue, snapshots: dict[str, Snapshot], run: RunInfo) -> None:
    """Raise DataRefused when a source is too old: else "nothing new" night after night would hide a frozen source."""
    stops = blocking(ages.check_ages(catalogue.sources, snapshots, run.as_of or run.started_at))
    if stops:
        told = "; ".join(verdict_sentence(outcome) for outcome in stops[:3])
        raise DataRefused(f"nothing new, and what is published has aged: {told}")


def validate_step(settings: Settings, candidate: Candidate, run: RunInfo) -> None:
    """Record every rule's result in the candidate; DataRefused (and the candidate kept aside) when one stops."""
    try:
        finish(candidate, run)
    except DataRefused as refused:
        kept = keep_refused(settings, candidate)
        raise DataRefused(f"{refused}. The refused build is {kept}; its meta.validation tells all") from None


def publish_step(settings: Settings, candidate: Candidate, run: RunInfo) -> builds.Build:
    """Export, write the products and flip to the candidate; what no baseline needs of old builds and snapshots goes."""
    record_published(settings, candidate.release)
    build_made = builds.publish(
        settings,
        candidate.path,
        run.run_id,
        candidate.release,
        keep=kept_builds(settings),
        write_products=lambda path, build: write_products(settings, path, build, run),
    )
    waiting_candidate(settings).with_suffix(".json").unlink(missing_ok=True)
    prune(settings)
    return build_made


def write_products(settings: Settings, candidate: Path, build: builds.Build, run: RunInfo) -> None:
    """Write report and data package and, beside them in a process of its own, the workbook of a candidate."""
    from flows.report.build import build_report, find_chromium
    from flows.report.workbook import write_workbook

    known = judge_ages(settings, load_catalogue(), run)
    try:
        find_chromium(settings)
    except UsageError as error:  # no browser to print with: the rest of the report needs none
        steps.warn(str(error))
        settings = settings.model_copy(update={"pdf": False})
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        writing = pool.submit(write_workbook, candidate, build.exports / exports.WORKBOOK)
        build_report(candidate, build.report, settings, known, steps.step)
        steps.step("write workbook and data package")
        exports.write_package(candidate, build.exports)
        writing.result()


def judge_ages(settings: Settings, catalogue: Catalogue, run: RunInfo) -> dict[str, dict[str, Any]]:
    """Return the age of every source's snapshot in a run's eyes, as plain values."""
    snapshots = choose_snapshots(settings, catalogue, run.origin, run.as_of)
    return ages.as_plain(ages.source_ages(catalogue.sources, snapshots, run.as_of or run.started_at))


# A frozen baseline: of what is published, of a period, and built again.


def freeze(settings: Settings, name: str, period: str | None = None) -> Baseline:
    """Freeze what is published as the baseline `name`, or what the same extracts tell up to the end of `period`.

    For a period everything is built anew, peers, expectations and findings too, from the figures and deliveries that
    tell of nothing later. Raises UsageError when the name is taken or unusable, nothing is published or no outcome has
    a figure of the period; DataRefused when the figures of the period make no mapping.
    """
    if period is None:
        return baselines.freeze(settings, name)
    period = parse_period(period) if is_period(period) else period
    now, release = baselines.to_freeze(settings, name)
    with builds.readable(now) as database:
        baselines.require_period(database, period)
    run = replace(knowing_what(settings, release), until=span(period)[1])
    candidate = build(settings, load_catalogue(), snapshots_of(settings, release), run)
    if candidate.stops:
        raise DataRefused(f"the figures up to {period} make no mapping: {verdict_sentence(candidate.stops[0])}")
    record_published(settings, candidate.release)  # the next baseline of the period must not come too near this one
    made = baselines.write(settings, name, candidate.path, candidate.release, period)
    prepare_work(settings)
    return made


def snapshots_of(settings: Settings, release: Mapping[str, Any]) -> dict[str, Snapshot]:
    """Return the snapshots a release was made of; DataRefused when one is gone or changed."""
    store = SnapshotStore(settings.snapshots)
    return {source: store.read(snapshot_id) for source, snapshot_id in release["snapshots"].items()}


def knowing_what(settings: Settings, release: Mapping[str, Any]) -> RunInfo:
    """Return a new run that knows what a release knew: its moment, its `as_of`, its deliveries, its last day."""
    return replace(
        RunInfo.start(settings, release["origin"], _moment(release["as_of"])),
        started_at=begun_at(release["run_id"]),
        last_delivery=release.get("last_delivery"),  # absent: frozen before it was recorded
        until=_day(release),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(release: Mapping[str, Any]) -> date | None:
    return date.fromisoformat(release["until"]) if release.get("until") else None


def rebuild(settings: Settings, name: str) -> dict[str, bool]:
    """Build the baseline again from its snapshots and deliveries; return file -> whether the bytes are the same.

    Whatever has come since is not known to it, and what is judged "by now" is judged at the frozen run's own moment.
    Raises UsageError when the code is not the one it was made with (a rebuild would prove nothing), DataRefused when
    a snapshot or a delivery is gone or changed.
    """
    baseline = verify(settings, name)
    release = baseline.manifest["release"]
    if release["code_version"] != code_version():
        raise UsageError(
            f"{name} was made by code {release['code_version']}, this is {code_version()}; check that version out first"
        )
    candidate = build(settings, load_catalogue(), snapshots_of(settings, release), run_again(settings, baseline))
    target = candidate.path.parent / "rebuilt"
    hashes = exports.export_parquet(candidate.path, target)
    same = {file: hashes.get(file) == digest for file, digest in baseline.manifest["files"].items() if "mart." in file}
    prepare_work(settings)
    return same


def run_again(settings: Settings, baseline: Baseline) -> RunInfo:
    """Return a new run that knows what the frozen one knew: its moment, its `as_of`, its deliveries.

    Raises DataRefused when the ledger of deliveries does not hold what the frozen run met.
    """
    release = baseline.manifest["release"]
    run = knowing_what(settings, release)
    if read_ledger(settings, synthetic=release["is_synthetic"], known=run.known).state != release["deliveries"]:
        up_to = f" (up to {run.last_delivery})" if run.last_delivery else ""
        if forgotten_of(settings, release):
            raise DataRefused(
                f"{baseline.name}: a person it was made of has been forgotten since, so it cannot be built again; "
                "its frozen figures stand, and `freeze --verify` proves their bytes"
            )
        raise DataRefused(
            f"{baseline.name}: {settings.restricted / FILE} does not hold the deliveries it was made of{up_to}; "
            f"restore that file from a backup of {baseline.manifest['frozen_at'][:10]} or later"
        )
    return run


def forgotten_of(settings: Settings, release: Mapping[str, Any]) -> bool:
    """Tell whether rows that a release was made of were deleted because a person asked to be forgotten."""
    if not (settings.restricted / FILE).is_file():
        return False
    with open_deliveries(settings, read_only=True) as warehouse:
        gone = forgotten_rows(warehouse)
    return any(name in gone for name in read_of_persons(release))


# How long data are kept: snapshots and superseded person rows, and whatever a frozen baseline rests on.


def kept_builds(settings: Settings) -> set[str]:
    """Return the run ids of the builds that frozen baselines were made by; of all when one cannot be read."""
    if baselines.unreadable(settings):
        return {kept.run_id for kept in builds.builds(settings)}
    return baselines.kept_runs(settings)


def prune(settings: Settings) -> None:
    """Remove what is kept for rebuilds alone and has been kept long enough: snapshots, superseded person rows."""
    unreadable = baselines.unreadable(settings)
    if unreadable:
        steps.warn(f"{unreadable[0]}: cannot be read, so nothing is pruned; restore the baseline from backup")
        return
    prune_snapshots(settings)
    prune_superseded(settings, datetime.now(UTC))


def prune_snapshots(settings: Settings) -> list[str]:
    """Remove the oldest snapshots beyond `keep_snapshots` per source that nothing rests on; return their ids."""
    store = SnapshotStore(settings.snapshots)
    releases = [kept.facts() or {} for kept in builds.builds(settings)]
    releases += [frozen.manifest["release"] for frozen in baselines.baselines(settings)]
    needed = {snapshot_id for release in releases for snapshot_id in release.get("snapshots", {}).values()}
    excess = [snapshot for source in store.sources() for snapshot in store.of(source)[: -settings.keep_snapshots]]
    removed = [snapshot for snapshot in excess if snapshot.id not in needed]
    for snapshot in removed:
        shutil.rmtree(snapshot.path)
    return [snapshot.id for snapshot in removed]


def prune_superseded(settings: Settings, now: datetime) -> list[str]:
    """Delete the person rows of deliveries superseded more than `keep_superseded_days` ago; return whose, by id.

    Those that a frozen baseline is built again from stay, and those of what is published, which may be frozen next.
    """
    if not (settings.restricted / FILE).is_file():
        return []
    releases = [frozen.manifest["release"] for frozen in baselines.baselines(settings)]
    published = builds.current(settings)
    if published and (facts := published.facts()) is not None:
        releases.append(facts)
    with open_deliveries(settings, read_only=False) as warehouse:
        needed = {delivery_id for release in releases for delivery_id in deliveries_of(warehouse, release)}
        return delete_superseded(warehouse, now - timedelta(days=settings.keep_superseded_days), needed)


def deliveries_of(warehouse: Warehouse, release: dict[str, Any]) -> set[str]:
    """Return the ids of the deliveries whose rows a build that was made of `release` read."""
    known = Known(_moment(release["as_of"]), release.get("last_delivery"), _day(release))
    in_force = deliveries_in_force(warehouse, known, synthetic=release["is_synthetic"])
    return read_of_persons(release).union(
        delivery.delivery_id for _, kind in TABLES for delivery in newest_periods(in_force, kind)
    )


def read_of_persons(release: Mapping[str, Any]) -> set[str]:
    """Return the ids of the deliveries of person rows that a release notes as read."""
    return set().union(*(release.get("person_deliveries") or {}).values())

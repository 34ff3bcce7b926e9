"""Fetch: from the sample world, the live registers or a folder of files into snapshots."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import httpx

from flows.connectors import FetchOptions, FetchResult, Finding, failed, jobindsats
from flows.connectors.http import open_client
from flows.connectors.statbank import client as statbank
from flows.connectors.statbank.files import (
    Directory,
    Earlier,
    Recognised,
    Seen,
    cells_of,
    normalise,
    read_assignments,
    recognise_directory,
)
from flows.deliveries.files import waiting_files
from flows.deliveries.store import FILE
from flows.run import ages, steps
from flows.run.record import FetchReport, grouped_reasons
from flows.settings import Settings
from flows.store.builds import is_synthetic, refuse_invented_over_real
from flows.store.snapshots import Snapshot, SnapshotStore, replace_synced
from transforms.catalogue import Catalogue, Source
from transforms.errors import DataRefused, UsageError
from transforms.load import CanonicalRows
from transforms.models.persons import COHORT_YEARS
from transforms.tables import code_version

if TYPE_CHECKING:
    from flows.sample.world import World


Api = Literal["sample", "live"]
LAST_TIME_BYTES = 50_000_000
"""A snapshot beyond this is not read to tell what a new file is: other signs must do."""
Connect = Callable[[Settings, Catalogue, Api], AbstractContextManager[httpx.Client]]
Fetch = Callable[[httpx.Client, Sequence[Source], SnapshotStore, Catalogue, FetchOptions], list[FetchResult]]
Check = Callable[[httpx.Client, Sequence[Source], SnapshotStore, Catalogue, FetchOptions], list[Finding]]
Rows = Callable[[Source, Snapshot, Catalogue, Path], CanonicalRows]


def fetch(
    settings: Settings,
    catalogue: Catalogue,
    origin: str,
    only: Sequence[str],
    *,
    again: bool = False,
    period: str | None = None,
) -> FetchReport:
    """Bring the newest bytes of every source (or `only` these) in; a fault at one leaves the others be.

    `origin` is `sample`, `live` or the path of a folder. With `again` an API is asked even when nothing has changed;
    with `period` the one StatBank source in `only` gets that period anew. The caller holds the writer lock. Raises
    UsageError when the folder does not exist, `period` does not fit, or invented data would come over real ones.
    """
    refuse_invented_over_real(settings, origin)
    if period is not None:
        check_period_is_for_one(catalogue, origin, only)
    unknown = sorted(set(only) - catalogue.sources.keys())
    if unknown:
        raise UsageError(f"no source {unknown[0]}; `kommunekort sources` lists them")
    registers = registers_of(catalogue, only)
    asked = [source for sources in registers.values() for source in sources]
    store = SnapshotStore(settings.snapshots)
    store.tidy()
    if origin not in ("sample", "live"):
        return fetch_directory(settings, catalogue, Path(origin), [source.id for source in asked])
    api: Api = "live" if origin == "live" else "sample"
    held = {source.id: store.readable(source.id, synthetic=api == "sample") for source in asked}
    sizes = {source_id: snapshot.manifest.size if snapshot else None for source_id, snapshot in held.items()}
    options = FetchOptions(
        origin=api,
        again=again,
        period=period,
        made_from=sample_world(settings) if api == "sample" else None,
        on_progress=lambda source_id, size: steps.transfer(source_id, size, sizes[source_id]),
        on_end=steps.transferred,
    )
    results: list[FetchResult] = []
    for name, sources in registers.items():
        connector = CONNECTORS[name]
        steps.step(f"fetch from {connector.title}")
        try:
            with connector.connect(settings, catalogue, api) as client:
                results += connector.fetch(client, sources, store, catalogue, options)
        except UsageError as error:  # no token, or an address that is none
            results += [failed(source, store, options, error) for source in sources]
    if api == "live":
        refuse_synthetic(settings, results)
    today, has_token = datetime.now(UTC).date(), api == "sample" or settings.jobindsats_token is not None
    unasked = [s for s in asked if s.has_ended(today) or (s.connector == "jobindsats" and not has_token)]
    return report_of(results, unasked)


def preflight(settings: Settings, catalogue: Catalogue, origin: Api, only: Sequence[str] = ()) -> list[Finding]:
    """Return what the publishers' descriptions of the tables show, source by source; no figure is asked for."""
    store = SnapshotStore(settings.snapshots)
    found: list[Finding] = []
    for name, sources in registers_of(catalogue, only).items():
        try:
            with CONNECTORS[name].connect(settings, catalogue, origin) as client:
                found += CONNECTORS[name].check(client, sources, store, catalogue, FetchOptions(origin=origin))
        except UsageError as error:
            found += [Finding(source.id, "fault", str(error)) for source in sources]
    return found if origin == "sample" else with_still_tables(catalogue, found, datetime.now(UTC))


def with_still_tables(catalogue: Catalogue, found: Sequence[Finding], now: datetime) -> list[Finding]:
    """Return the findings, and a fault for every table whose newest period has stood still for too long.

    A table of which something worse is told, or whose end is known, gets none.
    """
    told: list[Finding] = []
    for finding in found:
        source = catalogue.sources[finding.source_id]
        due = ages.next_due(source, finding.periods, finding.published_at)
        worse = any(each.source_id == source.id and each.level == "fault" for each in (*found, *told))
        if due is None or due > now or worse or source.has_ended(now.date()):
            told.append(finding)
            continue
        still = Finding(source.id, "fault", ages.standing_still(source, finding.periods[-1], due))
        told += [still] if finding.level == "ok" else [still, finding]
    return told


def registers_of(catalogue: Catalogue, only: Sequence[str] = ()) -> dict[str, list[Source]]:
    """Return connector -> its sources (of `only`, when given), where any; UsageError for a connector there is not."""
    found: dict[str, list[Source]] = {name: [] for name in CONNECTORS}
    for source in catalogue.sources.values():
        if source.is_register and source.connector not in CONNECTORS:
            known = ", ".join([*CONNECTORS, "delivery", "reference"])
            raise UsageError(f"flows/sources/{source.id}.yml: no connector {source.connector}; there are {known}")
        if source.is_register and (not only or source.id in only):
            found[source.connector].append(source)
    return {name: sources for name, sources in found.items() if sources}


def report_of(results: Iterable[FetchResult], unasked: Sequence[Source] = ()) -> FetchReport:
    """Return what became of every source; of `unasked` ones those that never came are no fault of this run."""
    results = list(results)
    failures = [result for result in results if result.status not in ("new", "unchanged")]
    missing = [result.source_id for result in failures if result.snapshot is None]
    return FetchReport(
        new=[result.source_id for result in results if result.status == "new"],
        unchanged=[result.source_id for result in results if result.status == "unchanged"],
        missing=missing,
        kept_old={result.source_id: result.message for result in failures},
        unasked=[source.id for source in unasked if source.id in missing],
        lasting=[result.source_id for result in failures if not result.passes],
        closed={result.source_id: result.trouble for result in results if result.trouble},
        notes={result.source_id: list(result.notes) for result in results if result.notes},
    )


def check_period_is_for_one(catalogue: Catalogue, origin: str, only: Sequence[str]) -> None:
    """Raise UsageError unless one StatBank source of an API is asked for: a period of another means something else."""
    known = [catalogue.sources[source] for source in only if source in catalogue.sources]
    if origin not in ("sample", "live") or len(only) != 1 or any(source.connector != "statbank" for source in known):
        raise UsageError("--period needs --only with one StatBank source, and an API: --from live or --from sample")


def fetch_directory(settings: Settings, catalogue: Catalogue, folder: Path, wanted: Sequence[str]) -> FetchReport:
    """Take the files of a folder in, one snapshot per table; tell what each was taken for, and what was not and why.

    A source whose files contradict each other is left as it was. Raises UsageError when the folder does not exist or
    the user's word on a file is none, DataRefused when not one file could be taken.
    """
    if not str(folder).isprintable():
        raise UsageError(f"{str(folder)!a}: a name that is no text; rename the folder")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder that holds the downloaded files")
    store = SnapshotStore(settings.snapshots)
    steps.step(f"recognise the files in {folder}")
    synthetic = is_synthetic(str(folder))
    report = FetchReport()
    with tempfile.TemporaryDirectory(prefix="kommunekort-") as scratch:
        unpacked = Path(scratch) / "zip"
        unpacked.mkdir()
        found = recognise_directory(
            folder,
            catalogue,
            scratch=unpacked,
            told=read_assignments(folder, settings.files_as),
            earlier=cells_of_last_time(store, catalogue, synthetic=synthetic),
        )
        report.refused_files = {found.names[path]: reason for path, reason in found.refused}
        by_source: dict[str, list[tuple[Path, Recognised]]] = {}
        for path, recognised in found.accepted:
            by_source.setdefault(recognised.source_id, []).append((path, recognised))
        taking = Taking(store, catalogue, found, report, synthetic)
        take_jobindsats(taking, by_source, Path(scratch))
        for source_id in wanted:
            before = store.readable(source_id, synthetic=synthetic)
            files = by_source.get(source_id, [])
            if files and take_files(taking, catalogue.sources[source_id], files, before):
                continue
            (report.earlier if before is not None else report.missing).append(source_id)
    if not report.new and not report.unchanged:
        raise DataRefused(nothing_taken(folder, report))
    return report


@dataclass(frozen=True)
class Taking:
    """A folder being taken in: where its snapshots go, what was found in it, and what is told of it."""

    store: SnapshotStore
    catalogue: Catalogue
    found: Directory
    report: FetchReport
    synthetic: bool


def take_files(
    taking: Taking, source: Source, files: Sequence[tuple[Path, Recognised]], before: Snapshot | None
) -> bool:
    """Make one snapshot of a source's files and tell of it; False when they contradict each other."""
    found, report = taking.found, taking.report
    if fault := contradiction(source, taking.catalogue, files):
        report.refused_files |= {found.names[path]: fault for path, _ in files}
        return False
    names = snapshot_names([found.names[path] for path, _ in files])
    entries = {name: (path, recognised.presentation) for name, (path, recognised) in zip(names, files, strict=True)}
    kinds = dict(zip(names, (recognised for _, recognised in files), strict=True))
    periods = sorted({period for recognised in kinds.values() for period in recognised.periods})
    query: dict[str, Any] = {
        "periods": periods,
        "areas": max(recognised.areas for recognised in kinds.values()),
        "assumed": {name: dict(recognised.filled) for name, recognised in kinds.items() if recognised.filled},
        "bulk": [name for name, recognised in kinds.items() if recognised.is_bulk],
    }
    snapshot = taking.store.add(source.id, entries, origin="directory", synthetic=taking.synthetic, query=query)
    changed = before is None or before.id != snapshot.id
    (report.new if changed else report.unchanged).append(source.id)
    report.taken += [taken_row(source, found.names[path], recognised) for path, recognised in files]
    if changed and before is not None and (less := describe_losses(before, periods, query["areas"], source)):
        report.warnings.append(less)
    return True


def take_jobindsats(taking: Taking, by_source: dict[str, list[tuple[Path, Recognised]]], scratch: Path) -> None:
    """Take what is no StatBank table but an export or a saved answer of Jobindsats."""
    found, report = taking.found, taking.report
    for path in [path for path, _ in found.refused if path.is_file()]:  # at a pipe a reader would wait for ever
        name = found.names[path]
        try:
            told = jobindsats.recognise_file(path, name, taking.catalogue, scratch)
        except DataRefused as refused:
            report.refused_files[name] = str(refused)
            continue
        if told is None:
            continue
        del report.refused_files[name]
        by_source.setdefault(told.source_id, []).append((path, told))


def taken_row(source: Source, name: str, recognised: Recognised) -> dict[str, Any]:
    """Return what the summary and the ledger tell of a file that was taken."""
    return {
        "file": name,
        "source_id": source.id,
        "table": source.table or source.id,
        "title": source.title_da,
        "why": recognised.why,
        "assumed": dict(recognised.filled),
        "periods": [*recognised.periods[:1], *recognised.periods[-1:]],
        "period_count": len(recognised.periods),
        "areas": recognised.areas,
        "rows": recognised.rows,
        "remarks": list(recognised.remarks),
    }


def contradiction(source: Source, catalogue: Catalogue, files: Sequence[tuple[Path, Recognised]]) -> str | None:
    """Return the sentence that names both places when the files of a source give a cell two values, else None."""
    seen: Seen = {}
    with tempfile.TemporaryDirectory(prefix="kommunekort-") as scratch:
        try:
            if source.connector == "jobindsats":
                jobindsats.write_rows(source, [path for path, _ in files], catalogue, Path(scratch))
                return None
            for path, _ in files:
                normalise(path, source, catalogue, Path(scratch) / "canonical.csv", seen=seen)
        except DataRefused as refused:
            return str(refused)
    return None


def snapshot_names(names: Sequence[str]) -> list[str]:
    """Return a flat file name for each path below the folder, no two alike whatever their case."""
    flat: list[str] = []
    for name in names:
        stem, dot, suffix = name.replace("/", "__").rpartition(".")
        stem, suffix = (stem, f".{suffix}") if dot else (suffix, "")
        known = {each.casefold() for each in flat}
        tried = chain([f"{stem}{suffix}"], (f"{stem}-{number}{suffix}" for number in count(2)))
        flat.append(next(name for name in tried if name.casefold() not in known))
    return flat


def describe_losses(before: Snapshot, periods: Sequence[str], areas: int, source: Source) -> str | None:
    """Return one sentence when the new files hold less than the snapshot before, which they replace; else None."""
    query = before.manifest.query
    rectangle = query.get("rectangle") or {}
    held = [str(period) for period in query.get("periods") or rectangle.get(source.time.id.upper()) or []]
    gone = sorted(set(held) - set(periods))
    area = next((d.id.upper() for d in source.dimensions if d.role == "area"), "")
    fewer = int(query.get("areas") or len(rectangle.get(area, []))) - areas
    if not gone and fewer <= 0:
        return None
    what = [f"{len(gone)} of {len(held)} periods ({gone[0]} to {gone[-1]})"] if gone else []
    what += [f"{fewer} areas"] if fewer > 0 else []
    return (
        f"{source.id}: these files lack {' and '.join(what)} that were there before and are now gone from the mapping; "
        "put the earlier file into the folder too to keep them"
    )


def nothing_taken(folder: Path, report: FetchReport) -> str:
    """Return one sentence with the reasons when not one file of a folder could be taken."""
    if not report.refused_files:
        return f"{folder}: the folder is empty; put the downloaded files into it"
    told = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in grouped_reasons(report.refused_files).items())
    return f"{folder}: none of {len(report.refused_files)} files could be read ({told})"


def cells_of_last_time(store: SnapshotStore, catalogue: Catalogue, *, synthetic: bool) -> Earlier:
    """Return a function source id -> canonical cells of its newest snapshot, read when first asked for."""

    @cache
    def cells(source_id: str) -> dict[str, str]:
        snapshot = store.readable(source_id, synthetic=synthetic)
        if snapshot is None or snapshot.manifest.size > LAST_TIME_BYTES:
            return {}
        return cells_of(snapshot.data_paths(), catalogue.sources[source_id], catalogue)

    return cells


def refuse_synthetic(settings: Settings, results: Iterable[FetchResult]) -> None:
    """Raise UsageError when the address of the live API is a stand-in's: no real build would take its snapshots."""
    if any(result.snapshot is not None and result.snapshot.manifest.synthetic for result in results):
        raise UsageError(
            f"KOMMUNEKORT_STATBANK_URL: {settings.statbank_url} answers with synthetic data, and --from live takes "
            f"real data alone; use --from sample with KOMMUNEKORT_SAMPLE_URL={settings.statbank_url}"
        )


@contextmanager
def connect_statbank(settings: Settings, catalogue: Catalogue, origin: Api) -> Iterator[httpx.Client]:
    """Yield a client of the StatBank API, live or of the stand-in."""
    with statbank_base(settings, catalogue, origin) as base, open_client(base, contact=settings.contact) as client:
        yield client


@contextmanager
def statbank_base(settings: Settings, catalogue: Catalogue, origin: Api) -> Iterator[str]:
    """Yield the base address of the StatBank API; for the sample, of the stand-in that is set, else of one served here.

    The latter lasts as long as the block; the former is another process, which may be stopped and started meanwhile.
    """
    running = settings.statbank_url if origin == "live" else settings.sample_url
    if running:
        yield running
        return
    from flows.sample.cubes import Cubes
    from flows.sample.standin import running_standin

    with running_standin(Cubes(world_of(settings), catalogue), catalogue) as base:
        yield base


def sample_world(settings: Settings) -> dict[str, Any]:
    """Return what the sample answers are made from; the same world gives the same answers."""
    vintage = str(settings.sample_vintage)
    return {"seed": settings.sample_seed, "vintage": vintage, "code_version": code_version()}


def world_of(settings: Settings) -> World:
    """Return the sample world."""
    from flows.sample.world import build_world

    return build_world(seed=settings.sample_seed, vintage=settings.sample_vintage)


@contextmanager
def connect_jobindsats(settings: Settings, catalogue: Catalogue, origin: Api) -> Iterator[httpx.Client]:
    """Yield a client: for the sample, of a stand-in served while the block lasts. UsageError without a token."""
    if origin == "live":
        url, token = settings.jobindsats_url, settings.jobindsats_token
        with jobindsats.connect(url, token, contact=settings.contact) as client:
            yield client
        return
    from pydantic import SecretStr

    from flows.sample.jobindsats import TOKEN, JobindsatsWorld, create_app
    from flows.sample.standin import running_app

    answers = create_app(JobindsatsWorld(world_of(settings)))
    with running_app(answers) as root, jobindsats.connect(f"{root}/v3", SecretStr(TOKEN)) as client:
        yield client


class Connector(NamedTuple):
    """One register: how it is reached, how its sources are fetched, and how a snapshot of it is read."""

    title: str
    connect: Connect
    fetch: Fetch
    check: Check
    canonical_rows: Rows


CONNECTORS: dict[str, Connector] = {
    "statbank": Connector(
        "StatBank", connect_statbank, statbank.fetch_all, statbank.check_all, statbank.canonical_rows
    ),
    "jobindsats": Connector(
        "Jobindsats", connect_jobindsats, jobindsats.fetch_all, jobindsats.check_all, jobindsats.canonical_rows
    ),
}


# The delivery step of a run: the watched drop folder, or the sample world's deliveries, received with receipts.


def receive(settings: Settings, origin: str) -> dict[str, int]:
    """Receive what has come in and return verdict -> number of receipts; nothing to receive gives an empty answer.

    With origin `sample` the synthetic deliveries of all municipalities are made and received, under a key that is
    made when there is none; else the files of the drop folder. What was received before changes nothing.
    Raises UsageError when there are files but no usable key, or when the published data are real and these are not.
    """
    refuse_invented_over_real(settings, origin)
    if origin == "sample":
        return receive_sample(settings)
    if settings.drop_folder is None:
        return {}
    from flows.deliveries.intake import deliver

    folder, key = settings.drop_folder.expanduser(), settings.key_file.expanduser()
    files = waiting_files(folder)
    receipts = deliver(files, None, settings.root, key, from_folder=True, folder=folder, workers=settings.workers)
    return dict(Counter(str(receipt.verdict) for receipt in receipts))


def receive_sample(settings: Settings) -> dict[str, int]:
    """Make and receive the sample deliveries, once per world and code, in a process of its own beside the fetch."""
    wanted = sample_world(settings)
    mark = settings.restricted / "sample.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # a mark that cannot be read marks nothing
        known: dict[str, Any] = json.loads(mark.read_text(encoding="utf-8"))
        if known["made_from"] == wanted and (settings.restricted / FILE).is_file():
            return dict(known["verdicts"])
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        verdicts = pool.submit(make_and_receive, settings).result()
    replace_synced(mark, json.dumps({"made_from": wanted, "verdicts": verdicts}, ensure_ascii=False))
    return verdicts


def make_and_receive(settings: Settings) -> dict[str, int]:
    """Write the deliveries of all municipalities to a folder that is removed again, receive them, count verdicts."""

    from flows.deliveries.intake import deliver
    from flows.deliveries.keys import keygen
    from flows.sample.deliveries import write_deliveries

    key = settings.key_file.expanduser()
    if not key.exists():
        keygen(key, settings.root)
    world = world_of(settings)
    with tempfile.TemporaryDirectory(prefix="kommunekort-sample-") as scratch:
        write_deliveries(world, Path(scratch), since=date(world.vintage.year - COHORT_YEARS + 1, 1, 1))
        moment = datetime.combine(world.vintage, time(12), UTC)
        files = sorted(Path(scratch).iterdir())
        receipts = deliver(files, None, settings.root, key, synthetic=True, received_at=moment)
    return dict(Counter(str(receipt.verdict) for receipt in receipts))

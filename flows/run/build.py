"""From snapshots to a validated candidate database, in a new file beside the published one.

One module, since a build is one order of steps over one database: what one source's trouble takes back is told, counted
and described by the later ones.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations import history
from expectations.check import check_between_sources, check_staging, check_tables, forget_source
from expectations.drift import check_drift
from expectations.history import Published
from expectations.rules import Outcome, blocking, set_rule, verdict_sentence
from flows.deliveries.buckets import load_person_data
from flows.deliveries.store import read_ledger
from flows.run import steps
from flows.run.ages import check_ages
from flows.run.fetch import CONNECTORS, registers_of
from flows.run.record import RunInfo, RunResult
from flows.settings import Settings
from flows.store import builds
from flows.store.builds import from_option, is_synthetic
from flows.store.exports import SYNTHETIC
from flows.store.snapshots import Snapshot, SnapshotStore, move, move_aside, remove
from transforms import tables as transforms_tables
from transforms.catalogue import Catalogue, Source
from transforms.dictionary import load_dictionary
from transforms.disclosure import Gate, cover_registers, exposed_registers
from transforms.errors import DataRefused, KommunekortError, UsageError
from transforms.load import StagingCount, create_empty_view, load_staging
from transforms.models.steps import python_models
from transforms.periods import is_period, shown, span
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error, quote_identifier, quote_literal

if TYPE_CHECKING:
    import pandas as pd


HEAVY = ("great_expectations", "statsmodels.api", "sklearn.linear_model", "flows.sample.standin")


def import_ahead(is_busy: Callable[[], bool] = lambda: False) -> None:
    """Begin the heavy imports in the background, once there is a core to spare.

    Whoever needs one meanwhile waits for it as for any import.
    """
    threading.Thread(target=_import_all, args=(is_busy,), daemon=True, name="imports").start()


def _import_all(is_busy: Callable[[], bool]) -> None:
    while is_busy():
        time.sleep(0.1)
    for name in HEAVY:
        import_module(name)


BOUNDS = ("suppression_threshold", "minimum_denominator", "rounding_base", "least_rate_denominator")
"""The settings by which persons are protected: they are part of what a build is made of, and told with it."""


# Facts of a run as frames: what `transforms/meta/*.sql` reads from the `run` schema.


def run_frames(
    catalogue: Catalogue, snapshots: Mapping[str, Snapshot], run: RunInfo, candidate: Candidate
) -> dict[str, pd.DataFrame]:
    """Return `run.source`, `run.snapshot`, `run.run` and `run.release`, one row per source, snapshot and run."""
    import pandas as pd

    sources = [_source_row(source, snapshots.get(name)) for name, source in sorted(catalogue.sources.items())]
    counted = [_snapshot_row(snapshot, candidate) for _, snapshot in sorted(snapshots.items())]
    release = candidate.release
    common = {name: release[name] for name in ("run_id", "code_version", "is_synthetic")}
    told_of_run = {
        "started_at": run.started_at.replace(tzinfo=None),
        "origin": run.origin,
        "as_of": run.as_of.replace(tzinfo=None) if run.as_of else pd.NaT,
    }
    told_of_release = {
        **{name: release[name] for name in ("fingerprint", *BOUNDS)},
        "data_mark": SYNTHETIC if release["is_synthetic"] else None,
    }
    return {
        "run.source": pd.DataFrame(sources).astype({"snapshot_id": "string"}),
        "run.snapshot": pd.DataFrame(counted),
        "run.run": pd.DataFrame([common | told_of_run]),
        "run.release": pd.DataFrame([common | told_of_release]).astype({"data_mark": "string"}),
    }


def _source_row(source: Source, snapshot: Snapshot | None) -> dict[str, Any]:
    alike = (
        "connector", "title_da", "title_en", "producer", "licence", "url", "owner", "frequency", "max_age_days",
    )  # fmt: skip
    return {
        "source_id": source.id,
        "publisher_table": source.table,
        **{name: getattr(source, name) for name in alike},
        "is_required": source.required,
        "snapshot_id": snapshot.id if snapshot else None,
    }


def _snapshot_row(snapshot: Snapshot, candidate: Candidate) -> dict[str, Any]:
    manifest = snapshot.manifest
    count = candidate.counts.get(manifest.source_id)
    told = ("rows_in", "rows_loaded", "rows_rejected", "rows_filled", "rows_repeated")
    return {
        "snapshot_id": snapshot.id,
        "source_id": manifest.source_id,
        "retrieved_at": manifest.retrieved_at,
        "published_at": manifest.published_at or "",
        "origin": manifest.origin,
        "is_synthetic": manifest.synthetic,
        "file_count": len(manifest.data_files),
        "byte_count": sum(file.bytes for file in manifest.data_files),
        "sha256": manifest.digest,
        **{name: getattr(count, name) if count else 0 for name in told},
        "is_renamed": bool(manifest.query.get("renamed")),
        "assumed": assumptions(manifest.query),
    }


def assumptions(query: Mapping[str, Any]) -> str:
    """Return in words which dimensions a folder's files had no column for and were taken as their total."""
    told = [
        f"{name}: {', '.join(f'{dimension} = {code}' for dimension, code in sorted(taken.items()))}"
        for name, taken in sorted(query.get("assumed", {}).items())
    ]
    return "; ".join(told)


@dataclass
class Candidate:
    """A finished build that waits for its verdict."""

    path: Path
    release: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, StagingCount] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    taken_back: dict[str, str] = field(default_factory=dict)
    """Source -> why its newest extract is not used: an earlier one is, or none."""
    made: dict[str, Any] = field(default_factory=dict)
    """What the mapping holds: per source its indicators, those with a value and all; and completeness."""
    revisions: dict[str, Any] = field(default_factory=dict)
    """How many published figures the build changes, and the five that change most."""

    @property
    def stops(self) -> list[Outcome]:
        """Return the outcomes that forbid publication."""
        return blocking(self.outcomes)


def describe(result: RunResult, candidate: Candidate) -> None:
    """Copy what a candidate holds into the result."""
    result.counts = [{"source_id": source, **asdict(count)} for source, count in candidate.counts.items()]
    result.tables = dict(candidate.tables)
    result.taken_back = dict(candidate.taken_back)
    result.revisions = dict(candidate.revisions)
    result.rules = [rule_as_told(outcome) for outcome in candidate.outcomes]
    result.release = dict(candidate.release)
    result.made = dict(candidate.made)


def rule_as_told(outcome: Outcome) -> dict[str, Any]:
    """Return a rule's outcome as ledger, summary and artifacts have it; its examples stay in the database."""
    names = ("table_name", "rule_id", "severity", "success", "n_violations", "rows_scanned", "description")
    return {name: getattr(outcome, name) for name in names}


def why_no_snapshot(settings: Settings, source_ids: Iterable[str], origin: str, as_of: datetime | None) -> str:
    """Return one sentence for a build that found no snapshot: too early an `--as-of`, another kind, or none at all."""
    store = SnapshotStore(settings.snapshots)
    found = [snapshot.manifest for source_id in source_ids for snapshot in store.of(source_id)]
    asked = "invented" if is_synthetic(origin) else "real"
    received = [manifest.retrieved_at for manifest in found if manifest.synthetic == (asked == "invented")]
    if received and as_of is not None:
        oldest = shown(datetime.fromisoformat(min(received)), as_of)
        return (
            f"nothing was received by {shown(as_of, as_of)}, so there is no snapshot to build from; "
            f"the oldest is of {oldest}, give that or later to --as-of"
        )
    fetch = f"run `kommunekort fetch {from_option(origin)}` first"
    if found:
        other = "real" if asked == "invented" else "invented"
        return (
            f"there is no {asked} snapshot to build from ({from_option(origin)}): all snapshots here are {other}; "
            f"give the --from they came with, or {fetch}"
        )
    return f"there is no snapshot to build from; {fetch}"


REVISION = "meta.revision"
MOST_TRIED = 3
"""Earlier extracts of a source that are tried when its newest one is not usable."""
LAST = ("meta.data_dictionary", "meta.validation")
"""Tables that tell of the others and are built when those stand."""


def release_of(settings: Settings, snapshots: Mapping[str, Snapshot], run: RunInfo) -> dict[str, Any]:
    """Return what a build is made of: snapshots, code, settings; `fingerprint` is equal when all of it is."""
    synthetic = any(snapshot.manifest.synthetic for snapshot in snapshots.values())
    ledger = read_ledger(settings, synthetic=synthetic, known=run.known)
    made_of = {
        "code_version": transforms_tables.code_version(),
        "snapshots": {source: snapshot.id for source, snapshot in sorted(snapshots.items())},
        **settings.model_dump(include=set(BOUNDS)),
        "deliveries": ledger.state,
        "as_of": run.as_of.isoformat() if run.as_of else None,
        "until": run.until.isoformat() if run.until else None,
    }
    fingerprint = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return {
        **made_of,
        "fingerprint": fingerprint,
        "run_id": run.run_id,
        "origin": run.origin,
        "is_synthetic": synthetic,
        "last_delivery": ledger.last_delivery,
    }


def known_by(snapshots: Mapping[str, Snapshot]) -> date:
    """Return the day the newest snapshot was received: what is judged "by now" is judged by it, so builds repeat."""
    return max(datetime.fromisoformat(snapshot.manifest.retrieved_at) for snapshot in snapshots.values()).date()


def nothing_to_wait_for() -> None:
    """Return at once: no delivery is being received."""


def build(
    settings: Settings,
    catalogue: Catalogue,
    snapshots: Mapping[str, Snapshot],
    run: RunInfo,
    deliveries_in: Callable[[], None] = nothing_to_wait_for,
) -> Candidate:
    """Build every table in a new file and run every check; nothing published is touched.

    The registers are loaded while deliveries may still be received; `deliveries_in` is called before these are read.
    New extracts that cost figures that were published are left out, and everything is built again without them.
    Raises DataRefused when the data cannot even be built, UsageError when the machine fails.
    """
    if not snapshots:
        raise UsageError(why_no_snapshot(settings, catalogue.sources, run.origin, run.as_of))
    work = settings.work
    unfit: dict[str, str] = {}
    while True:
        candidate = Candidate(settings.candidate)
        try:
            prepare_work(settings)
            with Warehouse.open(
                candidate.path,
                threads=settings.threads,
                memory_limit=settings.memory_limit,
                temp_directory=work / "spill",
            ) as warehouse:
                candidate.path.chmod(0o600)  # nobody reads what is not published, and may never be
                builder = _Builder(settings, catalogue, snapshots, run, warehouse, candidate, work, unfit)
                builder.run_all(deliveries_in)
                at_fault = builder.sources_at_fault()
        except DatabaseError as error:
            raise explain_database_error(error, f"building {candidate.path.name}") from None
        except OSError as error:
            raise UsageError(f"{work}: writing failed ({error.strerror}); free space or check the rights") from None
        if not at_fault:
            return candidate
        unfit |= at_fault


def prepare_work(settings: Settings) -> None:
    """Make an empty work folder; whatever an interrupted run left there is removed (the lock is ours)."""
    remove(settings.work)
    settings.work.mkdir(parents=True, exist_ok=settings.work.is_mount())


@dataclass
class _Builder:
    """The steps of one build, sharing the warehouse."""

    settings: Settings
    catalogue: Catalogue
    snapshots: Mapping[str, Snapshot]
    run: RunInfo
    warehouse: Warehouse
    candidate: Candidate
    work: Path
    unfit: Mapping[str, str] = field(default_factory=dict)
    """Source -> why its newest extract is not to be used."""
    models: dict[str, transforms_tables.Model] = field(default_factory=dict)
    used: dict[str, Snapshot] = field(default_factory=dict)
    checked: dict[str, list[Outcome]] = field(default_factory=dict)
    refused: dict[str, list[Outcome]] = field(default_factory=dict)
    past: Published = field(default=history.nothing_published)

    def run_all(self, deliveries_in: Callable[[], None]) -> None:
        self.stage()
        judged_at = self.run.as_of or self.run.started_at
        self.candidate.outcomes += check_ages(self.catalogue.sources, self.used, judged_at)
        told = sorted(self.run.told.items())
        self.candidate.outcomes += [remark("source_as_known", f"staging.{source}", text) for source, text in told]
        deliveries_in()
        # The fingerprint is that of the extracts offered: the same ones come to the same end tomorrow.
        if not self.used and self.candidate.taken_back:
            source, why = next(iter(self.candidate.taken_back.items()))
            raise DataRefused(f"no source is usable (first {source}: {why})")
        self.candidate.release = {
            **release_of(self.settings, self.snapshots, self.run),
            "snapshots": {source: snapshot.id for source, snapshot in sorted(self.used.items())},
            "taken_back": self.candidate.taken_back,
        }
        if self.candidate.stops:
            return
        if self.run.until is not None:
            self.leave_out_later(self.run.until)
        synthetic = bool(self.candidate.release["is_synthetic"])
        persons = load_person_data(self.settings, synthetic=synthetic, known=self.run.known)
        self.cover_registers()
        self.candidate.release["person_deliveries"] = dict(persons.deliveries) if persons is not None else {}
        gate = Gate(
            self.settings.suppression_threshold,
            self.settings.minimum_denominator,
            self.settings.rounding_base,
            persons.rounding_key if persons is not None else b"",
        )
        self.models = python_models(self.run.until or known_by(self.used), persons, gate)
        plan = transforms_tables.plan(self.warehouse, self.files, self.models)
        self.load_run_facts(plan)
        with self.last_published() as database:
            self.load_before(database)
        done = ("staging.", "quarantine.")
        self.build_tables([t for t in plan.order if not t.startswith(done) and t not in LAST], plan.reads)
        steps.step("check the mapping")
        self.candidate.outcomes += check_tables(self.warehouse, self.files, self.dictionary)
        self.count_revisions()
        self.compare_with_last()
        self.describe_tables(plan)
        self.count_made()

    def cover_registers(self) -> None:
        """Hide what gives a cell away that a publisher withheld, and note for the rules what could still be told."""
        import pandas as pd

        totals = {
            f"staging.{source.id}": {each.column: each.total for each in source.dimensions if each.total}
            for source in self.used_sources()
        }
        covered = cover_registers(self.warehouse, totals, self.settings.suppression_threshold)
        told = exposed_registers(self.warehouse, totals, covered, self.settings.suppression_threshold)
        rows = [(table, [cell for name, cell in told if name == table]) for table in sorted(totals)]
        frame = pd.DataFrame(
            [(table, len(cells), "; ".join(cells[:3])) for table, cells in rows],
            columns=["table_name", "exposed_count", "cells_text"],
        )
        self.warehouse.load("run.covered_table", frame)

    def used_sources(self) -> list[Source]:
        """Return the sources that an extract is used of, sorted by id."""
        return [self.catalogue.sources[source_id] for source_id in sorted(self.used)]

    def stage(self) -> None:
        """Load the reference tables and every register, each from its newest usable snapshot."""
        self.dictionary = load_dictionary()
        self.files = transforms_tables.read_all()
        transforms_tables.prepare(self.warehouse)
        transforms_tables.load_reference(self.warehouse)
        self.load_sources()

    @contextmanager
    def last_published(self) -> Iterator[Path | None]:
        """Yield a file that holds what is published, whoever has it open; None when it cannot be read, which is told.

        Nothing is compared with a file in which a byte has changed, and what ends with a period with nothing at all.
        """
        last = builds.current(self.settings) if self.run.until is None else None
        with ExitStack() as open_files:
            database = None
            if last is not None:
                try:
                    if (damage := last.damage()) is not None:
                        raise DataRefused(damage)
                    database = open_files.enter_context(builds.readable(last))
                except KommunekortError as error:
                    told = remark("drift_compared", "meta.snapshot", f"{last.run_id}: {error}")
                    if told not in self.candidate.outcomes:
                        self.candidate.outcomes.append(told)
            yield database

    def compare_with_last(self) -> None:
        """Hold the build against the one published before."""
        with self.last_published() as database:
            if database is not None:
                self.candidate.outcomes += check_drift(self.warehouse, database)

    def sources_at_fault(self) -> dict[str, str]:
        """Return source -> why, for the extracts new tonight without which published figures would not be lost.

        Who gives files by hand is told, and decides.
        """
        lost = [outcome for outcome in self.candidate.stops if outcome.rule_id.startswith("drift_")]
        if not lost or self.run.origin not in ("sample", "live"):
            return {}
        named = (
            "SELECT 'indicator_id=' || indicator_id, source_id FROM mart.indicator "
            "UNION ALL SELECT 'source_id=' || source_id, source_id FROM run.snapshot"
        )
        of: dict[str, str] = dict(self.warehouse.rows(named))
        told = [(of.get(text.partition(",")[0], ""), outcome) for outcome in lost for text in outcome.examples]
        new = {source: outcome for source, outcome in told if self.is_new(source) and self.earlier(self.used[source])}
        return {source: verdict_sentence(outcome) for source, outcome in new.items()}

    def is_new(self, source_id: str) -> bool:
        """Tell whether the extract used of a source is none of those that are published."""
        published = builds.published_release(self.settings) or {}
        return source_id in self.used and self.used[source_id].id not in (published.get("snapshots") or {}).values()

    def load_sources(self) -> None:
        """Load every register that has a usable snapshot; the others stand empty and are named.

        An extract that breaks a critical rule is one source's trouble: its last good one is loaded in its place.
        """
        self.build_tables(["quarantine.row"])
        with (
            self.last_published() as database,
            history.published(self.warehouse, database, self.run.as_of) as self.past,
        ):
            for sources in registers_of(self.catalogue).values():
                for source in sources:
                    if source.id in self.snapshots:
                        self.load_newest_good(source, self.snapshots[source.id], self.unfit.get(source.id, ""))
                    else:
                        self.leave_empty(source)
            self.settle_between_sources()
        if self.is_nothing_usable():
            self.checked |= {source: self.refused[source] for source in self.candidate.taken_back}
        for source_id, outcomes in self.checked.items():
            self.candidate.outcomes += outcomes
            if why := self.candidate.taken_back.get(source_id):
                self.candidate.outcomes.append(remark("newest_extract_used", f"staging.{source_id}", why))

    def load_newest_good(self, source: Source, newest: Snapshot, why: str = "") -> None:
        """Load the newest snapshot up to `newest` that keeps every critical rule of its table.

        Without one the table stands empty; a required source then keeps its broken rules, which stop the publication.
        `why` is given when `newest` itself is no longer wanted.
        """
        first = self.checked.get(source.id, []) if why else []
        for snapshot in ([] if why else [newest]) + self.earlier(newest):
            steps.step(f"load {source.id}")
            outcomes, reason = self.load_snapshot(source, snapshot)
            if not reason:
                self.use(source, snapshot, outcomes + brought_back(snapshot, self.earlier(snapshot)))
                if why:
                    self.refused[source.id] = first
                    self.candidate.taken_back[source.id] = f"{why}; {snapshot.id} is used in its place"
                return
            why, first = why or reason, first or outcomes
        self.leave_empty(source)
        self.used.pop(source.id, None)
        self.refused[source.id] = first
        self.checked[source.id] = first if source.required else []
        if not source.required:
            forget_source(self.warehouse, source, self.files[f"staging.{source.id}"])
        self.candidate.taken_back[source.id] = f"{why}; there is no earlier extract, so the source is missing"

    def is_nothing_usable(self) -> bool:
        """Tell whether files given by hand brought only what is not usable: then whoever gave them is told so.

        A night with the registers goes on without what is not usable.
        """
        published = builds.published_release(self.settings) or {}
        known = set((published.get("snapshots") or {}).values())
        fresh = {source for source, snapshot in self.snapshots.items() if snapshot.id not in known}
        by_hand = self.run.origin not in ("sample", "live")
        return by_hand and bool(fresh) and fresh <= self.candidate.taken_back.keys()

    def use(self, source: Source, snapshot: Snapshot, outcomes: list[Outcome]) -> None:
        """Remember which snapshot stands in a source's table, and what its rules said."""
        self.used[source.id], self.checked[source.id] = snapshot, outcomes
        self.candidate.taken_back.pop(source.id, None)

    def earlier(self, newest: Snapshot) -> list[Snapshot]:
        """Return the few snapshots before one, newest first, of its kind (invented or real)."""
        kept = SnapshotStore(self.settings.snapshots).of(newest.manifest.source_id)
        synthetic = newest.manifest.synthetic
        found = [each for each in kept if each.id < newest.id and each.manifest.synthetic == synthetic]
        return found[: -MOST_TRIED - 1 : -1]

    def load_snapshot(self, source: Source, snapshot: Snapshot) -> tuple[list[Outcome], str]:
        """Load one snapshot and hold it against its rules; return the outcomes, and in words why it is not usable."""
        file = self.files[f"staging.{source.id}"]
        self.leave_empty(source)
        forget_source(self.warehouse, source, file)
        canonical_rows = CONNECTORS[source.connector].canonical_rows
        try:
            rows = canonical_rows(source, snapshot, self.catalogue, self.work / "canonical" / source.id)
            count = load_staging(self.warehouse, file, rows, self.dictionary)
        except DataRefused as refused:
            return [set_rule(file.table, "extract_readable", "critical", str(refused)).found(1, 0)], str(refused)
        self.candidate.counts[source.id] = count
        catalogue = self.catalogue.with_new_codes(source, rows.new_codes)
        past = self.past(source.id, snapshot.manifest.origin, snapshot.manifest.synthetic)
        outcomes = check_staging(self.warehouse, source, file, self.dictionary, catalogue, count, past)
        broken_rules = blocking(outcomes)
        return outcomes, verdict_sentence(broken_rules[0]) if broken_rules else ""

    def leave_out_later(self, until: date) -> None:
        """Delete the rows of periods that end after `until`; a source that tells of nothing earlier stands empty."""
        for source_id in list(self.used):
            source, table = self.catalogue.sources[source_id], self.files[f"staging.{source_id}"].table
            column = quote_identifier(source.time.column)
            held = [str(period) for (period,) in self.warehouse.rows(f"SELECT DISTINCT {column} FROM {table}")]
            later = [period for period in held if is_period(period) and span(period)[1] > until]
            self.warehouse.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT unnest(?))", [later])
            if len(later) == len(held):
                self.leave_empty(source)
                del self.used[source_id]

    def leave_empty(self, source: Source) -> None:
        """Create the staging table of a source without rows."""
        file = self.files[f"staging.{source.id}"]
        create_empty_view(self.warehouse, source)
        self.warehouse.execute(f"DROP TABLE IF EXISTS {file.table}")
        transforms_tables.create_table(self.warehouse, file, self.dictionary)
        self.candidate.counts.pop(source.id, None)

    def settle_between_sources(self) -> None:
        """Take back the source whose newest extract breaks a critical rule against others.

        Of the sources a rule reads, each is tried alone, those that are new tonight first; whoever's earlier extract
        cures it stays back. What no source cures is a fault of the mapping, and stops the publication.
        """
        for _ in range(len(self.used)):
            broken = [(o, read) for o, read in check_between_sources(self.warehouse, self.files) if not o.success]
            if not any(self.cured(outcome, tables) for outcome, tables in broken):
                return

    def cured(self, outcome: Outcome, tables: Sequence[str]) -> bool:
        """Take one source of a broken rule back so that the rule holds; False when none does it."""
        suspects = [self.catalogue.sources[table.removeprefix("staging.")] for table in tables]
        suspects = [source for source in suspects if source.id in self.used and self.may_go_back(source)]
        for source in sorted(suspects, key=lambda each: not self.is_new(each.id)):
            newest, outcomes = self.used[source.id], self.checked[source.id]
            told = self.candidate.taken_back.get(source.id)
            self.load_newest_good(source, newest, verdict_sentence(outcome))
            now = check_between_sources(self.warehouse, self.files)
            if all(found.success for found, _ in now if found.rule_id == outcome.rule_id):
                self.refused[source.id] = [outcome]
                return True
            self.load_snapshot(source, newest)
            self.use(source, newest, outcomes)
            if told is not None:
                self.candidate.taken_back[source.id] = told
        return False

    def may_go_back(self, source: Source) -> bool:
        """Tell whether a source has an earlier extract, or may be missing."""
        return not source.required or bool(self.earlier(self.used[source.id]))

    def build_tables(self, tables: list[str], reads: Mapping[str, frozenset[str]] | None = None) -> None:
        counts = transforms_tables.build(
            self.warehouse,
            self.files,
            self.models,
            self.dictionary,
            tables,
            on_table=lambda table, rows: steps.step(f"built {table}: {rows} rows"),
            reads=reads,
        )
        self.candidate.tables |= counts

    def count_made(self) -> None:
        """Count the indicators that have a value, source by source, for the summary."""
        rows = self.warehouse.rows(
            """
            SELECT source_id, count(DISTINCT value.indicator_id), count(DISTINCT indicator.indicator_id)
            FROM mart.indicator indicator
            LEFT JOIN mart.indicator_value value
                ON value.indicator_id = indicator.indicator_id AND value.value IS NOT NULL
            GROUP BY ALL ORDER BY ALL
            """
        )
        completeness = self.warehouse.scalar("SELECT avg(completeness_pct) FROM mart.mapping")
        self.candidate.made = {
            "indicators": {str(source): [int(made), int(all_of_it)] for source, made, all_of_it in rows},
            "completeness_pct": None if completeness is None else round(float(completeness), 1),
        }

    def load_run_facts(self, plan: transforms_tables.BuildOrder) -> None:
        frames = run_frames(self.catalogue, self.used, self.run, self.candidate)
        frames |= {
            "run.lineage": transforms_tables.lineage_frame(plan),
            "run.column_label": transforms_tables.column_labels(self.dictionary),
        }
        for name, frame in frames.items():
            self.warehouse.load(name, frame)

    def load_before(self, previous: Path | None) -> None:
        """Load the figures and the revisions of the publication before: `run.figure_before`, `run.revision_before`.

        Both are empty where there is none to compare with; a build as of a day is none of the row of publications.
        """
        figures = "municipality_code, indicator_id, period, value, value_status, _snapshot_id"
        revised = (
            "run_id, municipality_code, indicator_id, period, value_before, value_after, value_status_before, "
            "value_status_after, snapshot_id_before, snapshot_id_after"
        )
        wanted = {"run.figure_before": ("mart.indicator_value", figures), "run.revision_before": (REVISION, revised)}
        for table, (_, names) in wanted.items():
            types = {name: self.dictionary.columns[name].type for name in names.split(", ")}
            columns = ", ".join(f"{quote_identifier(name)} {kind}" for name, kind in types.items())
            self.warehouse.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
        if previous is None or self.run.as_of is not None:
            return
        self.warehouse.attach(previous, "before")
        try:
            tables = "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'before'"
            there = {name for (name,) in self.warehouse.rows(tables)}
            invented = "SELECT bool_or(is_synthetic) FROM before.meta.run"
            synthetic = bool(self.candidate.release["is_synthetic"])
            if "meta.run" not in there or bool(self.warehouse.scalar(invented)) != synthetic:
                return
            for table, (source, names) in wanted.items():
                if source in there:
                    self.warehouse.execute(f"INSERT INTO {table} BY NAME SELECT {names} FROM before.{source}")
        finally:
            self.warehouse.detach("before")

    def count_revisions(self) -> None:
        """Note how many figures this build changes, and the five that change most of what they were."""
        ours = f"run_id = {quote_literal(self.run.run_id)}"
        share = "abs(value_after - value_before) / nullif(abs(value_before), 0)"
        self.candidate.revisions = {
            "count": int(self.warehouse.scalar(f"SELECT count(*) FROM {REVISION} WHERE {ours}")),
            "largest": self.warehouse.dicts(
                f"SELECT municipality_code, indicator_id, period, value_before, value_after FROM {REVISION} "
                f"WHERE {ours} ORDER BY {share} DESC NULLS LAST, 1, 2, 3 LIMIT 5"
            ),
        }

    def describe_tables(self, plan: transforms_tables.BuildOrder) -> None:
        """Build the data dictionary, which needs every other table to stand."""
        described = {name: file for name, file in self.files.items() if name not in LAST}
        frame = transforms_tables.dictionary_frame(
            self.warehouse, described, self.dictionary, transforms_tables.sources_by_table(plan)
        )
        self.warehouse.load("run.data_dictionary", frame)
        self.build_tables(["meta.data_dictionary"])


REMARKS = {
    "source_as_known": "a source is fetched without anything new at its publisher to settle",
    "correction_reverted": "an extract must not bring back what its publisher had changed since",
    "newest_extract_used": "the newest extract of a source is used, unless it breaks a critical rule",
    "drift_compared": "a build is compared with the one published before",
}


def remark(rule_id: str, table: str, example: str) -> Outcome:
    """Return the outcome that tells readers of a build what was not as it should be and stopped nothing."""
    return set_rule(table, rule_id, "warning", REMARKS[rule_id]).found(1, 1, (example,))


def brought_back(snapshot: Snapshot, earlier: Sequence[Snapshot]) -> list[Outcome]:
    """Return what tells that an extract is one from before the last, byte for byte: what was corrected is back."""
    digest = snapshot.manifest.digest
    same = next((each for each in earlier[1:] if each.manifest.digest == digest), None)
    if same is None or earlier[0].manifest.digest == digest:
        return []
    text = f"{snapshot.id} is {same.id} again, byte for byte; {earlier[0].id} came between"
    return [remark("correction_reverted", f"staging.{snapshot.manifest.source_id}", text)]


def finish(candidate: Candidate, run: RunInfo) -> None:
    """Record every rule and its result with Great Expectations in the candidate, and close it for publication.

    Raises DataRefused with one sentence per broken critical rule (the first three).
    """
    from expectations.gx import record_with_gx

    steps.step("record the validation")
    try:
        frame = record_with_gx(candidate.path, candidate.outcomes, run.run_id)
        with Warehouse.open(candidate.path) as warehouse:
            warehouse.load("run.validation", frame)
            transforms_tables.build(warehouse, transforms_tables.read_all(), {}, load_dictionary(), ["meta.validation"])
            for schema in ("raw", "run", "model"):
                warehouse.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            warehouse.checkpoint()
    except DatabaseError as error:
        raise explain_database_error(error, f"recording the validation in {candidate.path.name}") from None
    stops = candidate.stops
    if stops:
        told = "; ".join(verdict_sentence(outcome) for outcome in stops[:3])
        more = f" (and {len(stops) - 3} more)" if len(stops) > 3 else ""
        raise DataRefused(f"not published: {told}{more}")


def keep_refused(settings: Settings, candidate: Candidate) -> Path:
    """Keep the last refused candidate for inspection, and return where."""
    target = settings.refused
    if target.is_dir():
        move_aside(target)
    if candidate.path.is_file():
        move(candidate.path, target)
    return target

"""From snapshots to a validated candidate database, in a new file beside the published one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from expectations.check import check_drift, check_staging, check_tables, verdict_sentence
from flows import publish
from flows.candidate import Candidate, RunInfo
from flows.freshness import check_ages
from flows.metadata import run_frames
from flows.origins import why_no_snapshot
from flows.persons import load_person_data, read_ledger
from flows.settings import Settings
from flows.snapshots import Snapshot
from flows.stage import staging_input
from flows.stage_jobindsats import load_jobindsats
from transforms import runner
from transforms.catalogue import Catalogue
from transforms.dictionary import load_dictionary
from transforms.errors import DataRefused, UsageError
from transforms.fingerprint import code_version
from transforms.lineage import dictionary_frame, lineage_frame, sources_by_table
from transforms.reference import load_reference
from transforms.sqlfile import read_all
from transforms.staging import create_empty_view, load_staging
from transforms.steps import python_models
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error

Progress = Callable[[str], None]

LAST = ("meta.data_dictionary", "meta.validation")
"""Tables that tell of the others and are built when those stand."""


def release_of(settings: Settings, snapshots: Mapping[str, Snapshot], run: RunInfo) -> dict[str, Any]:
    """Return what a build is made of: snapshots, code, settings; `fingerprint` is equal when all of it is."""
    synthetic = any(snapshot.manifest.synthetic for snapshot in snapshots.values())
    ledger = read_ledger(settings, synthetic=synthetic, known=run.known)
    made_of = {
        "code_version": code_version(),
        "snapshots": {source: snapshot.id for source, snapshot in sorted(snapshots.items())},
        "suppression_threshold": settings.suppression_threshold,
        "deliveries": ledger.state,
        "as_of": run.as_of.isoformat() if run.as_of else None,
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
    on_step: Progress = lambda text: None,
    deliveries_in: Callable[[], None] = nothing_to_wait_for,
) -> Candidate:
    """Build every table in a new file and run every check; nothing published is touched.

    The registers are loaded while deliveries may still be received; `deliveries_in` is called before these are read.
    Raises DataRefused when the data cannot even be built, UsageError when the machine fails.
    """
    if not snapshots:
        raise UsageError(why_no_snapshot(settings, catalogue.sources, run.origin, run.as_of))
    work = settings.root / ".work"
    candidate = Candidate(work / "candidate.duckdb")
    try:
        prepare_work(settings)
        with Warehouse.open(
            candidate.path,
            threads=settings.threads,
            memory_limit=settings.memory_limit,
            temp_directory=work / "spill",
        ) as warehouse:
            _Builder(settings, catalogue, snapshots, run, warehouse, candidate, work, on_step).run_all(deliveries_in)
    except DatabaseError as error:
        raise explain_database_error(error, f"building {candidate.path.name}") from None
    except OSError as error:
        raise UsageError(f"{work}: writing failed ({error.strerror}); free space or check the rights") from None
    return candidate


def prepare_work(settings: Settings) -> Path:
    """Return an empty work folder; whatever an interrupted run left there is removed (the lock is ours)."""
    work = settings.root / ".work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


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
    on_step: Progress
    models: dict[str, runner.Model] = field(default_factory=dict)

    def run_all(self, deliveries_in: Callable[[], None]) -> None:
        self.dictionary = load_dictionary()
        self.files = read_all()
        judged_at = self.run.as_of or self.run.started_at
        self.candidate.outcomes += check_ages(self.catalogue.sources, self.snapshots, judged_at)
        runner.prepare(self.warehouse)
        load_reference(self.warehouse)
        self.load_sources()
        self.load_jobindsats()
        deliveries_in()
        self.candidate.release = release_of(self.settings, self.snapshots, self.run)
        if self.candidate.stops:
            return
        synthetic = bool(self.candidate.release["is_synthetic"])
        persons = load_person_data(self.settings, synthetic=synthetic, known=self.run.known)
        self.models = python_models(known_by(self.snapshots), persons)
        plan = runner.plan(self.warehouse, self.files, self.models)
        self.load_run_facts(plan)
        done = ("staging.", "quarantine.")
        self.build_tables([t for t in plan.order if not t.startswith(done) and t not in LAST])
        self.on_step("check the mapping")
        self.candidate.outcomes += check_tables(self.warehouse, self.files, self.dictionary, self.catalogue)
        previous = publish.current(self.settings)
        if previous is not None:
            self.candidate.outcomes += check_drift(self.warehouse, previous.path)
        self.describe_tables(plan)

    def load_sources(self) -> None:
        """Load every source that has a snapshot; the others stand empty and are named as missing."""
        self.build_tables(["quarantine.row"])
        for source in (s for s in self.catalogue.sources.values() if s.connector == "statbank"):
            file = self.files[f"staging.{source.id}"]
            snapshot = self.snapshots.get(source.id)
            if snapshot is None:
                create_empty_view(self.warehouse, source)
                self.warehouse.execute(f"DROP TABLE IF EXISTS {file.table}")
                runner.create_table(self.warehouse, file, self.dictionary)
                continue
            self.on_step(f"load {source.id}")
            given = staging_input(source, snapshot, self.catalogue, self.work, self.warehouse)
            count = load_staging(self.warehouse, file, given, self.dictionary)
            self.candidate.counts[source.id] = count
            self.candidate.outcomes += check_staging(
                self.warehouse, source, file, self.dictionary, self.catalogue, count
            )

    def load_jobindsats(self) -> None:
        """Load the Jobindsats answers into their one long staging table; it stands empty without any."""
        self.on_step("load jobindsats")
        self.candidate.counts |= load_jobindsats(
            self.warehouse, self.files["staging.jobindsats"], self.dictionary, self.catalogue, self.snapshots, self.work
        )

    def build_tables(self, tables: list[str]) -> None:
        counts = runner.build(
            self.warehouse,
            self.files,
            self.models,
            self.dictionary,
            tables,
            on_table=lambda table, rows: self.on_step(f"built {table}: {rows} rows"),
        )
        self.candidate.tables |= counts

    def load_run_facts(self, plan: runner.Plan) -> None:
        frames = run_frames(self.catalogue, self.snapshots, self.run, self.candidate)
        for name, frame in {**frames, "run.lineage": lineage_frame(plan)}.items():
            self.warehouse.load(name, frame)

    def describe_tables(self, plan: runner.Plan) -> None:
        """Build the data dictionary, which needs every other table to stand."""
        described = {name: file for name, file in self.files.items() if name not in LAST}
        frame = dictionary_frame(self.warehouse, described, self.dictionary, sources_by_table(plan))
        self.warehouse.load("run.data_dictionary", frame)
        self.build_tables(["meta.data_dictionary"])


def finish(candidate: Candidate, run: RunInfo, on_step: Progress = lambda text: None) -> None:
    """Record every rule and its result with Great Expectations in the candidate, and close it for publication.

    Raises DataRefused with one sentence per broken critical rule (the first three).
    """
    from expectations.validate import record_with_gx

    on_step("record the validation")
    try:
        frame = record_with_gx(candidate.path, candidate.outcomes, run.run_id)
        with Warehouse.open(candidate.path) as warehouse:
            warehouse.load("run.validation", frame)
            runner.build(warehouse, read_all(), {}, load_dictionary(), ["meta.validation"])
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
    target = settings.root / "refused.duckdb"
    if candidate.path.is_file():
        candidate.path.replace(target)
    return target

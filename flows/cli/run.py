"""run, fetch, build, validate, publish, rollback: the pipeline, whole and step by step."""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import DataOption, FromOption, JsonOption, QuietOption, out, print_json, settings_from, steps
from flows.run.build import import_ahead
from flows.run.record import command as command_for
from flows.settings import Settings, quiet_prefect
from flows.store.builds import from_option, prepare_folder, refuse_invented_over_real, writer_lock
from transforms.errors import DataRefused, KommunekortError, NothingNew, UsageError
from transforms.periods import end_of_day

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


OnlyOption = Annotated[list[str] | None, typer.Option("--only", help="Fetch only this source (repeatable).")]
AgainOption = Annotated[bool, typer.Option("--again", help="Download even what has not changed since the last time.")]
PeriodOption = Annotated[
    str | None,
    typer.Option("--period", help="Fetch this period anew, beside the others (with --only and one StatBank source)."),
]
AsOfOption = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
        help="Build from what was known by the end of that Danish day (or by that moment; without a zone Danish time).",
    ),
]


def run(
    origin: FromOption = "sample",
    data: DataOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Run the same steps without starting Prefect.")] = False,
    only: OnlyOption = None,
    as_of: AsOfOption = None,
    force: Annotated[bool, typer.Option("--force", help="Build even when nothing is new.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch, build, validate and publish. Example: kommunekort run --plain --from ~/Downloads/statbank"""
    settings = settings_from(data)
    runner = run_plain if plain else run_prefect
    result = runner(settings, origin, list(only or ()), end_of_day(as_of), force, quiet or as_json)
    if as_json:
        print_json(result)
    elif not quiet:
        from flows.run.summary import print_summary

        print_summary(out, settings, result)
    ended = {"nothing_new": NothingNew, "unconfirmed": NothingNew, "refused": DataRefused}
    if ended.get(result["status"]) is NothingNew and (as_json or quiet):
        raise typer.Exit(NothingNew.exit_code)
    if result["status"] != "published":
        raise ended.get(result["status"], UsageError)(result["message"])


def run_plain(
    settings: Settings, origin: str, only: list[str], as_of: datetime | None, force: bool, quiet: bool
) -> dict[str, Any]:
    """Run the steps in this process; return the ledger's record of the run."""
    from flows.run import night

    with writer_lock(settings.root):
        before = newest_record(settings)
        try:
            with steps(quiet) as on_step:
                return night.run_plain(settings, origin, as_of=as_of, only=only, force=force, on_step=on_step).as_dict()
        except KommunekortError:
            record = newest_record(settings)
            if record is None or record == before:
                raise
            return record


def run_prefect(
    settings: Settings, origin: str, only: list[str], as_of: datetime | None, force: bool, quiet: bool
) -> dict[str, Any]:
    """Run the flow under Prefect (a server of its own unless PREFECT_API_URL names one); return the record."""
    from flows.run import record as run_record

    prepare_folder(settings.root)
    refuse_invented_over_real(settings, origin)
    quiet_prefect(settings.root / ".prefect")
    from flows.orchestration.server import check_server

    check_server()
    with steps(quiet) as on_step:
        on_step("Prefect starts")
        state = flow_run_in_terminal(origin, settings.root, as_of, only, force)
    record = run_record.of_flow_run(settings, str(state.state_details.flow_run_id))
    if record is None or (state.is_failed() and record["status"] == "published"):
        raise UsageError(state.message or "the flow ended without a record")
    return record


def newest_record(settings: Settings) -> dict[str, Any] | None:
    """Return the newest entry of the run ledger, or None."""
    files = sorted(settings.runs.glob("*.json")) if settings.runs.is_dir() else []
    if not files:
        return None
    record: dict[str, Any] = json.loads(files[-1].read_text(encoding="utf-8"))
    return record


def fetch(
    origin: FromOption = "sample",
    data: DataOption = None,
    only: OnlyOption = None,
    again: AgainOption = False,
    period: PeriodOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring new bytes into the snapshots, and build nothing. Example: kommunekort fetch --from live"""
    from dataclasses import asdict

    from flows.run.fetch import fetch as fetch_sources
    from transforms.catalogue import load_catalogue

    settings = settings_from(data)
    with writer_lock(settings.root), steps(quiet or as_json) as on_step:
        report = fetch_sources(
            settings, load_catalogue(), origin, list(only or ()), on_step, again=again, period=period
        )
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        out.print(f"new: {len(report.new)}  unchanged: {len(report.unchanged)}  missing: {len(report.missing)}")
        for name, reason in {**report.refused_files, **report.kept_old}.items():
            out.print(f"{name}: {reason}", highlight=False, soft_wrap=True, markup=False)
    if report.silent:
        raise UsageError(f"{report.silence}; see the network and fetch again")
    if not report.new and (as_json or quiet):
        raise typer.Exit(NothingNew.exit_code)
    if not report.new:
        raise NothingNew("nothing new at any source")


def build(
    origin: FromOption = "sample",
    data: DataOption = None,
    as_of: AsOfOption = None,
    quiet: QuietOption = False,
) -> None:
    """Build and check from the snapshots at hand, then publish. Example: kommunekort build --as-of 2027-01-31"""
    settings = settings_from(data)
    candidate_path = _build(settings, origin, end_of_day(as_of), quiet, publish_it=True)
    if not quiet:
        out.print(f"published: {candidate_path}", soft_wrap=True, highlight=False)


def validate(origin: FromOption = "sample", data: DataOption = None, quiet: QuietOption = False) -> None:
    """Build and check from the snapshots at hand, and publish nothing. Example: kommunekort validate"""
    settings = settings_from(data)
    path = _build(settings, origin, None, quiet, publish_it=False)
    if not quiet:
        out.print(f"every critical rule holds; the checked candidate is {path}", soft_wrap=True, highlight=False)


def publish(data: DataOption = None, quiet: QuietOption = False) -> None:
    """Publish the candidate that `validate` left. Example: kommunekort validate && kommunekort publish"""
    import json as json_module

    from flows.store.builds import current
    from flows.store.builds import publish as publish_build

    settings = settings_from(data)
    waiting = settings.root / "validated.duckdb"
    facts = waiting.with_suffix(".json")
    with writer_lock(settings.root):
        if not waiting.is_file() or not facts.is_file():
            raise UsageError(f"there is no validated candidate; run `{command_for(settings, 'validate')}` first")
        release = json_module.loads(facts.read_text(encoding="utf-8"))
        refuse_invented_over_real(settings, release["origin"], synthetic=release["is_synthetic"])
        now = current(settings)
        if now is not None and release["run_id"] < now.run_id:
            raise UsageError(
                f"the validated candidate is older than build {now.run_id}; "
                f"run `kommunekort validate {from_option(release['origin'])}` again"
            )
        build_made = publish_build(settings, waiting, release["run_id"], release)
        facts.unlink()
    if not quiet:
        out.print(f"published: {build_made.path}", soft_wrap=True, highlight=False)


def rollback(
    data: DataOption = None,
    to: Annotated[str | None, typer.Option("--to", help="Run id of the build to publish again.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Publish the build before the current one again, at once. Example: kommunekort rollback"""
    from flows.store.builds import rollback as roll_back

    settings = settings_from(data)
    with writer_lock(settings.root):
        target = roll_back(settings, to)
    if not quiet:
        out.print(f"published again: {target.path}", soft_wrap=True, highlight=False)


def _build(settings: Settings, origin: str, as_of: datetime | None, quiet: bool, *, publish_it: bool) -> Path:
    """Build, validate and publish (or keep) a candidate; return its path. The run is in the ledger either way.

    The alarm tells of nights: a build as of a day is asked for by somebody who sees how it ends.
    """
    from flows.run import build as run_build
    from flows.run import night
    from flows.run import record as run_record
    from flows.run.record import RunInfo
    from flows.store.snapshots import replace_synced
    from transforms.catalogue import load_catalogue

    refuse_invented_over_real(settings, origin)
    result = run_record.RunResult(RunInfo.start(settings, origin, as_of))
    with (
        writer_lock(settings.root),
        steps(quiet) as on_step,
        run_record.recorded(settings, result, alarm=publish_it and as_of is None),
    ):
        catalogue = load_catalogue()
        result.ages = night.judge_ages(settings, catalogue, result.run)
        candidate = night.build_step(settings, catalogue, result.run, on_step, force=True)
        run_build.describe(result, candidate)
        night.validate_step(settings, candidate, result.run, on_step)
        if publish_it:
            path = night.publish_step(settings, candidate, result.run).path
            result.status, result.database = "published", str(path)
            return path
        waiting = settings.root / "validated.duckdb"
        candidate.path.replace(waiting)
        replace_synced(waiting.with_suffix(".json"), json.dumps(candidate.release))
        result.status = "validated"
        return waiting


class _NoOutcomes(logging.Filter):
    """Drop Prefect's errors about the run, whose ending the command tells itself, and the warnings of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR and record.name != "py.warnings"


def flow_run_in_terminal(origin: str, data: Path, as_of: datetime | None, only: list[str], force: bool) -> State[Any]:
    """Run `nightly` here and return its final state; UsageError when Prefect itself cannot start."""
    from flows.orchestration.flows import nightly

    if not os.environ.get("KOMMUNEKORT_DEBUG"):
        for handler in logging.getLogger().handlers:
            handler.addFilter(_NoOutcomes())
    import_ahead()  # while the server starts, this process only waits
    try:
        return nightly(origin, data, as_of, only, force, return_state=True)
    except RuntimeError as error:
        if "ephemeral" not in str(error):
            raise
        raise UsageError("Prefect's own server did not start; run with --plain, or see `kommunekort doctor`") from None

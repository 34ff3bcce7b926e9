"""run, fetch, build, validate, publish, rollback: the pipeline, whole and step by step."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.console import DataOption, FromOption, JsonOption, QuietOption, out, print_json, settings_from, steps
from flows.lock import prepare_folder, writer_lock
from flows.moments import end_of_day
from flows.origins import command as command_for
from flows.origins import from_option, refuse_invented_over_real
from flows.settings import Settings, quiet_prefect
from transforms.errors import DataRefused, KommunekortError, NothingNew, UsageError

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


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    for command in (run, fetch, build, validate, publish, rollback):
        app.command()(command)


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
        from flows.summary import print_summary

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
    from flows import pipeline

    with writer_lock(settings.root):
        before = newest_record(settings)
        try:
            with steps(quiet) as on_step:
                return pipeline.run_plain(
                    settings, origin, as_of=as_of, only=only, force=force, on_step=on_step
                ).as_dict()
        except KommunekortError:
            record = newest_record(settings)
            if record is None or record == before:
                raise
            return record


def run_prefect(
    settings: Settings, origin: str, only: list[str], as_of: datetime | None, force: bool, quiet: bool
) -> dict[str, Any]:
    """Run the flow under Prefect (a server of its own unless PREFECT_API_URL names one); return the record."""
    from flows import ledger
    from flows.prefect_client import check_server, flow_run_in_terminal

    prepare_folder(settings.root)
    refuse_invented_over_real(settings, origin)
    quiet_prefect(settings.root / ".prefect")
    check_server()
    with steps(quiet) as on_step:
        on_step("Prefect starts")
        state = flow_run_in_terminal(origin, settings.root, as_of, only, force)
    record = ledger.of_flow_run(settings, str(state.state_details.flow_run_id))
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

    from flows.fetch import fetch as fetch_sources
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

    from flows.publish import current
    from flows.publish import publish as publish_build

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
    from flows.publish import rollback as roll_back

    settings = settings_from(data)
    with writer_lock(settings.root):
        target = roll_back(settings, to)
    if not quiet:
        out.print(f"published again: {target.path}", soft_wrap=True, highlight=False)


def _build(settings: Settings, origin: str, as_of: datetime | None, quiet: bool, *, publish_it: bool) -> Path:
    """Build, validate and publish (or keep) a candidate; return its path. The run is in the ledger either way.

    The alarm tells of nights: a build as of a day is asked for by somebody who sees how it ends.
    """
    from flows import pipeline, run_record
    from flows.candidate import RunInfo
    from flows.snapshots import replace_synced
    from transforms.catalogue import load_catalogue

    refuse_invented_over_real(settings, origin)
    result = run_record.RunResult(RunInfo.start(settings, origin, as_of))
    with (
        writer_lock(settings.root),
        steps(quiet) as on_step,
        run_record.recorded(settings, result, alarm=publish_it and as_of is None),
    ):
        catalogue = load_catalogue()
        result.ages = pipeline.judge_ages(settings, catalogue, result.run)
        candidate = pipeline.build_step(settings, catalogue, result.run, on_step, force=True)
        run_record.describe(result, candidate)
        pipeline.validate_step(settings, candidate, result.run, on_step)
        if publish_it:
            path = pipeline.publish_step(settings, candidate, result.run).path
            result.status, result.database = "published", str(path)
            return path
        waiting = settings.root / "validated.duckdb"
        candidate.path.replace(waiting)
        replace_synced(waiting.with_suffix(".json"), json.dumps(candidate.release))
        result.status = "validated"
        return waiting

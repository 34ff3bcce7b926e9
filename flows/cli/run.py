"""run, fetch, build, validate, publish, rollback: the pipeline, whole and step by step."""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import DataOption, FromOption, JsonOption, QuietOption, answer, out, print_json, say, steps
from flows.run.build import import_ahead
from flows.run.night import Asked
from flows.run.processes import guard_children
from flows.run.record import FetchReport, error_of
from flows.settings import Settings, quiet_prefect, settings_from
from flows.store.builds import prepare_folder, refuse_invented_over_real, writer_lock
from transforms.errors import NothingNew, UsageError
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


FileAsOption = Annotated[
    list[str] | None,
    typer.Option("--as", help="What a file of the folder is, FILE=TABLE, when it does not show it (repeatable)."),
]


def run(
    origin: FromOption = "sample",
    data: DataOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Run the same steps without starting Prefect.")] = False,
    only: OnlyOption = None,
    as_of: AsOfOption = None,
    force: Annotated[bool, typer.Option("--force", help="Build even when nothing is new.")] = False,
    files_as: FileAsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch, build, validate and publish. Example: kommunekort run --plain --from ~/Downloads/statbank"""
    settings = settings_with(data, origin, files_as)
    asked = Asked(origin, as_of=end_of_day(as_of), only=list(only or ()), force=force)
    told = run_plain(settings, asked, quiet or as_json) if plain else run_prefect(settings, asked, quiet or as_json)
    tell(settings, told, quiet=quiet, as_json=as_json)


def settings_with(data: Path | None, origin: str, files_as: list[str] | None) -> Settings:
    """Return the settings with what the user says of files; UsageError when no folder is read."""
    if files_as:
        if origin in ("sample", "live"):
            raise UsageError("--as tells what files of a folder are; give the folder with --from")
        # The flow makes its settings anew, from the environment.
        os.environ["KOMMUNEKORT_FILES_AS"] = json.dumps(files_as)
    return settings_from(data)


def run_plain(settings: Settings, asked: Asked, quiet: bool) -> dict[str, Any]:
    """Run the steps in this process; return the ledger's record of the run."""
    from flows.run import night

    guard_children()
    with writer_lock(settings.root), steps(quiet):
        return night.run(settings, asked).as_dict()


def run_prefect(settings: Settings, asked: Asked, quiet: bool) -> dict[str, Any]:
    """Run the flow under Prefect (a server of its own unless PREFECT_API_URL names one); return the record."""
    from flows.run.record import of_flow_run

    prepare_folder(settings.root)
    refuse_invented_over_real(settings, asked.origin)
    guard_children()
    quiet_prefect(settings.root / ".prefect")
    from flows.orchestration.server import check_server  # Prefect reads its settings as it is imported

    check_server()
    with steps(quiet) as on_step:
        on_step("Prefect starts")
        state = flow_run_in_terminal(settings.root, asked)
    record = of_flow_run(settings, str(state.state_details.flow_run_id))
    if record is None or (state.is_failed() and record["status"] == "published"):
        raise UsageError(state.message or "the flow ended without a record")
    return record


def tell(settings: Settings, record: dict[str, Any], *, quiet: bool, as_json: bool) -> None:
    """Print how a run ended, and end the command as its ending asks for."""
    if as_json:
        print_json(record)
    elif not quiet:
        from flows.run.summary import print_summary

        print_summary(out, settings, record)
    end(record, silent=quiet or as_json)


def end(record: dict[str, Any], *, silent: bool) -> None:
    """End the command as the ending of a run asks for; `silent` where nothing new needs no word."""
    error = error_of(record["status"], record["message"])
    if error is not None:
        raise typer.Exit(error.exit_code) if isinstance(error, NothingNew) and silent else error


def fetch(
    origin: FromOption = "sample",
    data: DataOption = None,
    only: OnlyOption = None,
    again: AgainOption = False,
    period: PeriodOption = None,
    files_as: FileAsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring new bytes into the snapshots, and build nothing. Example: kommunekort fetch --from live"""
    settings = settings_with(data, origin, files_as)
    asked = Asked(origin, last="fetch", only=list(only or ()), again=again, period=period)
    record = run_plain(settings, asked, quiet or as_json)
    from flows.run.summary import folder_lines

    fetched = FetchReport(**record["fetched"])
    kept_old = (f"{name}: {why}" for name, why in fetched.kept_old.items())
    lines = [record["message"], *folder_lines(fetched, record["made"]), *kept_old]
    answer(record["fetched"], lines, as_json=as_json, quiet=quiet)
    if record["status"] == "unconfirmed":
        record["message"] = "nothing new at any source"
    end(record, silent=quiet or as_json)


def build(
    origin: FromOption = "sample",
    data: DataOption = None,
    as_of: AsOfOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build and check from the snapshots at hand, then publish. Example: kommunekort build --as-of 2027-01-31"""
    settings = settings_from(data)
    asked = Asked(origin, first="build", as_of=end_of_day(as_of))
    tell(settings, run_plain(settings, asked, quiet or as_json), quiet=quiet, as_json=as_json)


def validate(
    origin: FromOption = "sample",
    data: DataOption = None,
    suite: Annotated[
        str | None,
        typer.Option("--suite", help="Show the rules of one table and how they went last (`all` lists the suites)."),
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option("--docs", help="Write Great Expectations' Data Docs of the newest validation into this folder."),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build and check from the snapshots at hand, and publish nothing. Example: kommunekort validate

    With --suite or --docs nothing is built: kommunekort validate --suite statbank_ras201
    """
    settings = settings_from(data)
    if docs is not None:
        from flows.run.night import write_docs

        page = write_docs(_newest_validated(settings), docs)
        say(f"Data Docs: {page}")
    if suite is not None:
        show_suite(settings, suite, as_json=as_json)
    if suite is not None or docs is not None:
        return
    asked = Asked(origin, first="build", last="validate")
    record = run_plain(settings, asked, quiet or as_json)
    tell(settings, record, quiet=quiet, as_json=as_json)
    if not (quiet or as_json):
        say(f"every critical rule holds; the checked candidate is {record['database']}")


def show_suite(settings: Settings, suite: str, *, as_json: bool = False) -> None:
    """Print the rules of one suite as the newest validation recorded them; `all`: the suites with their counts.

    A suite is a table: `statbank_ras201` is `staging.statbank_ras201`. Raises UsageError where nothing was validated
    yet, and for an unknown suite, naming those there are.
    """
    from transforms.warehouse import Warehouse

    query = "SELECT * EXCLUDE run_id FROM meta.validation WHERE table_name IN (?, ?) ORDER BY success, rule_id"
    with Warehouse.open(_newest_validated(settings), read_only=True) as warehouse:
        suites = warehouse.dicts(SUITES)
        shown = suites if suite == "all" else warehouse.dicts(query, [suite, f"staging.{suite}"])
    if not shown:
        known = ", ".join(sorted(row["rule_id"] for row in suites))
        raise UsageError(f"there is no suite {suite}; known: {known}")
    if as_json:
        print_json(shown)
        return
    for row in shown:
        verdict = "holds" if row["success"] else f"{row['n_violations']} broken"
        say(f"{row['rule_id']}  {row['severity']}  {verdict}")
        for text in (row["description"], row["examples"] and f"e.g. {row['examples']}"):
            if text:
                say(f"    {text}")


SUITES = """
    SELECT replace(table_name, 'staging.', '') AS rule_id,
        coalesce(min(severity) FILTER (NOT success), '') AS severity, -- critical before warning
        bool_and(success) AS success, count(*) FILTER (NOT success) AS n_violations,
        format('{} rules over {} rows', count(*), max(rows_scanned)) AS description,
        coalesce(string_agg(rule_id, ', ' ORDER BY rule_id) FILTER (NOT success), '') AS examples
    FROM meta.validation GROUP BY table_name ORDER BY table_name
"""
"""The suites, each as a row that is printed like a rule."""


def _newest_validated(settings: Settings) -> Path:
    """Return the newest database with a validation: validated, refused or published."""
    from flows.run.night import waiting_candidate
    from transforms.warehouse import Warehouse

    databases = [waiting_candidate(settings), settings.refused, settings.published]
    there = [path for path in databases if path.is_file()]
    if not there:
        raise UsageError("nothing was validated yet; run `kommunekort validate` first")
    newest = max(there, key=lambda path: path.stat().st_mtime)
    with Warehouse.open(newest, read_only=True) as warehouse:
        if not warehouse.exists("meta.validation"):
            raise UsageError(f"{newest}: meta.validation is not there; `kommunekort validate` makes it anew")
    return newest


def publish(data: DataOption = None, quiet: QuietOption = False, as_json: JsonOption = False) -> None:
    """Publish the candidate that `validate` left. Example: kommunekort validate && kommunekort publish"""
    settings = settings_from(data)
    asked = Asked("", first="publish")  # whatever its candidate came from
    tell(settings, run_plain(settings, asked, quiet or as_json), quiet=quiet, as_json=as_json)


def rollback(
    data: DataOption = None,
    to: Annotated[str | None, typer.Option("--to", help="Run id of the build to publish again.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the build before the current one again, at once. Example: kommunekort rollback"""
    from flows.store.builds import rollback as roll_back

    settings = settings_from(data)
    with writer_lock(settings.root):
        target = roll_back(settings, to)
    told = {"run_id": target.run_id, "database": target.path}
    answer(told, [f"published again: {target.path}"], as_json=as_json, quiet=quiet)


class _NoOutcomes(logging.Filter):
    """Drop Prefect's errors about the run, whose ending the command tells itself, and the warnings of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR and record.name != "py.warnings"


def flow_run_in_terminal(data: Path, asked: Asked) -> State[Any]:
    """Run `nightly` here and return its final state; UsageError when Prefect itself cannot start."""
    from flows.orchestration.flows import nightly

    if not os.environ.get("KOMMUNEKORT_DEBUG"):
        for handler in logging.getLogger().handlers:
            handler.addFilter(_NoOutcomes())
        # Only the server that Prefect starts for this run reads it now: it tells of what is cut short as it is ended.
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    import_ahead()  # while the server starts, this process only waits
    try:
        return nightly(asked.origin, data, asked.as_of, list(asked.only), asked.force, return_state=True)
    except RuntimeError as error:
        if "ephemeral" not in str(error):
            raise
        raise UsageError("Prefect's own server did not start; run with --plain, or see `kommunekort doctor`") from None

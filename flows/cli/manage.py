"""deliver, keygen: the municipalities' own extracts, received with a receipt."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import (
    DataOption,
    FromOption,
    JsonOption,
    QuietOption,
    answer,
    err,
    out,
    print_json,
    print_rows,
    say,
    steps,
)
from flows.orchestration.serve import CRON
from flows.run.processes import guard_children
from flows.settings import quiet_prefect, settings_from
from flows.store.builds import prepare_folder, writer_lock
from transforms.errors import DataRefused, UsageError
from transforms.periods import TIMEZONE

if TYPE_CHECKING:
    from flows.connectors.statbank.scaffold import Guess


def deliver(
    files: Annotated[
        list[Path] | None, typer.Argument(help="CSV, XLSX, ODS, .csv.gz or ZIP files; together they are one hand-in.")
    ] = None,
    municipality: Annotated[
        str | None, typer.Option("--municipality", "-m", help="Whose delivery it is, when the files do not say.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="cases (sager), measures (indsatser), employment (ansættelser) or organisation."),
    ] = None,
    period: Annotated[str | None, typer.Option("--period", help="Year or quarter the delivery tells until.")] = None,
    template: Annotated[
        str | None, typer.Option("--template", help="Write an empty form of this kind (XLSX) and receive nothing.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Where to write the template.")] = None,
    data: DataOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Receive municipal deliveries, each with a receipt. Example: kommunekort deliver sager.csv -m Rebild"""
    settings = settings_from(data)
    if template is not None:
        from flows.deliveries.template import template as write_template

        path = write_template(template, to or Path(f"kommunekort-{template}.xlsx"))
        say(f"wrote {path}")
        return
    if not files:
        raise UsageError("name at least one file to deliver, or --template organisation for an empty form")
    from flows.deliveries.intake import deliver as receive

    if settings.workers > 1:
        guard_children()
    with writer_lock(settings.root), steps(quiet or as_json) as on_step:
        on_step("receive the deliveries")
        key, workers = settings.key_file.expanduser(), settings.workers
        receipts = receive(files, municipality, settings.root, key, kind=kind, period=period, workers=workers)
    lines = (line for receipt in receipts for line in (receipt.line(), f"  {receipt.path_html}"))
    answer([asdict(receipt) for receipt in receipts], lines, as_json=as_json, quiet=quiet)
    refused = [receipt for receipt in receipts if receipt.verdict == "afvist"]
    if refused:
        raise DataRefused(f"{len(refused)} of {len(receipts)} deliveries refused; the receipts say row by row why")


def keygen(
    data: DataOption = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Where to keep the key, outside the data.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Change to a new key; stored pseudonyms are carried over.")
    ] = False,
) -> None:
    """Make the key of the pseudonyms (mode 0600), outside the data folder. Example: kommunekort keygen"""
    from flows.deliveries.keys import keygen as make_key

    settings = settings_from(data)
    path = (key_file or settings.key_file).expanduser()
    if rotate:
        from flows.deliveries.store import rotate as change_key

        with writer_lock(settings.root):
            new_id = change_key(path, settings.root)
        err.print(f"key {new_id} is in force; put the new {path} beside your safe copy of the old one")
        return
    key_id = make_key(path, settings.root)
    err.print(f"key {key_id} is in {path}; keep a copy where it is safe: without it no delivery can be linked again")


def forget(
    data: DataOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again before the rows are deleted.")] = False,
) -> None:
    """Delete one person's rows on request; the CPR number is asked for and not shown. Example: kommunekort forget"""
    from datetime import UTC, datetime

    from flows.deliveries.store import forget as forget_person

    settings = settings_from(data)
    number = typer.prompt("CPR-nummer / CPR number", hide_input=True, err=True)
    if not yes:
        typer.confirm("Slet alle personens rækker? / Delete all rows of this person?", abort=True, err=True)
    with writer_lock(settings.root):
        gone = forget_person(settings, number, datetime.now(UTC))
    if not gone.rows:
        err.print("no rows of this person are held; nothing was deleted")
        return
    err.print(
        f"{sum(gone.rows.values())} rows deleted from {len(gone.rows)} deliveries: {', '.join(sorted(gone.rows))}"
    )
    err.print(
        "what is published stands: protected figures of many. The next run leaves the municipality's persons' figures "
        "out until it has delivered enough others: made anew they would tell of this person"
    )
    if gone.baselines:
        err.print(f"baselines that stand as frozen but cannot be built again: {', '.join(gone.baselines)}")
    err.print("delete the person from the delivered files and from backups too: a person delivered again is held again")


# freeze, compare: the dated baseline and the progress since.


NameArgument = Annotated[str, typer.Argument(help="Name of the baseline, e.g. nulpunkt-2016.")]


def freeze(
    name: NameArgument,
    data: DataOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check the frozen bytes instead of freezing.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build it again from its snapshots and compare the bytes.")
    ] = False,
    period: Annotated[
        str | None,
        typer.Option("--period", help="Build it from the figures up to this period, e.g. 2016; else from all."),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Freeze what is published as an immutable baseline. Example: kommunekort freeze nulpunkt-2016 --period 2016"""
    from flows.run import night
    from flows.store import baselines

    settings = settings_from(data)
    with writer_lock(settings.root), steps(quiet or as_json) as on_step:
        if rebuild:
            on_step("build the baseline again")
            same = night.rebuild(settings, name)
            differing = sorted(file for file, equal in same.items() if not equal)
            if differing:
                raise DataRefused(f"{name}: the rebuild differs in {', '.join(differing)}")
            told = f"{name}: {len(same)} tables rebuilt, every byte the same"
        elif verify:
            told = f"{name}: {len(baselines.verify(settings, name).manifest['files'])} files, every byte as frozen"
        else:
            on_step("freeze" if period is None else f"build from the figures up to {period}")
            made = night.freeze(settings, name, period)
            told = f"frozen: {made.folder} (run {made.manifest['run_id']}, {len(made.manifest['files'])} files)"
    if as_json:
        print_json(baselines.verify(settings, name).manifest)
    elif not quiet:
        say(told)


def compare(
    name: NameArgument,
    data: DataOption = None,
    outcome: Annotated[
        str, typer.Option("--outcome", help="An outcome of mart.expected.")
    ] = "employment_rate_non_western_pct",
    as_json: JsonOption = False,
) -> None:
    """Set what is published against a baseline. Example: kommunekort compare nulpunkt-2016"""
    from flows.report import words
    from flows.store import baselines
    from flows.store.exports import SYNTHETIC
    from transforms.models.wording import period_text, unit_of

    settings = settings_from(data)
    with writer_lock(settings.root):
        result = baselines.compare(settings, name, outcome)
    if as_json:
        print_json(result)
        return
    if result["is_synthetic"]:
        out.print(f"[bold]{SYNTHETIC}[/]")
    (label, _), unit = words.outcome(outcome, {outcome: result["definition"]} if result["definition"]["unit"] else {})
    before, later = (period_text(str(result[key]))[0] for key in ("baseline_period", "later_period"))
    out.print(f"{label}: {before} til {later}; ændringer og forskelle i {unit_of(unit).difference[0]}", soft_wrap=True)
    if result["peers_of"] != name:
        out.print(f"{name} has no peers, too few framework conditions reach back; those published now are used")
    for part in ("groups", "difference_in_differences"):
        rows = [words.compared(row) for row in result[part]]
        print_rows(rows, list(rows[0]))
    for caution in ("caution_da", "caution_en"):
        out.print(result["difference_in_differences"][0][caution], soft_wrap=True)
    say(f"all municipalities: {result['file']}")


# serve: the schedule and the deployments, for a standing Prefect server.


def serve(
    origin: FromOption = "sample",
    data: DataOption = None,
    cron: Annotated[str, typer.Option("--cron", help="When nightly runs, in Danish time.")] = CRON,
    pool: Annotated[
        str | None, typer.Option("--pool", help="Register for the workers of this Prefect work pool, and end.")
    ] = None,
) -> None:
    """Run nightly on schedule, and fetch or build when asked. Example: kommunekort serve --from live"""
    from flows.store.builds import refuse_invented_over_real

    settings = settings_from(data)
    prepare_folder(settings.root)
    refuse_invented_over_real(settings, origin)
    if not os.environ.get("PREFECT_API_URL"):
        raise UsageError(
            "serve needs a standing Prefect server: start `prefect server start`, "
            "then set PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    os.environ.setdefault("PREFECT_RUNNER_POLL_FREQUENCY", "5")
    quiet_prefect(settings.root / ".prefect")
    from flows.orchestration.server import check_server

    check_server()
    from flows.orchestration import serve as orchestration_serve

    if pool is not None:
        names = orchestration_serve.register(settings, origin, cron, pool)
        say(f"registered for pool {pool}: {', '.join(names)}")
        return
    say(f"serving nightly/nightly ({cron} {TIMEZONE}), fetch/fetch and build/build; Ctrl-C ends it")
    orchestration_serve.serve(settings, origin, cron)


# new-source: write the two files of a source from the publisher's own description of a table.


def new_source(
    connector: Annotated[str, typer.Argument(help="Where the table is published: statbank.")],
    table: Annotated[str, typer.Argument(help="The table's id at the publisher, e.g. RAS210.")],
    origin: Annotated[
        str, typer.Option("--from", help="sample: the stand-in's tables; live: the StatBank API.")
    ] = "live",
    root: Annotated[Path, typer.Option("--root", help="The checkout to write into.")] = Path(),
    choose: Annotated[
        list[str] | None,
        typer.Option("--choose", help="DIMENSION=CODE where the table leaves a choice: its total (or `-`), a unit."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Write source file, staging SQL and a fixture for a table. Example: kommunekort new-source statbank RAS210

    Where the description leaves a choice you are asked; without a terminal it is guessed and told.
    """
    from flows.connectors.http import open_client
    from flows.connectors.statbank.query import LANGUAGES, parse_tableinfo, tableinfo_bytes
    from flows.connectors.statbank.scaffold import check_checkout
    from flows.connectors.statbank.scaffold import new_source as write_source
    from flows.run.fetch import statbank_base
    from transforms.catalogue import load_catalogue

    if connector != "statbank":
        raise UsageError(f"{connector}: only statbank tables describe themselves; copy a file of flows/sources instead")
    if origin not in ("sample", "live"):
        raise UsageError(f"--from {origin}: choose sample or live")
    check_checkout(root.resolve())
    settings = settings_from(data)
    cure = "the stand-in describes only what is a source already; ask the API: --from live"
    if origin == "live":
        cure = "check the table id"
    with (
        statbank_base(settings, load_catalogue(), "live" if origin == "live" else "sample") as base,
        open_client(base, contact=settings.contact) as client,
    ):
        danish, english = (parse_tableinfo(tableinfo_bytes(client, table, lang, cure=cure)) for lang in LANGUAGES)
        made = write_source(danish, english, root.resolve(), chooser(choose or (), [v.id for v in english.variables]))
    for path in made.paths:
        say(f"wrote {path}")
    for question in made.questions:
        say(f"to settle: {question}")


def chooser(said: Sequence[str], dimensions: Sequence[str]) -> Callable[[Guess], str | None]:
    """Return what answers a guess: the user's `DIMENSION=CODE`, else a question at the terminal, else nobody.

    Raises UsageError for a word that is no choice, or names no dimension of the table.
    """
    choices: dict[str, str] = {}
    known = {each.casefold() for each in dimensions}
    for word in said:
        name, sign, code = word.partition("=")
        if not sign or name.casefold() not in known:
            raise UsageError(f"--choose {word}: give DIMENSION=CODE; the table has {', '.join(dimensions)}")
        choices[name.casefold()] = code

    def chosen(guess: Guess) -> str | None:
        if (said_of := choices.get(guess.dimension.casefold())) is not None:
            return said_of
        if not sys.stdin.isatty():
            return None
        for code, text in guess.choices.items():
            say(f"  {code}  {text}")
        asked = f"{guess.dimension}: which is the total (- for none)" if guess.what == "total" else guess.dimension
        return str(typer.prompt(asked, default=guess.guess)).strip()

    return chosen

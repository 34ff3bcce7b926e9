"""freeze, compare: the dated baseline and the progress since."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.console import DataOption, JsonOption, QuietOption, out, print_json, settings_from, steps
from flows.lock import writer_lock

NameArgument = Annotated[str, typer.Argument(help="Name of the baseline, e.g. nulpunkt-2016.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    for command in (freeze, compare):
        app.command()(command)


def freeze(
    name: NameArgument,
    data: DataOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check the frozen bytes instead of freezing.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build it again from its snapshots and compare the bytes.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Freeze what is published as an immutable baseline. Example: kommunekort freeze nulpunkt-2016"""
    from flows import baseline
    from transforms.errors import DataRefused

    settings = settings_from(data)
    with writer_lock(settings.root), steps(quiet) as on_step:
        if rebuild:
            on_step("build the baseline again")
            same = baseline.rebuild(settings, name)
            differing = sorted(file for file, equal in same.items() if not equal)
            if differing:
                raise DataRefused(f"{name}: the rebuild differs in {', '.join(differing)}")
            told = f"{name}: {len(same)} tables rebuilt, every byte the same"
        elif verify:
            told = f"{name}: {len(baseline.verify(settings, name).manifest['files'])} files, every byte as frozen"
        else:
            made = baseline.freeze(settings, name)
            told = f"frozen: {made.folder} (run {made.manifest['run_id']}, {len(made.manifest['files'])} files)"
    if not quiet:
        out.print(told, soft_wrap=True, highlight=False)


def compare(
    name: NameArgument,
    data: DataOption = None,
    outcome: Annotated[
        str, typer.Option("--outcome", help="An outcome of mart.expected.")
    ] = "employment_rate_non_western_pct",
    as_json: JsonOption = False,
) -> None:
    """Set what is published against a baseline. Example: kommunekort compare nulpunkt-2016"""
    from flows import baseline
    from flows.commands.inspect import print_rows
    from flows.summary import MARK

    settings = settings_from(data)
    with writer_lock(settings.root):
        result = baseline.compare(settings, name, outcome)
    if as_json:
        print_json(result)
        return
    if result["is_synthetic"]:
        out.print(f"[bold]{MARK}[/]")
    out.print(f"{outcome}: {result['baseline_period']} -> {result['later_period']}", highlight=False)
    for part in ("groups", "difference_in_differences"):
        rows = result[part]
        print_rows(rows, [key for key in rows[0] if not key.startswith("caution")])
    out.print(result["difference_in_differences"][0]["caution_da"], soft_wrap=True)
    out.print(result["difference_in_differences"][0]["caution_en"], soft_wrap=True)
    out.print(f"all municipalities: {result['file']}", soft_wrap=True, highlight=False)

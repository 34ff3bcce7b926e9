"""doctor: what is wrong with the installation and the data folder, and how to cure it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.console import DataOption, JsonOption, out, print_json, settings_from


def register(app: typer.Typer) -> None:
    """Add the command of this module to the app."""
    app.command()(doctor)


def doctor(
    data: DataOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the public APIs too whether they answer.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for everything that can be wrong; exit code 1 when anything is. Example: kommunekort doctor"""
    from flows.doctor import examine

    found = examine(settings_from(data), live=live)
    if as_json:
        print_json({check: [asdict(fault) for fault in faults] for check, faults in found.items()})
    else:
        for check, faults in found.items():
            lines = [f"FAULT {fault.check}: {fault.found}; cure: {fault.cure}" for fault in faults]
            for line in lines or [f"ok    {check}"]:
                out.print(line, soft_wrap=True, highlight=False, markup=False)
    if any(found.values()):
        raise typer.Exit(1)

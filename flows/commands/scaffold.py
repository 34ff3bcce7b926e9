"""new-source: write the two files of a source from the publisher's own description of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.console import DataOption, out, settings_from
from transforms.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    app.command("new-source")(new_source)


def new_source(
    connector: Annotated[str, typer.Argument(help="Where the table is published: statbank.")],
    table: Annotated[str, typer.Argument(help="The table's id at the publisher, e.g. RAS210.")],
    origin: Annotated[
        str, typer.Option("--from", help="sample: the stand-in's tables; live: the StatBank API.")
    ] = "live",
    root: Annotated[Path, typer.Option("--root", help="The checkout to write into.")] = Path(),
    data: DataOption = None,
) -> None:
    """Write source file, staging SQL and a fixture for a table. Example: kommunekort new-source statbank RAS210"""
    from flows.connectors.http import open_client
    from flows.connectors.statbank import tableinfo
    from flows.fetch import statbank_base
    from flows.scaffold import check_checkout
    from flows.scaffold import new_source as write_source
    from transforms.catalogue import load_catalogue

    if connector != "statbank":
        raise UsageError(f"{connector}: only statbank tables describe themselves; copy a file of flows/sources instead")
    if origin not in ("sample", "live"):
        raise UsageError(f"--from {origin}: choose sample or live")
    check_checkout(root.resolve())
    settings = settings_from(data)
    with (
        statbank_base(settings, load_catalogue(), "live" if origin == "live" else "sample") as base,
        open_client(base, contact=settings.contact) as client,
    ):
        made = write_source(tableinfo(client, table, "da"), tableinfo(client, table, "en"), root.resolve())
    for path in made.paths:
        out.print(f"wrote {path}", soft_wrap=True, highlight=False)
    for question in made.questions:
        out.print(f"to settle: {question}", soft_wrap=True, highlight=False, markup=False)

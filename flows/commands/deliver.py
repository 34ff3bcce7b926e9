"""deliver, keygen: the municipalities' own extracts, received with a receipt."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.console import DataOption, JsonOption, QuietOption, err, out, print_json, settings_from, steps
from flows.lock import writer_lock
from transforms.errors import DataRefused, UsageError


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    for command in (deliver, keygen):
        app.command()(command)


def deliver(
    files: Annotated[list[Path] | None, typer.Argument(help="CSV, XLSX or ZIP files.")] = None,
    municipality: Annotated[
        str | None, typer.Option("--municipality", "-m", help="Whose delivery it is, when the files do not say.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="cases, measures, employment or organisation.")] = None,
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
        from flows.connectors.deliveries_template import template as write_template

        path = write_template(template, to or Path(f"kommunekort-{template}.xlsx"))
        out.print(f"wrote {path}", soft_wrap=True, highlight=False)
        return
    if not files:
        raise UsageError("name at least one file to deliver, or --template organisation for an empty form")
    from flows.connectors.deliveries import deliver as receive

    with writer_lock(settings.root), steps(quiet or as_json) as on_step:
        on_step("receive the deliveries")
        receipts = receive(files, municipality, settings.root, settings.key_file.expanduser(), kind=kind, period=period)
    if as_json:
        print_json([asdict(receipt) for receipt in receipts])
    elif not quiet:
        for receipt in receipts:
            out.print(receipt.line(), soft_wrap=True, highlight=False, markup=False)
            out.print(f"  {receipt.path_html}", soft_wrap=True, highlight=False, markup=False)
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
    from flows.keys import keygen as make_key

    settings = settings_from(data)
    path = (key_file or settings.key_file).expanduser()
    if rotate:
        from flows.connectors.deliveries_rotation import rotate as change_key

        with writer_lock(settings.root):
            new_id = change_key(path, settings.root)
        err.print(f"key {new_id} is in force; put the new {path} beside your safe copy of the old one")
        return
    key_id = make_key(path, settings.root)
    err.print(f"key {key_id} is in {path}; keep a copy where it is safe: without it no delivery can be linked again")

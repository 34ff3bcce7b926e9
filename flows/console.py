"""What commands share: settings from flags, the console, steps shown as they happen, errors in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from flows.settings import Settings
from flows.steps import listening
from transforms.errors import UsageError

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of everything that is written (else KOMMUNEKORT_DATA, else ./data)."),
]
FromOption = Annotated[
    str,
    typer.Option("--from", help="sample (synthetic, the default), live (the public APIs), or a folder of files."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for scripts, nothing else.")]

out = Console(soft_wrap=False)
err = Console(stderr=True)


def settings_from(data: Path | None) -> Settings:
    """Return the settings, with `--data` before the environment; UsageError naming what is wrong."""
    try:
        return Settings() if data is None else Settings(data=data)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"KOMMUNEKORT_{name}: {first['msg']}") from None


@contextmanager
def steps(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that tells the step at work: on a terminal, with a bar per download; nothing in a pipe."""
    if quiet or not err.is_terminal:
        yield lambda text: None
        return
    from flows.progress import Display

    with Display(err) as display, listening(display):
        yield display.step


def print_json(value: Any) -> None:
    """Print one JSON object to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")

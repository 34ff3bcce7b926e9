"""What commands share: the console, steps shown as they happen, errors in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from flows.run.steps import Listener, listening

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
PIPED_WIDTH = 100_000


def say(text: str, style: str = "") -> None:
    """Print a line as it is, however long, whatever signs it holds."""
    out.print(text, soft_wrap=True, highlight=False, markup=False, style=style)


@contextmanager
def steps(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that tells the step at work: on a terminal, with a bar per download; nothing in a pipe."""
    if quiet or not err.is_terminal:
        yield lambda text: None
        return

    with Display(err) as display, listening(display):
        yield display.step


def print_json(value: Any) -> None:
    """Print one JSON object to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")


def answer(value: Any, lines: Iterable[str], *, as_json: bool, quiet: bool = False) -> None:
    """Print what a command found: as JSON where that is asked for, else line by line, unless it is to be quiet."""
    if as_json:
        print_json(value)
    elif not quiet:
        for line in lines:
            say(line)


def print_rows(rows: list[dict[str, Any]], names: tuple[str, ...] | list[str]) -> None:
    """Print rows as a neat table; numbers to the right, empty cells as a dash.

    What is piped is as wide as it needs to be, so that no id or word is broken over lines; on a terminal ids and
    codes stay whole and long texts fold.
    """
    table = Table()
    for name in names:
        numeric = all(isinstance(row[name], int | float | Decimal) for row in rows if row[name] is not None)
        whole = not out.is_terminal or name.endswith(("_id", "_code")) or name in ("snapshot", "table_name", "rule")
        table.add_column(name, justify="right" if numeric and rows else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text("–" if row[name] is None else str(row[name])) for name in names))
    if out.is_terminal:
        out.print(table)
    else:
        Console(width=PIPED_WIDTH).print(table)


# The terminal's picture of a run at work: the step in words, and a bar for each download.


class Display(Listener):
    """Listens to a run and draws it; what it drew is gone when the block ends. Warnings are the log's, above it.

    A download's bar is as long as the last extract of its source was; without one it only shows that bytes come in,
    since StatBank does not say how many there will be.
    """

    def __init__(self, console: Console):
        self._work = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console)
        self._downloads = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}
        self._now = self._work.add_task("starting", total=None)
        self._live = Live(Group(self._work, self._downloads), console=console, transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._live.stop()

    def step(self, text: str) -> None:
        """Show the step at work."""
        self._work.update(self._now, description=text)

    def transfer(self, name: str, size: int, expected: int | None) -> None:
        """Show how far a download has come; the bar of one that is larger than the last time stays full."""
        total = max(size, expected) if expected else None
        is_new = name not in self._bars
        if is_new:
            self._bars[name] = self._downloads.add_task(name, total=total)
        self._downloads.update(self._bars[name], completed=size, total=total)
        if is_new:
            self._live.refresh()  # the quickest download is seen, too

    def transferred(self, name: str) -> None:
        """Take a download that has ended out of the picture."""
        if name in self._bars:
            self._downloads.remove_task(self._bars.pop(name))

"""The terminal's picture of a run at work: the step in words, and a bar for each download."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TransferSpeedColumn


class Display:
    """Listens to a run and draws it; what it drew is gone when the block ends.

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
        if name not in self._bars:
            self._bars[name] = self._downloads.add_task(name, total=total)
        self._downloads.update(self._bars[name], completed=size, total=total)

    def transferred(self, name: str) -> None:
        """Take a download that has ended out of the picture."""
        if name in self._bars:
            self._downloads.remove_task(self._bars.pop(name))

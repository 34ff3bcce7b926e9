"""Tables with periods as columns: statistikbanken.dk's Excel sheet and the wide CSV, as one row per cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.connectors.statbank_decode import FileShape, refusal
from flows.connectors.statbank_table import MARKS, Table, in_memory, is_period

TIME = "TID"
_NUMBER = re.compile(r"[-−]?[0-9][0-9.,  ]*")


@dataclass(frozen=True)
class _Layout:
    """Where things stand: the row of periods, the first value column, the head rows and the data rows."""

    periods: int
    left: int
    heads: tuple[int, ...]
    first: int
    last: int


def read_grid(path: Path, shape: FileShape, grid: list[list[str]], table_id: str | None) -> Table:
    """Return the grid as a table: its stub and head columns unnamed unless a heading names them, periods as TID.

    The publisher's layout: title and unit above, one row of periods (head variables in rows beside it, written
    once per group), stub columns filled only on the first row of a group, footnotes below the last figure.
    Raises DataRefused when there is no row of periods or no figure.
    """
    width = max(map(len, grid), default=0)
    grid = [row + [""] * (width - len(row)) for row in grid]
    layout = _layout(path, grid)
    headings = grid[layout.periods][: layout.left]
    heads = [_filled_right(grid[row], layout.left) for row in layout.heads]
    rows: list[tuple[int, Sequence[str], str]] = []
    stub = [""] * layout.left
    for number in range(layout.first, layout.last + 1):
        row = grid[number]
        if not any(row):
            continue
        stub = _filled_down(stub, row[: layout.left])
        for column in range(layout.left, width):
            if not grid[layout.periods][column]:
                if row[column]:
                    raise refusal(
                        path,
                        "a figure stands under no period",
                        "download the table again",
                        row=number + 1,
                        value=row[column],
                    )
                continue
            cells = (*stub, *(head[column] for head in heads), grid[layout.periods][column])
            rows.append((number + 1, cells, row[column]))
    names = (*(name or None for name in headings), *(None for _ in heads), TIME)
    statement = " ".join(cell for row in grid[: layout.periods] for cell in row if cell)
    return Table(path, shape, names, in_memory(rows), statement, table_id)


def _layout(path: Path, grid: list[list[str]]) -> _Layout:
    candidates = [(sum(map(is_period, row[1:])), -number) for number, row in enumerate(grid)]
    count, negative = max(candidates, default=(0, 0))
    if not count:
        raise refusal(path, "no row of periods above the figures", "download the table with time in the columns")
    periods = -negative
    left = next(i for i, cell in enumerate(grid[periods]) if i and is_period(cell))
    strange = next((cell for cell in grid[periods][left:] if cell and not is_period(cell)), None)
    if strange is not None:
        raise refusal(
            path, "not a period, in the row of periods", "keep only periods there", row=periods + 1, value=strange
        )
    figures = [n for n in range(periods + 1, len(grid)) if any(map(_is_figure, grid[n][left:]))]
    if not figures:
        raise refusal(path, "no figures below the periods", "download the table again", row=periods + 1)
    above = [n for n in range(periods) if not any(grid[n][:left]) and any(grid[n][left:])]
    below = [n for n in range(periods + 1, figures[0]) if any(grid[n][left:])]
    return _Layout(periods, left, (*above, *below), figures[0], figures[-1])


def _is_figure(cell: str) -> bool:
    return bool(cell) and (cell in MARKS or _NUMBER.fullmatch(cell) is not None)


def _filled_right(row: Sequence[str], left: int) -> list[str]:
    filled, latest = list(row), ""
    for column in range(left, len(row)):
        latest = filled[column] = row[column] or latest
    return filled


def _filled_down(above: Sequence[str], stub: Sequence[str]) -> list[str]:
    """Return the row's stub: blanks to the left of its first text are those of the row above."""
    first = next((i for i, cell in enumerate(stub) if cell), len(stub))
    return [*above[:first], *stub[first:]]

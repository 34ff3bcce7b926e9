"""One shape for every extract: columns of text, cell by cell, whatever file they came in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.connectors.statbank_decode import FileShape

# The value column's heading in API answers and in hand-made files, casefolded.
VALUE_NAMES = frozenset({"indhold", "contents", "content", "value", "værdi"})
MARKS = frozenset({"..", "-", ".", "...", ""})

_PERIOD = re.compile(
    r"(?:(?:19|20)\d\d)(?:[KQkq][1-4]|[Mm](?:0[1-9]|1[0-2])|[Hh][12]|U(?:0[1-9]|[1-4]\d|5[0-3])"
    r"|/(?:19|20)\d\d)?"
)


@dataclass(frozen=True)
class Chunk:
    """Some rows, column by column: file row numbers, one sequence per dimension column, and the values."""

    rows: Sequence[int]
    columns: Sequence[Sequence[str]]
    values: Sequence[str]


@dataclass(frozen=True)
class Table:
    """An extract as columns of text.

    `names` are the headings of the dimension columns, None where the form has none (XLSX stubs); `chunks`
    starts a new pass over the rows; `statement` is what stands around the cells (title, unit), for telling a
    selector that has no column; `table_id` is the table's id when the file itself says it.
    """

    path: Path
    shape: FileShape
    names: tuple[str | None, ...]
    chunks: Callable[[], Iterator[Chunk]]
    statement: str = ""
    table_id: str | None = None


def is_period(text: str) -> bool:
    """Return whether `text` is a period as StatBank writes it in either language (2015, 2015K1, 2015Q1, 2015M01)."""
    return _PERIOD.fullmatch(text.strip()) is not None


def in_memory(rows: Sequence[tuple[int, Sequence[str], str]]) -> Callable[[], Iterator[Chunk]]:
    """Return the `chunks` of rows that were read whole: (row number, dimension cells, value)."""

    def once() -> Iterator[Chunk]:
        if rows:
            numbers, cells, values = zip(*rows, strict=True)
            yield Chunk(numbers, list(zip(*cells, strict=True)), values)

    return once

"""The canonical CSV: UTF-8, `;`, LF, ids of the source in its order, codes; and files that are it already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from flows.connectors.statbank_decode import UTF8_BOM
from flows.connectors.statbank_labels import Resolver
from flows.connectors.statbank_table import MARKS

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Source

VALUE = "INDHOLD"
COUNTED_UNITS = frozenset({"persons", "jobs", "dwellings", "count"})
ZEROS = frozenset({"0", "0.0", "0.00", "0.000", "0.0000"})
_BLOCK = 1 << 18
_CHECKED_LINES = 500
_ZERO = re.compile(rb";0\.0+\r?\n")
_GROUPED = re.compile(rb";-?[0-9]+\.[0-9]{3}\r?\n")
_FRACTION = re.compile(rb"[0-9]\.")


@dataclass(frozen=True)
class Scan:
    """What one fast pass over a canonical file counted: data rows, and whether a cell is an explicit zero."""

    rows: int
    has_zero: bool


def header_of(source: Source) -> str:
    """Return the canonical header line of a source, without line end."""
    return ";".join([*(dimension.id.upper() for dimension in source.dimensions), VALUE])


def is_canonical(path: Path, source: Source, catalogue: Catalogue) -> bool:
    """Return whether a file can be scanned in place: UTF-8, `;`, the source's header, codes, plain numbers.

    Codes are checked on the first and last 500 rows; the bytes of all rows are searched for what only texts, quotes,
    Danish decimals, thousands points, blank lines or a cut end would leave there. Never raises for a file's content.
    """
    return canonical_scan(path, source, catalogue) is not None


def canonical_scan(path: Path, source: Source, catalogue: Catalogue) -> Scan | None:
    """Return the counts of a canonical file (see is_canonical), or None when it must be normalised first."""
    header = header_of(source).encode()
    with path.open("rb") as file:
        first = file.readline(4096).removeprefix(UTF8_BOM)
        if first.rstrip(b"\r\n") != header or not first.endswith(b"\n"):
            return None
        if not _ends_are_codes(path, file.tell(), source, catalogue):
            return None
        rows, has_zero, tail = 0, False, b"\n"
        while block := file.read(_BLOCK):
            seam = tail + block
            lines = _lines(seam)
            if not _plain(seam, source.decimals) or lines.is_odd:
                return None
            rows += lines.ends - tail.count(b"\n")
            has_zero = has_zero or lines.has_zero or (b"." in seam and _ZERO.search(seam) is not None)
            tail = seam[-64:]
        return Scan(rows, has_zero) if rows and tail.endswith(b"\n") else None


@dataclass(frozen=True)
class _Lines:
    """What the line ends of a block tell: how many, whether a line is blank or ends half, whether a cell is 0."""

    ends: int
    is_odd: bool
    has_zero: bool


def _lines(block: bytes) -> _Lines:
    """Look at a block as an array: six times faster than searching the bytes for short patterns."""
    import numpy as np

    signs = np.frombuffer(block, np.uint8)
    ends = signs == ord("\n")
    after, lone = ends, False
    if b"\r" in block:
        returns = signs == ord("\r")
        lone = bool((returns[:-1] > ends[1:]).any())
        after = ends | returns
    blank = bool((ends[:-1] & after[1:]).any())
    zeros = after[2:] & (signs[1:-1] == ord("0")) & (signs[:-2] == ord(";"))
    return _Lines(int(np.count_nonzero(ends)), blank or lone, bool(zeros.any()))


def _plain(block: bytes, decimals: int) -> bool:
    if not block.isascii() or any(sign in block for sign in (b",", b'"', b" ", b"\t")):
        return False
    if b"." not in block:
        return True
    if decimals == 0:
        return _FRACTION.search(block) is None
    return decimals < 3 and _GROUPED.search(block) is None


def _ends_are_codes(path: Path, start: int, source: Source, catalogue: Catalogue) -> bool:
    with path.open("rb") as file:
        file.seek(start)
        lines = [file.readline(4096) for _ in range(_CHECKED_LINES)]
        file.seek(max(start, path.stat().st_size - 100 * _CHECKED_LINES))
        lines += file.read().splitlines(keepends=True)[1:][-_CHECKED_LINES:]
    resolvers = [Resolver(catalogue, source, dimension) for dimension in source.dimensions]
    return all(_is_row_of_codes(line, resolvers) for line in lines if line)


def _is_row_of_codes(line: bytes, resolvers: Sequence[Resolver]) -> bool:
    try:
        *cells, value = line.decode("ascii").rstrip("\r\n").split(";")
    except UnicodeDecodeError:
        return False
    if len(cells) != len(resolvers) or not (value in MARKS or re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value)):
        return False
    matches = [resolver.match(cell) for resolver, cell in zip(resolvers, cells, strict=True)]
    pinned = [resolver.dimension.select[0] for resolver in resolvers]
    return all(
        match is not None and match.code == cell and (resolver.dimension.role != "selector" or match.code == pin)
        for match, cell, resolver, pin in zip(matches, cells, resolvers, pinned, strict=True)
    )


def guess_rectangle(rows: Iterable[Sequence[str]]) -> bool:
    """Return whether a combination absent from these canonical rows means zero.

    The rule: StatBank's BULK leaves out the cells that are zero, its other forms print them. So an absent combination
    means zero when (1) no row says zero and (2) at least one combination of the codes the rows themselves use is
    absent. A file with one explicit zero prints its zeros: what it lacks was not asked for. A full rectangle has
    nothing absent. Rows are the dimension codes followed by the value. The rule holds for counts only: the callers
    here apply it to sources whose unit is persons, jobs, dwellings or count, since an absent rate is unknown.
    """
    keys: set[tuple[str, ...]] = set()
    for *cells, value in rows:
        if value in ZEROS:
            return False
        keys.add(tuple(cells))
    return lacks_cells(len(keys), [set(column) for column in zip(*keys, strict=True)])


def lacks_cells(rows: int, codes: Sequence[set[str]]) -> bool:
    """Return whether `rows` distinct rows are fewer than the combinations of the codes used in each dimension."""
    return 0 < rows < prod(map(len, codes))

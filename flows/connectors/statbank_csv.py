"""StatBank's CSV and BULK: the delimiter told from the content, and rows read column by column in chunks."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from flows.connectors.statbank_decode import (
    UTF8_BOM,
    FileShape,
    Limits,
    blocks,
    check_text,
    encoding_of,
    line_chunks,
    refusal,
)
from flows.connectors.statbank_table import VALUE_NAMES, Chunk, Table, is_period

DELIMITERS = (";", "\t", ",")
_LOOKED_AT = 60


def csv_shape(path: Path, gz: bool) -> FileShape:
    """Return the shape of a text file; DataRefused when it is neither a long nor a wide extract."""
    encoding = encoding_of(path, gz)
    head = next(blocks(path, gz))
    text = codecs.getincrementaldecoder(encoding)().decode(head.removeprefix(UTF8_BOM))
    check_text(path, text)
    if "\n" not in text and "\r" in text:
        raise refusal(path, "its lines end with CR alone", "save it as CSV UTF-8 again")
    first_line = text.split("\n", 1)[0]
    newline = "\r\n" if first_line.endswith("\r") else "\n"
    lines = [line for line in text.splitlines()[:_LOOKED_AT] if line.strip()]
    if not lines:
        raise refusal(path, "the file is empty", "download it again")
    bom = head.startswith(UTF8_BOM)
    for delimiter in DELIMITERS:
        header = _fields(first_line.rstrip("\r"), delimiter)
        if VALUE_NAMES & {name.casefold() for name in header}:
            return FileShape("csv", gz, encoding, bom, newline, delimiter, "long", tuple(header))
    delimiter, periods = max(((d, _most_periods(lines, d)) for d in DELIMITERS), key=lambda pair: pair[1])
    if periods:
        return FileShape("csv", gz, encoding, bom, newline, delimiter, "wide")
    raise refusal(
        path,
        "no value column INDHOLD and no row of periods, so it is no StatBank extract",
        "download the table from statistikbanken.dk as CSV",
        row=1,
        value=lines[0],
    )


def read_long(path: Path, shape: FileShape, limits: Limits) -> Table:
    """Return a long CSV as a table whose chunks stream from the file; the header is checked here."""
    names = list(shape.header)
    folded = [name.casefold() for name in names]
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise refusal(path, "the column stands twice", "download the table again", row=1, value=twice)
    value_at = next(i for i, name in enumerate(folded) if name in VALUE_NAMES)

    def chunks() -> Iterator[Chunk]:
        first = 1
        for lines in line_chunks(path, shape, limits):
            numbers = range(first, first + len(lines))
            first += len(lines)
            if numbers[0] == 1:
                lines, numbers = lines[1:], numbers[1:]
            columns, kept = _columns(path, lines, numbers, shape.delimiter, len(names))
            if kept:
                yield Chunk(kept, columns[:value_at] + columns[value_at + 1 :], columns[value_at])

    return Table(path, shape, tuple(names[:value_at] + names[value_at + 1 :]), chunks)


def read_cells(path: Path, shape: FileShape, limits: Limits) -> list[list[str]]:
    """Return a wide CSV as a grid of text, one list per file row, blank rows kept so that row numbers hold."""
    if path.stat().st_size > limits.in_memory_bytes:
        raise refusal(path, "too large to be read as periods in columns", "download it as CSV with one value per row")
    lines = list(chain.from_iterable(line_chunks(path, shape, limits)))
    return [[cell.strip() for cell in _fields(line, shape.delimiter)] if line.strip() else [] for line in lines]


def _columns(
    path: Path, lines: list[str], numbers: Sequence[int], delimiter: str, width: int
) -> tuple[list[Sequence[str]], Sequence[int]]:
    """Return the columns of some lines and the row numbers kept; DataRefused for a row that is not `width` wide."""
    text = delimiter.join(lines)
    if '"' not in text and {line.count(delimiter) for line in lines} == {width - 1}:
        # Without quotes one split and a stride per column do, four times as fast as a list per row.
        cells = text.split(delimiter)
        return [cells[column::width] for column in range(width)], numbers
    rows, kept = [], []
    for number, line in zip(numbers, lines, strict=True):
        # Line by line, so that one stray quote cannot swallow the lines after it.
        if not line.strip():
            continue
        row = _fields(line, delimiter)
        if len(row) != width:
            cut = "it may be cut off" if len(row) < width else "a text may hold the delimiter without quotes"
            raise refusal(
                path,
                f"{len(row)} fields where the header has {width}; {cut}",
                "download it again with ';' between the fields",
                row=number,
                value=line,
            )
        rows.append(row)
        kept.append(number)
    return list(zip(*rows, strict=True)), kept


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        # A quote that is never closed, or a field beyond the reader's bound: the plain split shows it as it is.
        return line.split(delimiter)


def _most_periods(lines: list[str], delimiter: str) -> int:
    return max((sum(map(is_period, _fields(line, delimiter)[1:])) for line in lines), default=0)

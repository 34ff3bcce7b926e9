"""A delivered CSV as blocks of text columns: any usual delimiter and encoding, every row accounted for."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from flows.connectors.deliveries_contract import Contract
from flows.connectors.deliveries_faults import Refusal
from flows.connectors.deliveries_files import BOM, ZIP_ERRORS, Bounds, Part
from flows.connectors.deliveries_layout import HEADING_ROWS, Layout, find_layout

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

DELIMITERS = ";\t,|"
BLOCK = 8 << 20


@dataclass(frozen=True)
class Block:
    """Some rows of a table: field name -> texts, the row number of each, and the rows that have no such shape."""

    columns: dict[str, pa.Array]
    rows: np.ndarray
    misshapen: list[int]


def read_layout(part: Part, contracts: Iterable[Contract], bounds: Bounds) -> tuple[Layout, str, int]:
    """Return layout, delimiter and the number of physical lines up to and with the heading.

    Raises Refusal when no row among the first 25 is a heading of any kind of delivery.
    """
    contracts = list(contracts)
    with part.open() as stream:
        text = b"".join(_first(_utf8(stream, part), 1 << 20)).decode("utf-8", "ignore")
    best: tuple[int, Layout, str, int] | None = None
    for delimiter in DELIMITERS:
        rows, lines = _first_rows(text, delimiter)
        layout = find_layout(rows, contracts, part.hint)
        if layout and (best is None or len(layout.positions) > best[0]):
            best = (len(layout.positions), layout, delimiter, lines[layout.heading_row])
    if best is None:
        if "Ã¸" in text or "Ã¦" in text or "Ã¥" in text:
            raise Refusal(
                part.label,
                "Bogstaverne æ, ø og å er kodet to gange; dan filen igen som UTF-8.",
                "the letters æ, ø, å were encoded twice; export the file again as UTF-8",
            )
        raise Refusal(
            part.label,
            "Ingen række med en leverances overskrifter; brug skabelonens overskrifter.",
            "no row with the headings of a delivery; use those of the template",
        )
    if best[1].width > bounds.columns:
        raise Refusal(
            part.label,
            f"{best[1].width} kolonner; der læses højst {bounds.columns}.",
            f"{best[1].width} columns; at most {bounds.columns} are read",
        )
    return best[1:]


def read_blocks(part: Part, layout: Layout, delimiter: str, skip_lines: int, bounds: Bounds) -> Iterator[Block]:
    """Yield the rows under the heading in blocks of about 8 MB. Row 1 is the table's first row."""
    row = layout.heading_row + 2
    with part.open() as stream:
        for block in _whole_lines(_utf8(stream, part), skip_lines, part.label, bounds):
            parsed = _parse(block, layout, delimiter, row, part.label)
            row += len(parsed.rows) + len(parsed.misshapen)
            yield parsed


def _first_rows(text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            rows.append(row)
            lines.append(reader.line_num)
            if len(rows) >= HEADING_ROWS:
                break
    except csv.Error:
        pass  # what was read so far is enough to look for a heading in
    return rows, lines


def _first(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


def _utf8(stream: IO[bytes], part: Part) -> Iterator[bytes]:
    """Yield the stream as UTF-8 without byte-order mark."""
    decoder = None if part.encoding == "utf-8" else codecs.getincrementaldecoder(part.encoding)()
    first = True
    try:
        while chunk := stream.read(BLOCK):
            if decoder:
                chunk = decoder.decode(chunk).removeprefix("\ufeff" if first else "").encode()
            elif first:
                chunk = chunk.removeprefix(BOM)
            first = False
            yield chunk
        if decoder:
            yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise Refusal(
            part.label,
            "Tegnsættet kan ikke læses; dan filen som UTF-8.",
            f"bytes that are no {part.encoding} text; export the file as UTF-8",
        ) from None
    except ZIP_ERRORS:
        raise Refusal(
            part.label, "Filen kan ikke læses til ende; send den igen.", "cannot be read to its end; deliver it again"
        ) from None


def _whole_lines(chunks: Iterator[bytes], skip_lines: int, label: str, bounds: Bounds) -> Iterator[bytes]:
    """Yield blocks that end at a line's end and, where a closing quote is near, not inside a quoted cell."""
    rest, line_end = b"", b""
    for chunk in chunks:
        buffer = rest + chunk
        line_end = line_end or (b"\n" if b"\n" in buffer else b"\r" if b"\r" in buffer else b"")
        while skip_lines and line_end in buffer and line_end:
            buffer = buffer[buffer.index(line_end) + 1 :]
            skip_lines -= 1
        cut = buffer.rfind(line_end) + 1 if line_end and not skip_lines else 0
        if cut and buffer.count(b'"', 0, cut) % 2 and len(buffer) <= BLOCK + bounds.line:
            cut = 0
        if len(buffer) - cut > BLOCK + 2 * bounds.line:
            raise Refusal(
                label,
                f"En linje er længere end {bounds.line:,} bytes; skriv én række pr. linje.",
                f"a line longer than {bounds.line:,} bytes; deliver one row per line",
            )
        if cut:
            yield buffer[:cut]
        rest = buffer[cut:]
    if rest and not skip_lines:
        yield rest


def _parse(block: bytes, layout: Layout, delimiter: str, first_row: int, label: str) -> Block:
    """Return one block as text columns; rows of another width are set apart by their number."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as pacsv

    misshapen: list[int] = []

    def set_apart(row: pacsv.InvalidRow) -> str:
        misshapen.append(row.number or 0)
        return "skip"

    def read(*, threads: bool) -> pa.Table:
        misshapen.clear()
        names = [str(number) for number in range(layout.width)]
        wanted = [str(position) for position in layout.positions.values()]
        return pacsv.read_csv(
            pa.BufferReader(block),
            read_options=pacsv.ReadOptions(use_threads=threads, block_size=len(block) + 1, column_names=names),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=set_apart
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )

    try:
        table = read(threads=True)
        if misshapen:  # row numbers are only known when one thread reads
            table = read(threads=False)
    except (pa.ArrowInvalid, ValueError):
        # No cause attached: the library's message quotes the row.
        raise Refusal(
            label,
            f"Tabellen kan ikke læses efter række {first_row}; kontrollér anførselstegn og skilletegn.",
            f"cannot be read as a table after row {first_row}; check quotes and delimiters",
        ) from None
    total = table.num_rows + len(misshapen)
    if b'"' in block:
        _refuse_swallowed(block, total, bool(misshapen), layout.width, delimiter, first_row, label)
    numbers = np.arange(first_row, first_row + total)
    bad = [first_row + number - 1 for number in misshapen]
    columns = {name: table.column(str(position)).combine_chunks() for name, position in layout.positions.items()}
    return Block(columns, np.setdiff1d(numbers, bad, assume_unique=True) if bad else numbers, bad)


def _refuse_swallowed(
    block: bytes, total: int, any_bad: bool, width: int, delimiter: str, first_row: int, label: str
) -> None:
    """Refuse a block where a stray quote has made one cell of several rows; an honest multi-line note passes."""
    lines = block.count(b"\n") + (not block.endswith(b"\n")) if b"\n" in block else total
    if total == lines:
        return
    if any_bad or _holds_rows_in_a_cell(block.decode(), width, delimiter):
        raise Refusal(
            label,
            f"Et anførselstegn efter række {first_row} åbnes uden at lukkes, så rækker løber sammen; fjern det.",
            f"a quote after row {first_row} is opened and not closed, so rows run together; remove it",
        )


def _holds_rows_in_a_cell(text: str, width: int, delimiter: str) -> bool:
    try:
        return any(
            "\n" in cell and cell.count(delimiter) >= width - 1
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            for cell in row
        )
    except csv.Error:  # a cell beyond the reader's limit is no note
        return True

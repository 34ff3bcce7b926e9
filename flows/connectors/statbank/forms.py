"""One door for every form of a StatBank file: sniff it, open it as a table, decode its numbers.

One module, since one guarded door opens every form: CSV, workbook, JSON-stat and BULK.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import unicodedata
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate, chain, compress, product
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from flows.store.archives import ZIP_ERRORS, ZIP_MAGIC, Bounds, sheet_sizes
from transforms.errors import DataRefused

# Bytes to text: which form a StatBank extract has, and its lines, or one sentence that says why not.


BLOCK = 1 << 20
UTF8_BOM = codecs.BOM_UTF8
# UTF-8 read as Windows-1252 gives Ã or Â followed by what stands for a continuation byte.
_MOJIBAKE = re.compile("[ÃÂ][\u0080-\u00bf\u0152-\u02dc\u2013-\u2122]|\ufffd")
_SIGNATURES = {
    b"\xd0\xcf\x11\xe0": "an old .xls or a password-protected workbook; save it as .xlsx without password",
    b"%PDF": "a PDF; download the table as CSV",
    b"\x89PNG": "an image; download the table as CSV",
    b"\xff\xd8\xff": "an image; download the table as CSV",
    b"PAR1": "a Parquet file; download the table as CSV",
    b"SQLite format 3": "a database, perhaps a GeoPackage of boundaries; download the table as CSV",
    b"Rar!": "a RAR archive; unpack it, or send a ZIP",
    b"7z\xbc\xaf": "a 7z archive; unpack it, or send a ZIP",
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Format = Literal["csv", "xlsx", "jsonstat", "px"]


# How much one file may ask for before it is refused unread.
IN_MEMORY_BYTES = 100_000_000  # forms that must be read whole: XLSX, JSON-stat, wide CSV
WORKBOOK_BOUNDS = Bounds(most=300_000_000, times=200)
LINE_CHARS = 1_000_000


@dataclass(frozen=True)
class FileShape:
    """What a file is made of, told from its bytes alone.

    `layout` is `long` (one row per cell, a value column) or `wide` (periods as columns); `header` is the heading's
    fields of a long CSV and empty for the other forms. `above` counts the lines over the heading (`sep=;`, a title);
    `has_row_names` tells that each row begins with a number of its own.
    """

    format: Format
    gz: bool = False
    encoding: str = "utf-8"
    delimiter: str = ";"
    layout: Literal["long", "wide"] = "long"
    header: tuple[str, ...] = ()
    above: int = 0
    has_row_names: bool = False
    title: str = ""


def refusal(path: Path, rule: str, next_step: str, *, row: int | None = None, value: str | None = None) -> DataRefused:
    """Return the error for one file on one line: file, row, value, rule, next step."""
    at = [f"row {row}"] if row is not None else []
    said = [f"'{value[:60]}'"] if value is not None else []
    return DataRefused(one_line(": ".join([path.name, *at, *said, f"{rule}; {next_step}"])))


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, which a file may carry into a message."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def blocks(path: Path, gz: bool) -> Iterator[bytes]:
    """Yield the file's (unzipped) bytes in blocks; DataRefused for a gzip stream that is cut off or damaged."""
    with cast(BinaryIO, gzip.open(path, "rb")) if gz else path.open("rb") as stream:
        try:
            while block := stream.read(BLOCK):
                yield block
        except EOFError:
            raise refusal(path, "the gzip stream is cut off", "download it again") from None
        except (gzip.BadGzipFile, zlib.error):
            raise refusal(path, "the gzip stream is damaged", "download it again") from None


def read_whole(path: Path, gz: bool) -> bytes:
    """Return all (unzipped) bytes of a file that must be read whole; DataRefused above the bound."""
    parts, size = [], 0
    for block in blocks(path, gz):
        size += len(block)
        if size > IN_MEMORY_BYTES:
            rule = f"over {IN_MEMORY_BYTES // 1_000_000} MB in a format that is read into memory"
            raise refusal(path, rule, "download it as CSV with codes")
        parts.append(block)
    return b"".join(parts)


def is_zip(path: Path, head: bytes) -> bool:
    """Tell a ZIP from text; DataRefused for an empty file, another binary format or a web page."""
    if not head.strip():
        raise refusal(path, "the file is empty", "download it again")
    for signature, meaning in _SIGNATURES.items():
        if head.startswith(signature):
            what, step = meaning.split("; ")
            raise refusal(path, f"the file is {what}", step)
    if head.startswith((ZIP_MAGIC, *_UTF16)):
        return head.startswith(ZIP_MAGIC)
    if b"\x00" in head:
        raise refusal(path, "the file is binary, not an extract", "download the table as CSV")
    if re.match(rb"(\xef\xbb\xbf)?\s*<", head):
        raise refusal(path, f"the file is {_markup(path, head)}, not data", "download the table as CSV")
    return False


def _markup(path: Path, head: bytes) -> str:
    """Return what a file that begins with `<` is."""
    start = head[:4096].lower()
    if b"urn:schemas-microsoft-com:office:spreadsheet" in start and b"<html" not in start:
        return "Excel's XML of 2003"
    if b"<html" not in start and b"<!doctype html" not in start and b"<table" not in start:
        return "XML"
    return "a web page saved as Excel" if path.suffix.lower() in (".xls", ".xlsx") else "a web page"


# The letters a Danish extract holds outside ASCII; what else an old code page makes of the bytes is another language.
_LETTERS = frozenset("æøåÆØÅéÉèüÜöÖäÄáóíúñçôêëïâîûß–—’‘´`“”§°·½²³µ©®\u00a0«»±×…•")
_CODE_PAGES = ("cp1252", "cp850", "mac_roman")


def encoding_of(path: Path, gz: bool) -> str:
    """Return the encoding that reads every byte: UTF-8, UTF-16 (by its mark), or the old code page that fits best.

    Windows, DOS and Mac wrote æ ø å with bytes of their own; the page under which the bytes are letters is taken.
    Raises DataRefused when none does.
    """
    if next(blocks(path, gz)).startswith(_UTF16):
        if _undecodable(path, gz, "utf-16") is not None:
            raise refusal(path, "the UTF-16 is cut off or damaged", "save it as CSV UTF-8")
        return "utf-16"
    broken = _undecodable(path, gz, "utf-8")
    if broken is None:
        return "utf-8"
    if broken.reason == "unexpected end of data":
        raise refusal(path, "cut off inside a letter at the end of the file", "download it again")
    counts: Counter[int] = Counter()
    for block in blocks(path, gz):
        counts.update(block)
    used = {byte: count for byte, count in counts.items() if byte >= 0x80}
    page, fault = min(((page, _misread(page, used)) for page in _CODE_PAGES), key=lambda pair: pair[1])
    if fault > 0.2:
        byte = broken.object[broken.start]
        rule = f"byte 0x{byte:02x} is a Danish letter neither in UTF-8 nor in the code pages of Windows, DOS and Mac"
        raise refusal(path, rule, "save it as CSV UTF-8")
    return page


def _misread(page: str, used: dict[int, int]) -> float:
    """Return the share of the bytes beyond ASCII that are no letter of a Danish text under a code page."""
    strange = 0
    for byte, count in used.items():
        letter = bytes([byte]).decode(page, "replace")
        if letter == "\ufffd":
            return 1.0
        strange += count * (letter not in _LETTERS)
    return strange / sum(used.values())


def _undecodable(path: Path, gz: bool, encoding: str) -> UnicodeDecodeError | None:
    """Return the first fault of a file under an encoding, None when every byte can be read."""
    try:
        deque(codecs.iterdecode(blocks(path, gz), encoding), maxlen=0)
    except UnicodeDecodeError as error:
        return error
    return None


def check_text(path: Path, text: str, first_row: int = 1) -> None:
    """Raise DataRefused when letters were already lost in an earlier conversion (U+FFFD, «Ã¸» for «ø»)."""
    if ("Ã" in text or "Â" in text or "\ufffd" in text) and (lost := _MOJIBAKE.search(text)):
        around = text[max(lost.start() - 12, 0) : lost.end() + 12]
        row = first_row + text.count("\n", 0, lost.start())
        rule = "letters were garbled by an earlier conversion"
        raise refusal(path, rule, "download it again and open it as UTF-8", row=row, value=around)


def line_chunks(path: Path, shape: FileShape) -> Iterator[list[str]]:
    """Yield the file's lines, BOM and line ends removed, a block at a time; the memory used stays constant.

    Raises DataRefused for garbled letters, an endless line, and a last line without its line break: StatBank
    ends every line, so the end of such a file, perhaps the last digits of a value, is missing. A last line that is a
    footnote may end as it likes.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig" if shape.encoding == "utf-8" else shape.encoding)()
    rest, row = "", 1
    for block in blocks(path, shape.gz):
        text = decoder.decode(block)
        if "\u200b" in text or "\ufeff" in text:
            text = text.translate(_INVISIBLE)
        text = composed(text)
        check_text(path, text, row)
        lines = (rest + text).replace("\r\n", "\n").split("\n")
        rest = lines.pop()
        if len(rest) > LINE_CHARS:
            raise refusal(path, "a line has no end", "download it again as CSV with line breaks")
        row += len(lines)
        if lines:
            yield lines
    if rest.strip() and is_footnote(rest, shape.delimiter):
        yield [rest]
    elif rest.strip():
        rule = "the last line has no line break, so the file may be cut off inside a value"
        step = "download it again, or add the line break if the line is whole"
        raise refusal(path, rule, step, value=rest[-60:])


def composed(text: str) -> str:
    """Return a text with å as one letter, where a Mac wrote it as a and a ring."""
    return unicodedata.normalize("NFC", text) if "\u030a" in text else text


_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_FOOTNOTE = re.compile(
    r"\s*\"?(\*|[0-9]+\)|kilde\b|source\b|anm\b|anmærkning|note|noter\b|notes\b|der er |there |fra (?:og|den|1)|from |"
    r"enhed|unit|[¹²³†©])",
    re.IGNORECASE,
)


def is_footnote(line: str, delimiter: str) -> bool:
    """Return whether a line is a remark of one cell, told by how it begins (*, 1), Kilde, Source, Note …)."""
    first, _, rest = line.partition(delimiter)
    return not rest.strip(f'{delimiter} "') and _FOOTNOTE.match(first) is not None


# One shape for every extract: columns of text, cell by cell, whatever file they came in.


# The value column's heading in API answers and in hand-made files, casefolded.
VALUE_NAMES = frozenset({
    "indhold", "contents", "content", "value", "værdi", "antal", "antal personer", "number", "count", "obs_value",
})  # fmt: skip
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
    selector that has no column; `table_id` is the table's id when the file itself says it; `remarks` are what was
    passed over in the file (row names, footnotes, a repeated heading), complete once all rows have been read.
    """

    path: Path
    shape: FileShape
    names: tuple[str | None, ...]
    chunks: Callable[[], Iterator[Chunk]]
    statement: str = ""
    table_id: str | None = None
    remarks: list[str] = field(default_factory=list)

    def remark(self, text: str) -> None:
        """Add a remark, once."""
        if text not in self.remarks:
            self.remarks.append(text)


_TABLE_ID = re.compile(r"[A-ZÆØÅ]{2,}[0-9]+[A-Z0-9]*")
_TITLE_ID = re.compile(rf"\s*({_TABLE_ID.pattern})\s*[:–-]")


def title_id(statement: str) -> str | None:
    """Return the table id a title begins with, as `FOLK1A: Population …`, or None."""
    found = _TITLE_ID.match(statement)
    return found[1] if found else None


def looks_like_period(text: str) -> bool:
    """Return whether `text` is a period as StatBank writes it in either language (2015, 2015K1, 2015Q1, 2015M01)."""
    return _PERIOD.fullmatch(text.strip()) is not None


def in_memory(rows: Sequence[tuple[int, Sequence[str], str]]) -> Callable[[], Iterator[Chunk]]:
    """Return the `chunks` of rows that were read whole: (row number, dimension cells, value)."""

    def once() -> Iterator[Chunk]:
        if rows:
            numbers, cells, values = zip(*rows, strict=True)
            yield Chunk(numbers, list(zip(*cells, strict=True)), values)

    return once


def _cells_of(axes: Iterable[Sequence[str]], values: Sequence[str]) -> list[tuple[int, Sequence[str], str]]:
    """Return the rows of values listed cell by cell, the last axis running fastest."""
    return list(zip(range(1, len(values) + 1), product(*axes), values, strict=True))


# StatBank's CSV and BULK: the delimiter told from the content, and rows read column by column in chunks.


DELIMITERS = (";", "\t", ",", "|")
_LOOKED_AT = 60
_TITLE_LINES = 15


def csv_shape(path: Path, gz: bool) -> FileShape:
    """Return the shape of a text file; DataRefused when it is neither a long nor a wide extract."""
    encoding = encoding_of(path, gz)
    head = next(blocks(path, gz))
    text = composed(codecs.getincrementaldecoder(encoding)().decode(head.removeprefix(UTF8_BOM)).translate(_INVISIBLE))
    check_text(path, text)
    if "\n" not in text and "\r" in text:
        raise refusal(path, "its lines end with CR alone", "save it as CSV UTF-8 again")
    lines = [line.rstrip("\r") for line in text.split("\n")[:_LOOKED_AT]]
    if not any(line.strip() for line in lines):
        raise refusal(path, "the file is empty", "download it again")
    given = re.fullmatch(r'"?sep=(.)"?', lines[0].strip())
    delimiters = (given[1],) if given else DELIMITERS
    for (number, line), delimiter in product(enumerate(lines[:_TITLE_LINES]), delimiters):
        header = [name.strip() for name in _fields(line, delimiter)]
        while header and not header[-1]:  # delimiters of columns that hold nothing
            header.pop()
        if len(header) > 1 and VALUE_NAMES & {name.casefold() for name in header}:
            title = " ".join(text.strip('" ;,') for text in lines[bool(given) : number]).strip()
            row_names = _has_row_names(header, lines[number + 1 :], delimiter)
            below = next((line for line in lines[number + 1 :] if line.strip()), "")
            header = header[1:] if row_names and len(header) == len(_fields(below, delimiter)) else header
            return FileShape("csv", gz, encoding, delimiter, "long", tuple(header), number, row_names, title)
    delimiter, periods = max(((d, _most_periods(lines, d)) for d in delimiters), key=lambda pair: pair[1])
    if periods:
        return FileShape("csv", gz, encoding, delimiter, "wide")
    first = next(line for line in lines if line.strip())
    rule = "no value column INDHOLD and no row of periods, so it is no StatBank extract"
    raise refusal(path, rule, "download the table from statistikbanken.dk as CSV", row=1, value=first)


def _has_row_names(header: Sequence[str], lines: Sequence[str], delimiter: str) -> bool:
    """Return whether every row begins with a number of its own, as pandas and R write their row names.

    pandas leaves its heading empty, R may leave it out altogether, so that rows are one cell wider than the heading.
    """
    rows = [_fields(line, delimiter) for line in lines if line.strip()]
    wider = bool(rows) and all(len(row) == len(header) + 1 for row in rows[:-1] or rows)
    unnamed = header[0].casefold() in ("", "unnamed: 0", "index", "row.names", "rownames")
    firsts = [row[0] for row in rows[:-1] or rows]
    counted = all(cell.isdigit() for cell in firsts) and len(set(firsts)) == len(firsts)
    return bool(firsts) and counted and (unnamed or wider)


def read_long(path: Path, shape: FileShape) -> Table:
    """Return a long CSV as a table whose chunks stream from the file; the header is checked here."""
    names = list(shape.header)
    value_at = _value_column(path, names, shape.above + 1)
    table: Table

    def chunks() -> Iterator[Chunk]:
        first, rows = 1, _LongRows(table, names, value_at)
        for lines in line_chunks(path, shape):
            numbers = range(first, first + len(lines))
            first += len(lines)
            above = max(shape.above + 2 - numbers[0], 0)
            columns, kept = rows.take(lines[above:], numbers[above:])
            if kept:
                yield Chunk(kept, columns[:value_at] + columns[value_at + 1 :], columns[value_at])

    keys = tuple(names[:value_at] + names[value_at + 1 :])
    table = Table(path, shape, keys, chunks, shape.title, title_id(shape.title))
    return table


def _value_column(path: Path, names: Sequence[str], row: int) -> int:
    """Return where the value column stands; DataRefused for a heading given twice."""
    folded = [name.casefold() for name in names]
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise refusal(path, "the column stands twice", "download the table again", row=row, value=twice)
    return next(i for i, name in enumerate(folded) if name in VALUE_NAMES)


def read_cells(path: Path, shape: FileShape) -> list[list[str]]:
    """Return a wide CSV as a grid of text, one list per file row, blank rows kept so that row numbers hold."""
    if path.stat().st_size > IN_MEMORY_BYTES:
        raise refusal(path, "too large to be read as periods in columns", "download it as CSV with one value per row")
    lines = list(chain.from_iterable(line_chunks(path, shape)))
    return [[cell.strip() for cell in _fields(line, shape.delimiter)] if line.strip() else [] for line in lines]


class _LongRows:
    """The rows of one long file, block by block: remarks below the last row are passed over, nothing else is."""

    def __init__(self, table: Table, names: Sequence[str], value_at: int) -> None:
        self.table = table
        self.names = names
        self.value_at = value_at
        self.delimiter = table.shape.delimiter
        self.shift = int(table.shape.has_row_names)
        self.width = len(names) + self.shift
        self.waiting: tuple[int, str] | None = None
        if self.shift:
            table.remark("a column of row names was passed over")

    def take(self, lines: list[str], numbers: Sequence[int]) -> tuple[list[Sequence[str]], Sequence[int]]:
        """Return the columns of some lines and the row numbers kept; DataRefused for a row of another width."""
        width, delimiter = self.width, self.delimiter
        text = delimiter.join(lines)
        if '"' not in text and self.waiting is None and {line.count(delimiter) for line in lines} == {width - 1}:
            # Without quotes one split and a stride per column do, four times as fast as a list per row.
            cells = text.split(delimiter)
            columns: list[Sequence[str]] = [cells[column::width] for column in range(self.shift, width)]
            if VALUE_NAMES.isdisjoint(map(str.casefold, set(columns[self.value_at]))):
                return columns, numbers
        rows, kept = [], []
        for number, line in zip(numbers, lines, strict=True):
            row = self._row(number, line)
            if row is not None:
                rows.append(row)
                kept.append(number)
        return list(zip(*rows, strict=True)), kept

    def _row(self, number: int, line: str) -> list[str] | None:
        """Return the cells of a line, None for a blank one, a remark and the heading once more."""
        if not line.strip(f'{self.delimiter} "'):
            return None
        # Line by line, so that one stray quote cannot swallow the lines after it.
        row = _fields(line, self.delimiter)
        while len(row) > self.width and not row[-1].strip():
            row.pop()
        if len(row) != self.width or not any(cell.strip() for cell in row[1:]):
            self.odd(number, line, row)
            return None
        self.refuse_waiting()
        cells = row[self.shift :]
        if cells[self.value_at].strip().casefold() not in VALUE_NAMES:
            return cells
        if [cell.strip().casefold() for cell in cells] != [name.casefold() for name in self.names]:
            raise self._put_together("a second heading: two tables stand in one file", number, line)
        self.table.remark("the heading stands again below, where files were put together")
        return None

    def odd(self, number: int, line: str, row: list[str]) -> None:
        """Pass a remark over, unless rows follow it; DataRefused for a row of another width."""
        if [cell for cell in row if cell.strip().casefold() in VALUE_NAMES] and len(row) > 1:
            raise self._put_together("a second heading: two tables stand in one file", number, line)
        lone = not any(cell.strip() for cell in row[1:])
        if lone and (is_footnote(line, self.delimiter) or len(row[0].split()) > 3):
            self.waiting = self.waiting or (number, line)
            self.table.remark("remarks below the figures were passed over")
            return
        cut = "it may be cut off" if len(row) < self.width else "a text may hold the delimiter without quotes"
        rule = f"{len(row)} fields where the header has {self.width}; {cut}"
        raise refusal(self.table.path, rule, "download it again with ';' between the fields", row=number, value=line)

    def refuse_waiting(self) -> None:
        """Refuse a remark that rows follow; those below the last row are passed over."""
        if self.waiting is not None:
            raise self._put_together("text between the rows, as where files were pasted together", *self.waiting)

    def _put_together(self, rule: str, number: int, line: str) -> DataRefused:
        return refusal(self.table.path, rule, "save each table in a file of its own", row=number, value=line)


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        # A quote that is never closed, or a field beyond the reader's bound: the plain split shows it as it is.
        return line.split(delimiter)


def _most_periods(lines: list[str], delimiter: str) -> int:
    return max((sum(map(looks_like_period, _fields(line, delimiter)[1:])) for line in lines), default=0)


# Tables with periods as columns: statistikbanken.dk's Excel sheet and the wide CSV, as one row per cell.


TIME = "TID"
_NUMBER = re.compile(r"[-−]?[0-9][0-9.,  ]*")


def read_grid(path: Path, shape: FileShape, grid: list[list[str]], table_id: str | None = None) -> Table:
    """Return the grid as a table: its stub and head columns unnamed unless a heading names them, periods as TID.

    The publisher's layout: title and unit above, one row of periods (head variables in rows beside it, written
    once per group), stub columns filled only on the first row of a group or in a line of their own, footnotes below
    the last figure. A sheet with one value a row under a heading is read as that.
    Raises DataRefused when there is no row of periods or no figure.
    """
    width = max(map(len, grid), default=0)
    grid = [row + [""] * (width - len(row)) for row in grid]
    if (heading := _heading_of(grid)) is not None:
        return _long_grid(path, shape, grid, heading, table_id)
    periods, left, head_rows, last = _layout(path, grid)
    headings = grid[periods][:left]
    heads = [[*grid[row][:left], *filled(grid[row][left:])] for row in head_rows]
    rows: list[tuple[int, Sequence[str], str]] = []
    stub = [""] * left
    for number in range(periods + 1, last + 1):
        row = grid[number]
        if not any(row) or number in head_rows:
            continue
        stub = _filled_down(stub, row[:left])
        if not any(row[left:]):
            continue  # a line that only names the group below it
        for column in range(left, width):
            period, figure = grid[periods][column], row[column]
            if figure and not period:
                rule = "a figure stands under no period"
                raise refusal(path, rule, "download the table again", row=number + 1, value=figure)
            if period:
                rows.append((number + 1, (*stub, *(head[column] for head in heads), period), figure))
    names = (*(name or None for name in headings), *(None for _ in heads), TIME)
    statement = " ".join(cell for row in grid[:periods] for cell in row if cell)
    return Table(path, shape, names, in_memory(rows), statement, table_id or title_id(statement))


def _heading_of(grid: Sequence[Sequence[str]]) -> int | None:
    """Return the row that is the heading of one value a row, or None."""
    filled = [[cell.casefold() for cell in row if cell] for row in grid[:_TITLE_LINES]]
    return next((n for n, cells in enumerate(filled) if len(cells) > 2 and VALUE_NAMES & set(cells)), None)


def _long_grid(
    path: Path, shape: FileShape, grid: Sequence[Sequence[str]], heading: int, table_id: str | None
) -> Table:
    """Return a sheet of one value a row, as when a CSV was opened in Excel and saved as a workbook."""
    columns = [n for n, cell in enumerate(grid[heading]) if cell]
    names = [grid[heading][n] for n in columns]
    value_at = _value_column(path, names, heading + 1)
    statement = " ".join(cell for row in grid[:heading] for cell in row if cell)
    rows: list[tuple[int, Sequence[str], str]] = []
    keys = tuple(names[:value_at] + names[value_at + 1 :])
    table = Table(path, shape, keys, in_memory(rows), statement, table_id or title_id(statement))
    taken = _LongRows(table, names, value_at)
    for number, row in enumerate(grid[heading + 1 :], start=heading + 2):
        cells = [row[n] for n in columns]
        if not any(cells):
            continue
        if not any(cells[1:]):
            taken.odd(number, cells[0], cells[:1])
            continue
        taken.refuse_waiting()
        rows.append((number, cells[:value_at] + cells[value_at + 1 :], cells[value_at]))
    return table


def _layout(path: Path, grid: list[list[str]]) -> tuple[int, int, list[int], int]:
    """Return where things stand: the row of periods, the first value column, the head rows and the last data row."""
    candidates = [(sum(map(looks_like_period, row[1:])), -number) for number, row in enumerate(grid)]
    count, negative = max(candidates, default=(0, 0))
    if not count:
        raise refusal(path, "no row of periods above the figures", "download the table with time in the columns")
    periods = -negative
    left = next(i for i, cell in enumerate(grid[periods]) if i and looks_like_period(cell))
    strange = next((cell for cell in grid[periods][left:] if cell and not looks_like_period(cell)), None)
    if count == 1 and strange is not None and periods + 1 < len(grid) and looks_like_period(grid[periods + 1][left]):
        rule = "a period and a figure in every row, but no column headed INDHOLD"
        raise refusal(path, rule, "give the column of the figures that heading")
    if strange is not None:
        rule = "not a period, in the row of periods"
        raise refusal(path, rule, "keep only periods there", row=periods + 1, value=strange)
    figures = [n for n in range(periods + 1, len(grid)) if any(map(_is_figure, grid[n][left:]))]
    if not figures:
        raise refusal(path, "no figures below the periods", "download the table again", row=periods + 1)
    above = [n for n in range(periods) if not any(grid[n][:left]) and any(grid[n][left:])]
    below = [n for n in range(periods + 1, figures[0]) if any(grid[n][left:])]
    return periods, left, above + below, figures[-1]


def _is_figure(cell: str) -> bool:
    return bool(cell) and (cell in MARKS or _NUMBER.fullmatch(cell) is not None)


def filled(texts: Iterable[str]) -> list[str]:
    """Return texts with each gap filled from before: a group's text may stand at its first member only."""

    def latest(before: str, text: str) -> str:
        return text or before

    return list(accumulate(texts, latest))


def _filled_down(above: Sequence[str], stub: Sequence[str]) -> list[str]:
    """Return the row's stub: blanks to the left of its first text are those of the row above."""
    first = next((i for i, cell in enumerate(stub) if cell), len(stub))
    return [*above[:first], *stub[first:]]


# Numbers as StatBank prints them, in Danish (1.229,5) and English (1,229.5), made plain without guessing.


Style = Literal["en", "da"]
_MINUS = str.maketrans({"−": "-", "\u00a0": " ", "\u202f": " "})
_PLAIN = re.compile(r"-?[0-9]+")
# What pandas, R and databases write for a cell without a figure.
_NOTHING = frozenset({"na", "nan", "null", "none", "<na>", "n/a"})
# What publishers set behind a figure: a star, a number of a footnote, r for revised.
_NOTE_SIGN = re.compile(r"(?<=[0-9])(\s*\*+|\s+[0-9]\)|r|[¹²³†])$")
_STYLES: dict[Style, re.Pattern[str]] = {
    "en": re.compile(r"(-?)([0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.([0-9]+))?"),
    "da": re.compile(r"(-?)([0-9]+|[1-9][0-9]{0,2}(?:[. ][0-9]{3})+)(?:,([0-9]+))?"),
}


class Undecided(Exception):
    """The value given reads as two numbers, as 1.229 does, and nothing before it in the column decides which."""


class MixedStyles(Exception):
    """One column holds both a number that is Danish only and one that is English only: the later and the earlier."""


def readings(text: str, decimals: int) -> dict[Style, str]:
    """Return what `text` means in English and in Danish, as plain text with a point; empty when neither.

    `decimals` is the number of decimals the table is published with. Three digits after a single separator
    are a thousands group where the table cannot have them as decimals: without decimals it never has, and with one or
    two it has where the rest are zeros (7.300). In a table without decimals a fraction must be zeros.
    """
    found: dict[Style, str] = {}
    for style, pattern in _STYLES.items():
        match = pattern.fullmatch(text)
        if match is None:
            continue
        sign, whole, fraction = match[1], match[2], match[3] or ""
        digits = re.sub(r"\D", "", whole)
        could_be_group = len(fraction) == 3 and len(whole) <= 3 and not whole.startswith("0")
        if could_be_group and (decimals == 0 or len(fraction.rstrip("0")) > decimals):
            continue
        if decimals == 0 and fraction.strip("0"):
            continue
        found[style] = f"{sign}{digits}.{fraction}" if fraction and decimals else f"{sign}{digits}"
    return found


def plain_number(number: float | int | str) -> str:
    """Return a machine's number as text that no reading takes for a thousands group (1.229 as 1.2290).

    For cells that a spreadsheet or JSON holds as numbers. Beyond 18 digits the number is left as written.
    """
    if isinstance(number, str) and not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", number):
        number = float(number)
    if not isinstance(number, str) and not abs(number) < 1e18:
        return str(number)
    whole, _, fraction = format(Decimal(str(number)), "f").partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) == 3:
        fraction += "0"
    return f"{whole}.{fraction}" if fraction else whole


@dataclass
class NumberReader(dict[str, str | None]):
    """The values of one column, text to canonical text; None for what is no number.

    Calling `reader[text]` reads a text once and remembers it. The column's style is taken from the first value
    that only one style can read; a value of the other style raises MixedStyles, a value that both read
    differently before the style is known raises Undecided.
    """

    decimals: int
    style: Style | None = None
    evidence: str = field(default="")

    def __missing__(self, text: str) -> str | None:
        """Read a text met for the first time."""
        if len(self) > 1_000_000:
            self.clear()
        self[text] = number = self._read(text)
        return number

    def _read(self, text: str) -> str | None:
        cleaned = text.translate(_MINUS).strip()
        if cleaned in MARKS or _PLAIN.fullmatch(cleaned):
            return cleaned
        found = readings(cleaned, self.decimals)
        if not found and cleaned.casefold() in _NOTHING:
            return ""
        if not found:
            bare = _NOTE_SIGN.sub("", cleaned)
            return self._read(bare) if bare and bare != cleaned else None
        if len(found) == 2:
            if found["en"] == found["da"]:
                return found["en"]
            if self.style is None:
                raise Undecided(text)
            return found[self.style]
        (style, number), *_ = found.items()
        if self.style is None:
            self.style, self.evidence = style, text
        elif self.style != style:
            raise MixedStyles(text, self.evidence)
        return number


# JSON-stat 1 and 2 as StatBank answers it, as one row per cell with codes.


_MEASURE = "contentscode"
_AGAIN = "ask for the table as CSV with codes"


def load_json(path: Path, gz: bool) -> dict[str, Any]:
    """Return the dataset object of a JSON-stat file, numbers kept as text.

    Raises DataRefused for other JSON, naming the error when it is one of StatBank's error answers.
    """
    try:
        text = read_whole(path, gz).decode("utf-8-sig")
        content = json.loads(text, parse_float=plain_number, parse_int=str)
    except UnicodeDecodeError:
        raise refusal(path, "the JSON is not UTF-8", "download it again") from None
    except (json.JSONDecodeError, RecursionError):
        raise refusal(path, "the JSON is cut off or damaged", "download it again") from None
    check_text(path, text)
    if isinstance(content, dict) and "errorTypeCode" in content:
        answer = f"{content['errorTypeCode']}: {content.get('message', '')}"
        raise refusal(path, f"an error answer instead of data ({answer})", "correct the query and ask again")
    dataset = content.get("dataset", content) if isinstance(content, dict) else None
    if not isinstance(dataset, dict) or not {"dimension", "value"} <= dataset.keys():
        raise refusal(path, _other_json(content), _AGAIN)
    return dataset


def _other_json(content: Any) -> str:
    """Return what JSON that is no dataset of StatBank is."""
    first = content[0] if isinstance(content, list) and content else content
    keys = set(first) if isinstance(first, dict) else set()
    if isinstance(first, dict) and first.get("type") in ("FeatureCollection", "Topology"):
        return "a boundary file, which the report reads (KOMMUNEKORT_BOUNDARIES), not a table"
    if {"columns", "data"} <= keys:
        return "PxWeb's own JSON, which names no table"
    if {"variables", "id"} <= keys:
        return "a list or a description of tables, not their figures"
    return "JSON, but no JSON-stat dataset"


def read_jsonstat(path: Path, shape: FileShape) -> Table:
    """Return a JSON-stat dataset as a table named by dimension ids, cells as codes, null as `..`.

    Row numbers are the position in the value list, from 1. Raises DataRefused when ids, sizes, categories and
    values do not fit each other, or when the dataset holds several measures.
    """
    dataset = load_json(path, shape.gz)
    try:
        dimensions = dataset["dimension"]
        ids = [str(name) for name in dataset.get("id") or dimensions["id"]]
        sizes = [int(size) for size in dataset.get("size") or dimensions["size"]]
        axes = [_codes(dimensions[name]["category"]) for name in ids]
        values = _values(dataset, prod(sizes))
        table_id = (dataset.get("extension") or {}).get("px", {}).get("tableid")
        label = str(dataset.get("label", ""))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        raise refusal(path, "the JSON-stat dataset is incomplete", _AGAIN) from None
    if [len(axis) for axis in axes] != sizes or len(values) != prod(sizes):
        raise refusal(path, f"{len(values)} values and sizes {sizes} do not fit the categories", "download it again")
    if any(name.casefold() == _MEASURE and size != 1 for name, size in zip(ids, sizes, strict=True)):
        raise refusal(path, "several measures in one dataset", "ask for one measure at a time")
    kept = [name.casefold() != _MEASURE for name in ids]  # an axis of one code makes no more cells
    rows = _cells_of(compress(axes, kept), values)
    return Table(path, shape, tuple(compress(ids, kept)), in_memory(rows), label, str(table_id) if table_id else None)


def _codes(category: dict[str, Any]) -> list[str]:
    index = category.get("index")
    if isinstance(index, dict):
        return [str(code) for code, _ in sorted(index.items(), key=lambda item: int(item[1]))]
    return [str(code) for code in (index if index is not None else category["label"])]


def _values(dataset: dict[str, Any], count: int) -> list[str]:
    """Return every cell as text: sparse objects filled with `..`, a cell's status mark where it has no value."""
    if count < 0 or count * 10 > IN_MEMORY_BYTES:
        raise ValueError("size")
    given, status = dataset["value"], dataset.get("status") or {}
    if isinstance(given, dict):
        if any(not 0 <= int(place) < count for place in given):
            raise IndexError("value")
        given = [given.get(str(place)) for place in range(count)]

    def mark(place: int) -> str:
        found = status.get(str(place)) if isinstance(status, dict) else status[place]
        return str(found) if found else ".."

    return [mark(place) if value is None else str(value) for place, value in enumerate(given)]


# The workbook statistikbanken.dk writes, as a grid of text; bombs and strangers are refused before they unfold.


def read_workbook(path: Path, gz: bool) -> tuple[list[list[str]], str | None]:
    """Return (grid of the only sheet, table id when the sheet is named like one).

    Numbers become text with a point and no thousands marks; rows keep their place in the sheet. Raises DataRefused
    for a damaged or oversized workbook, one that unfolds beyond the limits, and one with several filled sheets.
    """
    import python_calamine as calamine

    content = read_whole(path, gz)
    check_workbook(path, content)
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise refusal(path, f"the workbook cannot be read ({one_line(str(error))})", "save it as .xlsx again") from None
    texts = [(name, [[_text(cell) for cell in row] for row in rows]) for name, rows in sheets.items()]
    grids = [(name, grid) for name, grid in texts if any(map(any, grid))]
    tables = [(name, grid) for name, grid in grids if _is_table(grid)] or grids
    if len(tables) != 1:
        rule = f"{len(tables)} filled sheets where StatBank writes one"
        raise refusal(path, rule, "keep the sheet of one table per workbook")
    name, grid = tables[0]
    check_text(path, "\n".join(" ".join(row) for row in grid))
    return grid, name if _TABLE_ID.fullmatch(name) else None


def _is_table(grid: Sequence[Sequence[str]]) -> bool:
    """Tell a sheet with periods or a value column from a sheet of notes."""
    return _heading_of(grid) is not None or any(sum(map(looks_like_period, row[1:])) for row in grid)


_ERROR_CELL = re.compile(rb'<c r="([A-Z]+[0-9]+)"[^>]*\bt="e"')


def check_workbook(path: Path, content: bytes) -> None:
    """Refuse what is no workbook or unfolds beyond the limits; sizes are declared, so contents are tested too."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if "xl/workbook.xml" not in names:
                raise refusal(path, "a zip file that is no .xlsx workbook", "unpack it, or download CSV")
            unzipped = sum(member.file_size for member in archive.infolist())
            if unzipped > WORKBOOK_BOUNDS.limit(len(content)):
                rule = f"the workbook unfolds from {len(content):,} to {unzipped:,} bytes"
                raise refusal(path, rule, "download the table as CSV")
            if (broken := archive.testzip()) is not None:
                raise refusal(path, f"the workbook is damaged in {broken}", "download it again")
            wide = next((size for size in sheet_sizes(archive) if not size.fits), None)
            sheets = [name for name in names if name.startswith("xl/worksheets/")]
            faulty = next((found for name in sheets if (found := _ERROR_CELL.search(archive.read(name)))), None)
    except ZIP_ERRORS as error:
        raise refusal(path, f"the workbook is damaged ({one_line(str(error))})", "download it again") from None
    if wide is not None:
        rule = f"its cells span {wide.rows:,} rows and {wide.columns:,} columns, as no table does"
        raise refusal(path, rule, "delete what stands far beside the table, or download it again")
    if faulty is not None:
        rule = "an error of Excel stands where a figure was, which is no figure and no zero"
        raise refusal(path, rule, "download the table again", value=faulty[1].decode())


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int | float):
        return plain_number(cell)
    return str(cell).strip()


# PC-Axis, the site's own file format: keywords with values, then all figures in the order of stub and heading.


_PX_START = re.compile(rb"(\xef\xbb\xbf)?\s*(CHARSET|AXIS-VERSION|CODEPAGE|LANGUAGE|CREATION-DATE|MATRIX|DECIMALS)\s*=")
_PX_ENTRY = re.compile(r'\s*([A-Z-]+)(?:\[(\w+)\])?(?:\(((?:"[^"]*"[\s,]*)+)\))?\s*=((?:"[^"]*"|[^;"])*);')
_PX_TEXT = re.compile(r'"([^"]*)"')
_PX_FIGURE = re.compile(r'"([^"]*)"|([^\s"]+)')
_PX_AGAIN = "download the table as CSV"


def read_px(path: Path, shape: FileShape) -> Table:
    """Return a PX file as a table named by the texts of its variables, cells as codes where it has them.

    Source: PX file format specification, https://www.scb.se/en/services/statistical-programs-for-px-files/px-file-format/.
    UTF-8 where its bytes are that, else Windows-1252. Row numbers are the position in DATA, from 1. Raises DataRefused
    when the values and the figures do not fit each other.
    """
    content = read_whole(path, shape.gz)
    says_utf8 = re.search(rb'CODEPAGE\s*=\s*"utf-?8"', content[:2000], re.IGNORECASE) is not None
    try:
        text = content.decode("utf-8-sig")  # Danish letters of Windows-1252 are no UTF-8
    except UnicodeDecodeError:
        if says_utf8:
            raise refusal(path, "the PX file is not in the letters it says", _PX_AGAIN) from None
        text = content.decode("cp1252", "replace")
    check_text(path, text)
    head, marker, body = text.partition("DATA=")
    entries: dict[tuple[str, str], list[str]] = {}
    for keyword, language, of, value in _PX_ENTRY.findall(head):
        if not language:  # the second language repeats what the first says
            entries[keyword, " ".join(_PX_TEXT.findall(of))] = _PX_TEXT.findall(value)
    names = entries.get(("STUB", ""), []) + entries.get(("HEADING", ""), [])
    axes = [entries.get(("CODES", name)) or entries.get(("VALUES", name)) or [] for name in names]
    figures = [quoted or plain for quoted, plain in _PX_FIGURE.findall(body.rstrip().removesuffix(";"))]
    if not marker or not names or not all(axes):
        lacking = next((name for name, axis in zip(names, axes, strict=True) if not axis), "its variables")
        raise refusal(path, f"an incomplete PX file: it does not say the values of {lacking}", _PX_AGAIN)
    if not body.rstrip().endswith(";") or len(figures) != prod(map(len, axes)):
        rule = f"{len(figures)} figures where the PX file's variables span {prod(map(len, axes))}"
        raise refusal(path, rule, "download it again")
    said = [entries.get((keyword, ""), []) for keyword in ("TITLE", "DESCRIPTION", "CONTENTS", "UNITS")]
    table_id = " ".join(entries.get(("MATRIX", ""), [])).strip() or None
    statement = " ".join(text for texts in said for text in texts)
    return Table(path, shape, tuple(names), in_memory(_cells_of(axes, figures)), statement, table_id)


def open_table(path: Path) -> Table:
    """Return a file of any accepted form as a table; its form is told from its bytes, its name is not asked.

    Raises DataRefused, in one sentence, for an empty, cut-off or damaged file, a web page, an error answer, another
    binary format, and a text that is no StatBank extract.
    """
    if not path.is_file():
        raise refusal(path, "not a file that can be read", "give a downloaded extract")
    try:
        with path.open("rb") as file:
            gz = file.read(2) == b"\x1f\x8b"
        head = next(blocks(path, gz), b"")
        if is_zip(path, head):
            grid, table_id = read_workbook(path, gz)
            return read_grid(path, FileShape("xlsx", gz), grid, table_id)
        if head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"["):
            return read_jsonstat(path, FileShape("jsonstat", gz))
        if _PX_START.match(head):
            return read_px(path, FileShape("px", gz, layout="wide"))
        shape = csv_shape(path, gz)
        return read_long(path, shape) if shape.layout == "long" else read_grid(path, shape, read_cells(path, shape))
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror})", "check the file's permissions") from None

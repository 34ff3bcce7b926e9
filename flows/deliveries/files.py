"""Delivered files as tables of text: recognised by their bytes, whatever they are called, and read row by row.

One module, since a heading, a line end and a row must mean the same to whoever looks for, skips or counts them.
Workbooks are read in `flows.deliveries.sheets`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Literal

from flows.deliveries.contract import Refusal, Remark, remark_of
from flows.deliveries.keys import mask, normalise_cpr
from flows.deliveries.values import clean, parser_of
from flows.store.archives import ZIP_ERRORS, ZIP_MAGIC, Bounds
from transforms.catalogue import Contract, DeliveryField, fold_spelling
from transforms.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


CHUNK = 1 << 20
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
GZIP_MAGIC = b"\x1f\x8b"
OPEN_DOCUMENT = {"content.xml", "mimetype"}  # members of every ODS
OTHER_KINDS = {
    b"%pdf": "PDF", b"{\\rt": "RTF", b"7z\xbc\xaf": "7-Zip", b"rar!": "RAR", b"<htm": "HTML", b"<!do": "HTML",
    b"<?xm": "XML", b"\x89png": "PNG", b"\xff\xd8\xff": "JPEG", b"gif8": "GIF", b"bzh": "bzip2", b"\xfd7zx": "xz",
}  # fmt: skip
# The files an operating system leaves in a folder or a ZIP; they are no part of a delivery.
LEFT_BY_SYSTEMS = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|thumbs\.db$|desktop\.ini$|~\$|\.~lock\.)", re.IGNORECASE)
# The bytes of æ ø å Æ Ø Å in the eight-bit encodings municipal systems and Excel for Mac still write.
DANISH = {
    "cp1252": b"\xe6\xf8\xe5\xc6\xd8\xc5",
    "cp850": b"\x91\x9b\x86\x92\x9d\x8f",
    "mac_roman": b"\xbe\xbf\x8c\xae\xaf\x81",
}
# Where no letter tells: those of a hard space, and of the dashes and quotes of Windows and Mac.
SIGNS = {
    "cp1252": b"\xa0\x85\x91\x92\x93\x94\x96\x97",
    "cp850": b"\xff",
    "mac_roman": b"\xca\xc9\xd4\xd5\xd2\xd3\xd0\xd1",
}
DANISH_UTF8 = re.compile(rb"\xc3[\xa6\xb8\xa5\x86\x98\x85]")
MIXED = "utf-8 and "
"""Before the name of the second encoding: most lines are UTF-8, some are not."""


# How much a delivery may hold before it is refused unread: bytes, times, numbers.
MOST_PACKED = 4 << 30
UNPACKED = Bounds(most=4 << 30, times=250, harmless=10 << 20)
MOST_MEMBERS = 200
LONGEST_LINE = 4 << 20
MOST_COLUMNS = 300
LARGEST_WORKBOOK = 1 << 28
WORKBOOK_BOUNDS = replace(UNPACKED, most=4 * LARGEST_WORKBOOK)


Form = Literal["csv", "xlsx", "xlsb", "ods"]


@dataclass(frozen=True)
class Part:
    """One table file of `size` bytes: a CSV or a workbook, by itself or in a ZIP. `label` is safe to print, `hint` not.

    Another process can read it as well.
    """

    label: str
    hint: str
    form: Form
    open: Callable[[], IO[bytes]]
    sha256: str
    size: int
    encoding: str
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Stranger:
    """A file among those delivered that is no table, or cannot be read as one, and why."""

    label: str
    refusal: Refusal
    sha256: str


def part_of(label: str, hint: str, open_part: Callable[[], IO[bytes]], start: bytes, most: int = UNPACKED.most) -> Part:
    """Return one part after a single pass over its bytes, at `most` so many: hash and, for text, encoding."""
    if not start:
        raise Refusal("empty_file")
    if start.startswith(OLE_MAGIC):
        raise _refuse_ole(open_part)
    if start.startswith(GZIP_MAGIC):
        raise Refusal("packed_twice")
    other = next((kind for magic, kind in OTHER_KINDS.items() if start.lower().startswith(magic)), None)
    if other:
        raise Refusal("no_table", what=other, is_table=False)
    form = _form_of(open_part()) if start.startswith(ZIP_MAGIC) else "csv"
    if form is None:
        raise Refusal("zip_in_zip")
    with open_part() as stream:
        digest, size, encoding, remarks = _inspect(stream, most, text=form == "csv")
    return Part(label, hint, form, open_part, digest, size, encoding, remarks)


def _inspect(stream: IO[bytes], most: int, *, text: bool) -> tuple[str, int, str, tuple[Remark, ...]]:
    """Return SHA-256, size, encoding and what is to be told of it.

    UTF-8 where every byte agrees, UTF-16 by its mark or its noughts, else the eight-bit encoding most of the Danish
    letters speak for; where letters of UTF-8 stand beside others, each line is read by itself.
    """
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    utf8, wide, size, letters = True, "", 0, 0
    found = {name: [0, 0] for name in DANISH}
    while chunk := read_chunk(stream):
        digest.update(chunk)
        size += len(chunk)
        if size > most:
            raise Refusal("too_large_unpacked", limit=most)
        if not text:
            continue
        wide = wide or _wide_encoding(chunk)
        if wide == "-" and b"\0" in chunk:
            raise Refusal("no_table", what=remark_of("no_text"), is_table=False)
        try:
            utf8 = utf8 and decoder.decode(chunk) is not None
        except UnicodeDecodeError:
            utf8 = False
        if not chunk.isascii():
            single, pairs = DANISH_UTF8.subn(b"", chunk)
            letters += pairs
            for name, count in found.items():
                count[0] += sum(single.count(byte) for byte in DANISH[name])
                count[1] += sum(single.count(byte) for byte in SIGNS[name])
    encoding = max(found, key=found.__getitem__)
    told: Remark | None = None
    if wide not in ("", "-"):
        encoding = wide
    elif utf8:
        encoding = "utf-8"
    elif letters:
        told = remark_of("mixed_encodings", encoding=encoding)
        encoding = MIXED + encoding
    elif encoding == "mac_roman":
        told = remark_of("mac_encoding")
    return digest.hexdigest(), size, encoding, (told,) if told else ()


def _wide_encoding(chunk: bytes) -> str:
    """Return the UTF-16 or UTF-32 of a text's first bytes, told by its mark or its noughts; else `-`."""
    if chunk.startswith(UTF32):
        return "utf-32"
    if chunk[:2] in UTF16:
        return UTF16[chunk[:2]]
    even, odd = chunk[:400:2], chunk[1:400:2]
    for name, letters, noughts in (("utf-16-le", even, odd), ("utf-16-be", odd, even)):
        if len(chunk) > 3 and noughts.count(0) > 0.9 * len(noughts) and 0 not in letters:
            return name
    return "-"


def read_chunk(stream: IO[bytes], size: int = CHUNK) -> bytes:
    """Return the next megabyte of a stream, or so many bytes; Refusal when what lies under it is damaged."""
    try:
        return stream.read(size)
    except ZIP_ERRORS:
        raise Refusal("damaged") from None


def _refuse_ole(open_part: Callable[[], IO[bytes]]) -> Refusal:
    import msoffcrypto

    with open_part() as stream:
        try:
            encrypted = msoffcrypto.OfficeFile(io.BytesIO(stream.read(64 << 20))).is_encrypted()
        except Exception:
            encrypted = False
    if encrypted:
        return Refusal("workbook_with_password")
    return Refusal("old_office_file")


def check_sizes(entries: list[zipfile.ZipInfo], bounds: Bounds) -> None:
    """Refuse an archive of which more would come out than the bounds allow."""
    total, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if total > bounds.limit(packed):
        raise Refusal("swells", packed=packed, total=total)


# The table files in what was delivered, a ZIP or a file by itself: checked before unpacked, never written to disk.


def parts_of(path: Path, hint: str) -> tuple[list[Part], list[Stranger]]:
    """Return the table files in `path`, whose form is told by its first bytes and not by its name, and the others.

    Raises UsageError when the file cannot be opened, and Refusal for what is no table file, protected by a
    password, or too large.
    """
    label = mask(path.name)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise UsageError(f"{label}: cannot be read ({error.strerror})") from None
    if size > MOST_PACKED:
        raise Refusal("file_too_large", size=size, limit=MOST_PACKED)
    if start.startswith(GZIP_MAGIC):
        return [_gzipped(path, hint, size)], []
    if start.startswith(ZIP_MAGIC) and _form_of(path) is None:
        return _members(path, hint)
    return [part_of(label, hint, partial(_plain, path), start)], []


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _gzipped(path: Path, hint: str, size: int) -> Part:
    """Return the table in a `.csv.gz`."""
    label = mask(path.name)
    open_part: Callable[[], IO[bytes]] = partial(gzip.open, path, "rb")  # type: ignore[assignment]
    with open_part() as stream:
        start = read_chunk(stream)[:8]
    if start.startswith((ZIP_MAGIC, GZIP_MAGIC)):
        raise Refusal("packed_twice")
    return part_of(label, hint, open_part, start, UNPACKED.limit(size))


def _form_of(packed: Path | IO[bytes]) -> Form | None:
    """Return which workbook a ZIP is, None for one that holds files to read; Refusal when it is a document."""
    try:
        with zipfile.ZipFile(packed) as archive:
            names = {name.lstrip("/") for name in archive.namelist()}
    except ZIP_ERRORS:
        raise Refusal("damaged_zip") from None
    if "xl/workbook.xml" in names:
        return "xlsx"
    if names >= OPEN_DOCUMENT:
        return "ods"
    if "xl/workbook.bin" in names:
        return "xlsb"
    if "[Content_Types].xml" in names:
        raise Refusal("no_table", what=remark_of("office_document"), is_table=False)
    return None


def _members(path: Path, hint: str) -> tuple[list[Part], list[Stranger]]:
    """Return the table files of a ZIP and the other files; all of them are checked before the first is unpacked."""
    with zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
    entries = [entry for entry in listed if not entry.is_dir() and not LEFT_BY_SYSTEMS.search(_name(entry))]
    if not entries or len(entries) > MOST_MEMBERS:
        raise Refusal("number_of_files", files=len(entries), most=MOST_MEMBERS)
    for entry in entries:
        name = PurePosixPath(_name(entry))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise Refusal("points_outside")
        if entry.flag_bits & 0x1:
            raise Refusal("zip_with_password")
    check_sizes(entries, UNPACKED)
    parts: list[Part] = []
    strangers: list[Stranger] = []
    for entry in entries:
        label = f"{mask(path.name)}/{mask(PurePosixPath(_name(entry)).name)}"
        try:
            parts.append(_member(label, path, entry, hint))
        except Refusal as refusal:
            digest = hashlib.sha256(f"{entry.filename}:{entry.CRC}:{entry.file_size}".encode()).hexdigest()
            strangers.append(Stranger(label, refusal, digest))
    return parts, strangers


def _name(entry: zipfile.ZipInfo) -> str:
    """Return a member's name as its sender saw it.

    Without the flag for UTF-8 a name is in the code page of the sender's Windows (850 in Denmark, where the standard
    says 437), or in UTF-8 all the same.
    """
    name = entry.filename
    if not entry.flag_bits & 0x800 and not name.isascii():
        with suppress(UnicodeEncodeError):
            raw = name.encode("cp437")
            try:
                name = raw.decode("utf-8")
            except UnicodeDecodeError:
                name = raw.decode("cp850")
    return name.replace("\\", "/")


def _member(label: str, path: Path, entry: zipfile.ZipInfo, hint: str) -> Part:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            start = stream.read(8)
    except ZIP_ERRORS:
        raise Refusal("damaged_in_zip") from None
    is_workbook = start.startswith(ZIP_MAGIC)
    open_member = partial(_unpacked if is_workbook else _stored, path, entry)
    return part_of(label, f"{hint}/{_name(entry)}", open_member, start)


def _stored(path: Path, entry: zipfile.ZipInfo) -> IO[bytes]:
    return zipfile.ZipFile(path).open(entry)


def _unpacked(path: Path, entry: zipfile.ZipInfo) -> io.BytesIO:
    if entry.file_size > LARGEST_WORKBOOK:
        raise Refusal("workbook_too_large", limit=LARGEST_WORKBOOK)
    with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
        return io.BytesIO(b"".join(iter(partial(read_chunk, stream), b"")))


# Which kind of delivery a table is, where its heading stands, and which column is which field.


HEADING_ROWS = 25
LEAST_HEADINGS = 2


@dataclass(frozen=True)
class Layout:
    """How to read a table. `heading_row` counts from 0; `positions` is field name -> column, dropped fields absent."""

    contract: Contract
    heading_row: int
    width: int
    positions: dict[str, int]
    dropped: tuple[str, ...]
    undeclared: tuple[str, ...]
    questions: dict[str, int] = field(default_factory=dict)
    """Of a form with one question a line: field name -> the line it is asked on. Else empty."""


def find_layout(rows: Sequence[Sequence[str]], contracts: Iterable[Contract], hint: str = "") -> Layout | None:
    """Return the best reading of a table's first rows, or None when fewer than two headings are known.

    Best is: fewest required fields missing, then most fields found, then the kind the file's name speaks of.
    """
    words = set(re.split(r"[^a-zæøå]+", hint.casefold()))
    found: list[Layout] = []
    for number, row in enumerate(rows[:HEADING_ROWS]):
        names = {name for heading in row for name in _names(heading)}
        known = [contract for contract in contracts if len(names & contract.by_heading.keys()) >= LEAST_HEADINGS]
        found += [_read_heading(row, number, contract) for contract in known]

    def rank(layout: Layout) -> tuple[int, int, int]:
        spoken_of = len(words & set(layout.contract.file_words))
        return -len(missing_fields(layout)), len(layout.positions), spoken_of

    return max((one for one in found if len(one.positions) >= LEAST_HEADINGS), key=rank, default=None)


def _read_heading(row: Sequence[str], number: int, contract: Contract) -> Layout:
    positions: dict[str, int] = {}
    dropped: list[str] = []
    undeclared: list[str] = []
    # A heading row that has swallowed a row of data: some cell holds a date or a number.
    run_together = any(len(re.findall(r"\d", cell)) >= 6 for cell in row)
    for column, heading in enumerate(row):
        field = field_of(heading, contract)
        if field is None:
            if heading.strip():
                undeclared.append(_safe_heading(heading, column, run_together=run_together))
        elif field.type == "dropped":
            dropped.append(field.label_da)
        elif field.name in positions:
            undeclared.append(f"{field.label_da} (gentaget/repeated, kolonne {column + 1})")
        else:
            positions[field.name] = column
    return Layout(contract, number, len(row), positions, tuple(dropped), tuple(undeclared))


def field_of(heading: str, contract: Contract) -> DeliveryField | None:
    """Return the field a heading stands for, or None."""
    return next((contract.by_heading[name] for name in _names(heading) if name in contract.by_heading), None)


def _names(heading: str) -> list[str]:
    """Return what a heading may be known by: all of it, and what stands before a bracket."""
    return [fold_spelling(heading), fold_spelling(re.sub(r"[\[(].*$", "", heading))]


def _safe_heading(heading: str, column: int, *, run_together: bool) -> str:
    """Return an unknown heading as it may be printed: by its place when it may be part of a person's row."""
    text = " ".join(heading.split())
    hide = run_together or len(text) > 60 or re.search(r"\d", text)
    return f"kolonne/column {column + 1}" if hide else text


def missing_fields(layout: Layout) -> list[str]:
    """Return the labels of required fields that have no column."""
    # A municipality may also be known from the argument or the file's name.
    return [
        field.label_da
        for field in layout.contract.fields
        if field.required and field.type != "municipality" and field.name not in layout.positions
    ]


def require_complete(layout: Layout) -> None:
    """Refuse a table without its required columns, or with one of them twice."""
    if names := ", ".join(missing_fields(layout)):
        raise Refusal("missing_columns", kind=layout.contract.kind, names=names)
    repeated = [text for text in layout.undeclared if "(gentaget/repeated" in text]
    if repeated:
        raise Refusal("column_twice", column=repeated[0])


# A delivered CSV as blocks of text columns: any usual delimiter and encoding, every row accounted for.


DELIMITERS = ";\t,|"
BLOCK = 8 << 20


# Lines below, above or between the rows of a table that are no rows of it.
FOOTER = re.compile(
    r"(i\s?alt|total|sum|subtotal|antal|kilde|source|note|noter|anm|bemærk|udtr|dato|opgjort|genereret|rapport|"
    r"side \d|slut|end of|sidst|opdateret|fortrolig|\*|©|-{3,}|={3,}|_{3,})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Block:
    """Some rows of a table: field name -> texts, the row number of each, and the rows that have no such shape.

    `first` is the first column, for telling lines that are no rows; `notes` are the numbers of such lines, `blank` how
    many lines were empty. `ends_open`: the file ends without an end of line; `cut_row` is then its last row, when that
    may be cut off.
    """

    columns: dict[str, pa.Array]
    rows: np.ndarray
    misshapen: list[int]
    first: pa.Array
    notes: tuple[int, ...] = ()
    blank: int = 0
    cut_row: int | None = None
    ends_open: bool = False


def read_layout(part: Part, contracts: Iterable[Contract]) -> tuple[Layout, str, int]:
    """Return layout, delimiter and the number of physical lines up to and with the heading.

    Raises Refusal when no row among the first 25 is a heading of any kind of delivery.
    """
    contracts = list(contracts)
    with part.open() as stream:
        first = next(chunks := _utf8(stream, part), b"")
        first += next(chunks, b"") if len(first) < 1 << 20 else b""  # a short file to its end, which may be cut off
    text = b"".join(_text([first[: 1 << 20]])).decode("utf-8", "ignore")
    found: list[tuple[Layout, str, int]] = []
    start = io.StringIO(text, newline="")
    for delimiter in DELIMITERS:
        rows, lines = _first_rows(start, delimiter)
        if layout := find_layout(rows, contracts, part.hint):
            found.append((layout, delimiter, lines[layout.heading_row]))
    if not found:
        if "Ã¸" in text or "Ã¦" in text or "Ã¥" in text:
            raise Refusal("encoded_twice")
        raise Refusal("no_headings", is_table=not re.search(r"\.(txt|md|log|rtf|eml)$", part.label, re.IGNORECASE))
    best = max(found, key=lambda one: len(one[0].positions))
    if (width := best[0].width) > MOST_COLUMNS:
        raise Refusal("too_many_columns", columns=width, most=MOST_COLUMNS)
    return best


def read_blocks(part: Part, layout: Layout, delimiter: str, skip_lines: int) -> Generator[Block]:
    """Yield the rows under the heading in blocks of about 8 MB. Row 1 is the table's first row."""
    row = layout.heading_row + 2
    with part.open() as stream:
        for block, is_whole in _whole_lines(_text(_utf8(stream, part)), skip_lines):
            parsed, count = _parse(block, layout, delimiter, row, is_whole=is_whole)
            row += count
            yield parsed


def _first_rows(text: io.StringIO, delimiter: str) -> tuple[list[list[str]], list[int]]:
    text.seek(0)
    reader = csv.reader(text, delimiter=delimiter)
    rows: list[list[str]] = []
    lines: list[int] = []
    with suppress(csv.Error):  # what was read so far is enough to look for a heading in
        for row in islice(reader, HEADING_ROWS):
            rows.append(row)
            lines.append(reader.line_num)
    return rows, lines


def _text(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield text with every line ended by one line feed.

    Systems end lines by CR, LF, CRLF or CRCRLF, and several of them in one file. All readers below see one form only,
    so that the lines one of them skips and the rows another counts are the same.
    """
    held = b""
    for chunk in chunks:
        text = (held + chunk).replace(b"\x1a", b"")
        stripped = text.rstrip(b"\r")
        text, held = stripped, text[len(stripped) :]
        text = text.replace(b"\r\n", b"\n")  # nearly always all there is to do, and much faster
        yield re.sub(rb"\r+\n|\r", b"\n", text) if b"\r" in text else text
    if held:
        yield b"\n"


def _utf8(stream: IO[bytes], part: Part) -> Iterator[bytes]:
    """Yield the stream as UTF-8 without byte-order mark."""
    try:
        if part.encoding.startswith(MIXED):
            yield from _line_by_line(stream, part.encoding.removeprefix(MIXED))
            return
        decoder = None if part.encoding == "utf-8" else codecs.getincrementaldecoder(part.encoding)()
        first = True
        while chunk := read_chunk(stream, BLOCK):
            if decoder:
                chunk = decoder.decode(chunk).removeprefix("\ufeff" if first else "").encode()
            elif first:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
            first = False
            yield chunk
        if decoder:
            yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise Refusal("wrong_encoding", encoding=part.encoding) from None


def _line_by_line(stream: IO[bytes], other: str) -> Iterator[bytes]:
    """Yield a stream as UTF-8 whose lines are UTF-8 or, where they are not, in another encoding."""
    rest, first = b"", True
    while chunk := read_chunk(stream, BLOCK):
        *lines, rest = re.split(rb"(?<=[\r\n])", rest + (chunk.removeprefix(codecs.BOM_UTF8) if first else chunk))
        first = False
        yield b"".join(_line(line, other) for line in lines)
    yield _line(rest, other)


def _line(line: bytes, other: str) -> bytes:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(other).encode()
    return line


def _whole_lines(chunks: Iterator[bytes], skip_lines: int) -> Iterator[tuple[bytes, bool]]:
    """Yield blocks that end at a line's end and, where a closing quote is near, not inside a quoted cell.

    The second value is False for the rest of a file whose last line has no end.
    """
    rest = b""
    for chunk in chunks:
        buffer = rest + chunk
        while skip_lines and b"\n" in buffer:
            buffer = buffer[buffer.index(b"\n") + 1 :]
            skip_lines -= 1
        cut = buffer.rfind(b"\n") + 1 if not skip_lines else 0
        if cut and buffer.count(b'"', 0, cut) % 2 and len(buffer) <= BLOCK + LONGEST_LINE:
            cut = 0
        if len(buffer) - cut > BLOCK + 2 * LONGEST_LINE:
            raise Refusal("too_long_line", limit=LONGEST_LINE)
        if cut:
            yield buffer[:cut], True
        rest = buffer[cut:]
    if rest and not skip_lines:
        yield rest, rest.endswith(b"\n")


def _parse(block: bytes, layout: Layout, delimiter: str, first_row: int, *, is_whole: bool) -> tuple[Block, int]:
    """Return one block as text columns, and how many rows it holds; rows of another width are looked at one by one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as pacsv

    misshapen: list[tuple[int, str]] = []

    def set_apart(row: pacsv.InvalidRow) -> str:
        misshapen.append((first_row + (row.number or 0) - 1, row.text))
        return "skip"

    names = [str(number) for number in range(layout.width)]
    wanted = list(dict.fromkeys(["0", *(str(position) for position in layout.positions.values())]))
    try:
        table = pacsv.read_csv(
            pa.BufferReader(block),
            # One thread: else the numbers of misshapen rows are not known, and several take more of the processor.
            read_options=pacsv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=set_apart
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, ValueError):
        # No cause attached: the library's message quotes the row.
        raise Refusal("no_table_after", row=first_row) from None
    total = table.num_rows + len(misshapen)
    if b'"' in block:
        _refuse_swallowed(block, total, bool(misshapen), layout.width, delimiter, first_row)
    numbers = np.arange(first_row, first_row + total)
    columns = {name: table.column(str(position)).combine_chunks() for name, position in layout.positions.items()}
    first = table.column("0").combine_chunks()
    cut_row = None if is_whole or _ends_whole(block, layout, delimiter) else first_row + total - 1
    others = _fit(misshapen, layout, delimiter, cut_row)
    good = np.setdiff1d(numbers, [number for number, _ in misshapen], assume_unique=True)
    if others.fitted:
        for name, position in layout.positions.items():
            added = pa.array([row[position] for row in others.fitted.values()], pa.string())
            columns[name] = pa.concat_arrays([columns[name], added])
        first = pa.concat_arrays([first, pa.array([row[0] for row in others.fitted.values()], pa.string())])
        good = np.concatenate([good, np.array(list(others.fitted), good.dtype)])
    return Block(columns, good, others.bad, first, tuple(others.notes), others.blank, cut_row, not is_whole), total


@dataclass
class _Others:
    """The rows of another width than the heading's: those that fit all the same, and what the rest are."""

    fitted: dict[int, list[str]] = field(default_factory=dict)
    bad: list[int] = field(default_factory=list)
    notes: list[int] = field(default_factory=list)
    blank: int = 0


def _fit(rows: list[tuple[int, str]], layout: Layout, delimiter: str, cut_row: int | None) -> _Others:
    """Sort out rows that have more or fewer cells than the heading.

    Excel leaves out the delimiters of empty columns at the end, sixteen rows at a time, and writes those of columns
    that are empty to the last row. Such rows fit, when every required field can be read in them. But where one short
    row does not, a line end inside a cell may have torn rows in two, and then no short row of the block is trusted.
    """
    found = _Others()
    short: dict[int, list[str]] = {}
    torn = False
    for number, text in rows:
        cells = next(csv.reader([text], delimiter=delimiter), [])
        filled = [cell for cell in cells if clean(cell)]
        if not filled:
            found.blank += 1
        elif FOOTER.match(clean(filled[0])) and not _has_required(cells, layout):
            found.notes.append(number)
        elif number == cut_row:
            found.bad.append(number)
        elif len(cells) > layout.width:
            fits = not any(clean(cell) for cell in cells[layout.width :]) and _has_required(cells, layout)
            if fits:
                found.fitted[number] = cells[: layout.width]
            else:
                found.bad.append(number)
        else:
            short[number] = cells + [""] * (layout.width - len(cells))
            torn = torn or not _has_required(cells, layout)
    if torn:
        found.bad += list(short)
    else:
        found.fitted |= short
    found.bad.sort()
    return found


def _has_required(cells: Sequence[str], layout: Layout) -> bool:
    """Tell whether every required field that has a column can be read in a row."""
    fields = ((layout.contract.field(name), place) for name, place in layout.positions.items())
    return all(place < len(cells) and _is_readable(each, cells[place]) for each, place in fields if each.required)


def _is_readable(each: DeliveryField, text: str) -> bool:
    if each.type == "cpr":
        return normalise_cpr(clean(text)) is not None
    return parser_of(each)(text)[1] is None and bool(clean(text))


def _ends_whole(block: bytes, layout: Layout, delimiter: str) -> bool:
    """Tell whether the last value of a file without an end of line can be seen to be whole.

    It can when it is quoted, has no field here, is a full number of ten digits or a date with its year of four digits,
    or one of the allowed texts that none with another meaning begins with. A number might have had more digits.
    """
    line = block[block.rfind(b"\n") + 1 :].decode("utf-8", "replace")
    if not line.strip():
        return True
    cells = next(csv.reader([line], delimiter=delimiter), [])
    if len(cells) < layout.width:
        return False
    if line.rstrip().endswith('"'):
        return True
    last = next((name for name, position in layout.positions.items() if position == len(cells) - 1), None)
    if last is None:
        return True
    each, text = layout.contract.field(last), clean(cells[-1])
    if not _is_readable(each, text):
        return False
    if each.type == "date":
        return re.search(r"(^\d{4}\D\d\d\D\d\d|\D\d{4})$", text) is not None
    if each.type == "enum":
        key = fold_spelling(text)
        return not any(other.startswith(key) and code != each.known[key] for other, code in each.known.items())
    return each.type == "cpr"


def _refuse_swallowed(block: bytes, total: int, any_bad: bool, width: int, delimiter: str, first_row: int) -> None:
    """Refuse a block where a stray quote has made one cell of several rows; an honest multi-line note passes."""
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if total == lines:
        return
    if any_bad or _holds_rows_in_a_cell(block.decode(), width, delimiter):
        raise Refusal("open_quote", row=first_row)


def _holds_rows_in_a_cell(text: str, width: int, delimiter: str) -> bool:
    try:
        return any(
            "\n" in cell and cell.count(delimiter) >= width - 1
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            for cell in row
        )
    except csv.Error:  # a cell beyond the reader's limit is no note
        return True


# The drop folder: every file in it and its subfolders is received or answered; no link is followed.


# Files that are still being sent; they are received once they have their own name.
ON_THEIR_WAY = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".download")


def waiting_files(folder: Path) -> list[Path]:
    """Return what lies in a drop folder and its subfolders, the last written last, so that a correction wins.

    Files written at the same moment go by name: the order is the same every night. Links, and folders that cannot be
    looked into, are among them, so that they are answered; what systems leave behind and what is still on its way is
    not. Raises UsageError when there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; set KOMMUNEKORT_DROP_FOLDER to the folder deliveries come to")
    found: list[Path] = []
    closed: list[str] = []
    for root, folders, files in os.walk(folder, onerror=lambda error: closed.append(str(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [Path(root) / name for name in (*links, *files) if _is_sent(name)]
    found += [Path(name) for name in closed if Path(name) != folder]
    return sorted(found, key=lambda path: (path.lstat().st_mtime_ns, str(path.relative_to(folder))))


def _is_sent(name: str) -> bool:
    return not (name.startswith(".") or LEFT_BY_SYSTEMS.search(name) or name.lower().endswith(ON_THEIR_WAY))


def refuse_unread(path: Path) -> None:
    """Raise Refusal for what is no plain file that can be read: a link, a folder, a device."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise Refusal("unreadable", why=error.strerror) from None
    if stat.S_ISLNK(mode):
        raise Refusal("link")
    if not stat.S_ISREG(mode) or not os.access(path, os.R_OK):
        raise Refusal("no_access")

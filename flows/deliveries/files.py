"""One delivered table file: recognised by its bytes, unpacked, hashed, its encoding told, and read row by row.

One module, since CSV, workbook and ZIP share their bounds and how a heading row is found.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal

from flows.deliveries.contract import Refusal
from flows.deliveries.keys import mask
from flows.deliveries.values import Wrong, parse_municipality, parse_period
from transforms.catalogue import Contract, DeliveryField, squash
from transforms.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from python_calamine import CalamineSheet, CalamineWorkbook


CHUNK = 1 << 20
ZIP_MAGIC = b"PK\x03\x04"
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
BOM = b"\xef\xbb\xbf"
OTHER_KINDS = {
    b"%pdf": "PDF", b"{\\rt": "RTF", b"\x1f\x8b\x08": "gzip", b"7z\xbc\xaf": "7-Zip", b"rar!": "RAR",
    b"<htm": "HTML", b"<!do": "HTML", b"<?xm": "XML",
}  # fmt: skip
# The bytes of æ ø å Æ Ø Å in the two eight-bit encodings municipal systems still write.
CP850, CP1252 = b"\x91\x9b\x86\x92\x9d\x8f", b"\xe6\xf8\xe5\xc6\xd8\xc5"


@dataclass(frozen=True)
class Bounds:
    """How much a delivery may hold before it is refused unread. Bytes unless the name says otherwise."""

    file: int = 4 << 30
    unpacked: int = 4 << 30
    workbook: int = 1 << 30
    ratio: int = 250
    members: int = 200
    line: int = 4 << 20
    columns: int = 300
    cells: int = 10_000_000
    faults: int = 2_000


@dataclass(frozen=True)
class Part:
    """One table file: a CSV or a workbook, by itself or in a ZIP. `label` is safe to print, `hint` is not."""

    label: str
    hint: str
    form: Literal["csv", "xlsx"]
    open: Callable[[], IO[bytes]]
    sha256: str
    encoding: str


def part_of(label: str, hint: str, open_part: Callable[[], IO[bytes]], start: bytes, bounds: Bounds) -> Part:
    """Return one part after a single pass over its bytes: hash and, for text, encoding."""
    if not start:
        raise Refusal(label, "Filen er tom; send den igen.", "the file is empty; deliver it again")
    if start.startswith(OLE_MAGIC):
        raise _refuse_ole(label, open_part)
    form: Literal["csv", "xlsx"] = "xlsx" if start.startswith(ZIP_MAGIC) else "csv"
    other = next((kind for magic, kind in OTHER_KINDS.items() if start.lower().startswith(magic)), None)
    if other:
        raise Refusal(
            label,
            f"Filen er {other}; send CSV, XLSX eller en ZIP af dem.",
            f"this is {other}; deliver CSV, XLSX or a ZIP of them",
        )
    with open_part() as stream:
        digest, encoding = _inspect(stream, label, text=form == "csv")
    return Part(label, hint, form, open_part, digest, encoding)


def _inspect(stream: IO[bytes], label: str, *, text: bool) -> tuple[str, str]:
    """Return SHA-256 and encoding: UTF-8 where every byte agrees, else UTF-16 by its mark, else Windows or DOS."""
    import codecs

    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    utf8, marked, dos, windows = True, "", 0, 0
    while chunk := read_chunk(stream, label):
        digest.update(chunk)
        if not text:
            continue
        marked = marked or UTF16.get(chunk[:2], "-")
        if marked == "-" and b"\0" in chunk:
            raise Refusal(
                label,
                "Filen er ikke en tekstfil; send CSV, XLSX eller en ZIP af dem.",
                "this is no text file; deliver CSV, XLSX or a ZIP of them",
            )
        try:
            utf8 = utf8 and decoder.decode(chunk) is not None
        except UnicodeDecodeError:
            utf8 = False
        if not utf8:  # what came before the first letter that is no UTF-8 tells nothing
            dos += sum(chunk.count(byte) for byte in CP850)
            windows += sum(chunk.count(byte) for byte in CP1252)
    if marked in UTF16.values():
        return digest.hexdigest(), marked
    return digest.hexdigest(), "utf-8" if utf8 else "cp850" if dos > windows else "cp1252"


def read_chunk(stream: IO[bytes], label: str) -> bytes:
    """Return the next megabyte of a stream; Refusal when what lies under it is damaged."""
    try:
        return stream.read(CHUNK)
    except ZIP_ERRORS:
        raise Refusal(
            label,
            "Filen kan ikke læses til ende; pak eller gem den igen.",
            "cannot be read to its end; pack or save it again",
        ) from None


def _refuse_ole(label: str, open_part: Callable[[], IO[bytes]]) -> Refusal:
    import msoffcrypto

    with open_part() as stream:
        try:
            encrypted = msoffcrypto.OfficeFile(io.BytesIO(stream.read(64 << 20))).is_encrypted()
        except Exception:
            encrypted = False
    if encrypted:
        return Refusal(
            label,
            "Projektmappen er beskyttet med adgangskode; gem den uden, og send den igen.",
            "the workbook is protected by a password; save it without and deliver again",
        )
    return Refusal(
        label,
        "Filen er i et gammelt Office-format; gem den som .xlsx, og send den igen.",
        "an old Office file; save it as .xlsx and deliver again",
    )


def check_sizes(entries: list[zipfile.ZipInfo], label: str, limit: int, ratio: int) -> None:
    """Refuse an archive that would unpack to more than `limit` bytes or swells suspiciously."""
    total, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if total > limit or (total > (10 << 20) and total > ratio * max(packed, 1)):
        raise Refusal(
            label,
            f"Indholdet vokser fra {packed:,} til {total:,} bytes ved udpakning; det er ikke sandsynligt.",
            f"unpacks from {packed:,} to {total:,} bytes, which is not plausible; refused unread",
        )


# The table files in what was delivered, a ZIP or a file by itself: checked before unpacked, never written to disk.


def parts_of(path: Path, bounds: Bounds) -> list[Part]:
    """Return the table files in `path`, whose form is told by its first bytes and not by its name.

    Raises UsageError when the file cannot be opened, and Refusal for what is no table file, protected by a
    password, or larger than `bounds`.
    """
    label = mask(path.name)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise UsageError(f"{label}: cannot be read ({error.strerror})") from None
    if size > bounds.file:
        raise Refusal(
            label,
            f"Filen fylder mere end {bounds.file:,} bytes; del den op.",
            f"{size:,} bytes is more than the {bounds.file:,} allowed; split the file",
        )
    if start.startswith(ZIP_MAGIC):
        with _archive(path, label) as archive:
            if not _is_workbook(archive):
                return _members(path, archive, label, bounds)
    return [part_of(label, path.name, lambda: path.open("rb"), start, bounds)]


def _archive(path: Path, label: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except ZIP_ERRORS:
        raise Refusal(
            label,
            "ZIP-filen eller projektmappen er beskadiget; pak eller gem den igen.",
            "a damaged ZIP or workbook; pack or save it again",
        ) from None


def _is_workbook(archive: zipfile.ZipFile) -> bool:
    return "xl/workbook.xml" in {name.lstrip("/") for name in archive.namelist()}


def _members(path: Path, archive: zipfile.ZipFile, label: str, bounds: Bounds) -> list[Part]:
    """Return the table files of a ZIP, all of them checked before the first is unpacked."""
    entries = [
        entry
        for entry in archive.infolist()
        if not entry.is_dir()
        and not entry.filename.startswith("__MACOSX/")
        and not entry.filename.endswith(".DS_Store")
    ]
    if not entries or len(entries) > bounds.members:
        raise Refusal(
            label,
            f"ZIP-filen rummer {len(entries)} filer; send 1 til {bounds.members}.",
            f"holds {len(entries)} files; deliver 1 to {bounds.members}",
        )
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise Refusal(
                label,
                "Et filnavn i ZIP-filen peger ud af den; pak den igen.",
                "a file name in the ZIP points outside it; pack it again",
            )
        if entry.flag_bits & 0x1:
            raise Refusal(
                label,
                "ZIP-filen er beskyttet med adgangskode; pak den uden.",
                "the ZIP is protected by a password; pack it without",
            )
    check_sizes(entries, label, bounds.unpacked, bounds.ratio)
    return [_member(path, entry, label, bounds) for entry in entries]


def _member(path: Path, entry: zipfile.ZipInfo, label: str, bounds: Bounds) -> Part:
    inside = f"{label}/{mask(PurePosixPath(entry.filename).name)}"
    try:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            start = stream.read(8)
    except ZIP_ERRORS:
        raise Refusal(
            inside, "Filen er beskadiget i ZIP-filen; pak den igen.", "damaged in the ZIP; pack it again"
        ) from None

    def open_member() -> IO[bytes]:
        if start.startswith(ZIP_MAGIC):
            return _unpacked(path, entry, inside, bounds)
        return zipfile.ZipFile(path).open(entry)

    if start.startswith(ZIP_MAGIC):
        with _archive_in(open_member(), inside) as nested:
            if not _is_workbook(nested):
                raise Refusal(
                    inside,
                    "Der ligger en ZIP i ZIP-filen; pak filerne én gang.",
                    "a ZIP inside the ZIP; pack the files once",
                )
    return part_of(inside, entry.filename, open_member, start, bounds)


def _unpacked(path: Path, entry: zipfile.ZipInfo, label: str, bounds: Bounds) -> io.BytesIO:
    if entry.file_size > bounds.workbook // 4:
        raise Refusal(
            label,
            f"Projektmappen fylder mere end {bounds.workbook // 4:,} bytes; send den som CSV.",
            f"the workbook is larger than {bounds.workbook // 4:,} bytes; deliver it as CSV",
        )
    with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
        content = b""
        while chunk := read_chunk(stream, label):
            content += chunk
    return io.BytesIO(content)


def _archive_in(stream: IO[bytes], label: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except ZIP_ERRORS:
        raise Refusal(
            label,
            "ZIP-filen eller projektmappen er beskadiget; pak eller gem den igen.",
            "a damaged ZIP or workbook; pack or save it again",
        ) from None


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


def find_layout(rows: Sequence[Sequence[str]], contracts: Iterable[Contract], hint: str = "") -> Layout | None:
    """Return the best reading of a table's first rows, or None when fewer than two headings are known.

    Best is: fewest required fields missing, then most fields found, then the kind the file's name speaks of.
    """
    words = set(re.split(r"[^a-zæøå]+", hint.casefold()))
    best: tuple[tuple[int, int, int], Layout] | None = None
    for number, row in enumerate(rows[:HEADING_ROWS]):
        names = {name for heading in row for name in _names(heading)}
        for contract in contracts:
            if len(names & contract.by_heading.keys()) < LEAST_HEADINGS:
                continue
            layout = _read_heading(row, number, contract)
            found = len(layout.positions)
            if found < LEAST_HEADINGS:
                continue
            rank = (-len(missing_fields(layout)), found, len(words & set(contract.file_words)))
            if best is None or rank > best[0]:
                best = (rank, layout)
    return best[1] if best else None


def _read_heading(row: Sequence[str], number: int, contract: Contract) -> Layout:
    positions: dict[str, int] = {}
    dropped: list[str] = []
    undeclared: list[str] = []
    run_together = _holds_data(row)
    for column, heading in enumerate(row):
        field = _field_of(heading, contract)
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


def _field_of(heading: str, contract: Contract) -> DeliveryField | None:
    return next((contract.by_heading[name] for name in _names(heading) if name in contract.by_heading), None)


def _names(heading: str) -> list[str]:
    """Return what a heading may be known by: all of it, and what stands before a bracket."""
    bracketed = "(" in heading or "[" in heading
    return [squash(heading), squash(_unbracketed(heading))] if bracketed else [squash(heading)]


def _safe_heading(heading: str, column: int, *, run_together: bool) -> str:
    """Return an unknown heading as it may be printed: by its place when it may be part of a person's row."""
    text = " ".join(heading.split())
    hide = run_together or len(text) > 60 or re.search(r"\d", text)
    return f"kolonne/column {column + 1}" if hide else text


def _holds_data(row: Sequence[str]) -> bool:
    """Tell whether a heading row has swallowed a row of data: some cell holds a date or a number."""
    return any(len(re.findall(r"\d", cell)) >= 6 for cell in row)


def _unbracketed(heading: str) -> str:
    """Return a heading without what stands in brackets behind it: «Startdato (dd-mm-åååå)»."""
    return re.sub(r"[\[(].*$", "", heading)


def missing_fields(layout: Layout) -> list[str]:
    """Return the labels of required fields that have no column."""
    fields = layout.contract.fields
    # A municipality may also be known from the argument or the file's name.
    return [
        field.label_da
        for field in fields
        if field.required and field.type != "municipality" and field.name not in layout.positions
    ]


def require_complete(layout: Layout, label: str) -> None:
    """Refuse a table without its required columns, or with one of them twice."""
    absent = missing_fields(layout)
    if absent:
        names = ", ".join(absent)
        raise Refusal(
            label,
            f"Kolonner mangler: {names}. Brug skabelonens overskrifter.",
            f"required columns of {layout.contract.kind} cannot be found: {names}; use the headings of the template",
        )
    repeated = [text for text in layout.undeclared if "(gentaget/repeated" in text]
    if repeated:
        raise Refusal(
            label,
            f"To kolonner hører til samme felt: {repeated[0]}. Behold den ene.",
            f"two columns hold the same field: {repeated[0]}; keep one of them",
        )


def municipality_in(name: str) -> str | None:
    """Return the code of the one municipality a file name speaks of, or None when there is none or several."""
    tokens = re.split(r"[\s_.,()]+", re.sub(r"\.[A-Za-z]{3,4}$", "", name.rsplit("/", 1)[-1]))
    tokens += [part for token in tokens for part in token.split("-")]
    found: set[str] = set()
    for length in (1, 2):
        for start in range(len(tokens) - length + 1):
            text = " ".join(tokens[start : start + length])
            if not re.fullmatch(r"(19|20)\d\d|\d{1,2}", text):
                try:
                    found.add(parse_municipality(text))
                except Wrong:
                    continue
    return found.pop() if len(found) == 1 else None


def period_in(name: str) -> str | None:
    """Return the quarter or year a file name speaks of, or None."""
    stem = re.sub(r"\.[A-Za-z]{3,4}$", "", name.rsplit("/", 1)[-1])
    patterns = (
        r"(?<!\d)\d{4}[-_ ]?[kKqQ][1-4](?!\d)",
        r"(?<![A-Za-z\d])[kKqQ][1-4][-_ ]?(?:19|20)\d\d(?!\d)",
        r"(?<!\d)(?:19|20)\d\d-\d\d-\d\d(?!\d)",
        r"(?<!\d)\d\d-\d\d-(?:19|20)\d\d(?!\d)",
        r"(?<!\d)(?:19|20)\d\d(?!\d)",
    )
    for pattern in patterns:
        if match := re.search(pattern, stem):
            try:
                return parse_period(match[0].replace("_", " "))
            except Wrong:
                continue
    return None


# A delivered CSV as blocks of text columns: any usual delimiter and encoding, every row accounted for.


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


# A delivered workbook as blocks of text columns: measured before it is opened, formulas counted, never run.


ROWS_PER_BLOCK = 50_000
_COLUMN = re.compile(rb"\sr=[\"']([A-Z]{1,3})\d")
_ROW = re.compile(rb"\sr=[\"'][A-Z]{0,3}(\d{1,7})[\"']")
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")


def open_workbook(part: Part, bounds: Bounds) -> tuple[CalamineWorkbook, int]:
    """Return the workbook and its number of formulas; Refusal when it is damaged or implausibly large."""
    import python_calamine

    with part.open() as stream:
        content = stream.read(bounds.workbook // 4 + 1)
    if len(content) > bounds.workbook // 4:
        raise Refusal(
            part.label,
            f"Projektmappen fylder mere end {bounds.workbook // 4:,} bytes; send den som CSV.",
            f"a workbook larger than {bounds.workbook // 4:,} bytes; deliver it as CSV",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            formulas = _measure(archive, part.label, bounds)
        return python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)), formulas
    except (*ZIP_ERRORS, python_calamine.CalamineError):
        raise Refusal(
            part.label,
            "Projektmappen er beskadiget; gem den igen, og send den.",
            "a damaged workbook; save it again and deliver it",
        ) from None


def _measure(archive: zipfile.ZipFile, label: str, bounds: Bounds) -> int:
    """Return the number of formulas, after refusing sheets whose cells would not fit in memory.

    The reader lays a sheet out as a full rectangle: two cells far apart would ask for terabytes.
    """
    check_sizes(archive.infolist(), label, bounds.workbook, bounds.ratio)
    formulas = 0
    for entry in archive.infolist():
        if not re.fullmatch(r"/?xl/worksheets/[^/]+\.xml", entry.filename):
            continue
        columns: set[bytes] = set()
        last_row, tail = 1, b""
        with archive.open(entry) as stream:
            while chunk := stream.read(1 << 20):
                if b"\0" in chunk[:256]:
                    raise Refusal(
                        label,
                        "Et ark har et usædvanligt tegnsæt; gem projektmappen igen i Excel.",
                        "a sheet in an unusual encoding; save the workbook again in Excel",
                    )
                text = tail + chunk
                columns.update(_COLUMN.findall(text))
                last_row = max(last_row, max(map(int, set(_ROW.findall(text))), default=1))
                formulas += len(_FORMULA.findall(text)) - len(_FORMULA.findall(tail))
                tail = text[-64:]
        width = max((_column_number(name) for name in columns), default=1)
        if width * last_row > bounds.cells:
            raise Refusal(
                label,
                f"Et ark spænder over {last_row:,} rækker og {width:,} kolonner; slet alt uden for tabellen.",
                f"a sheet spans {last_row:,} rows and {width:,} columns; delete what lies outside the table",
            )
    return formulas


def _column_number(name: bytes) -> int:
    number = 0
    for letter in name:
        number = number * 26 + letter - 64
    return number


def sheets(workbook: CalamineWorkbook) -> list[str]:
    """Return the names of the visible work sheets."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    return [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
    ]


def read_sheet(workbook: CalamineWorkbook, name: str, label: str) -> CalamineSheet:
    """Return one sheet; Refusal when it cannot be read."""
    import python_calamine

    try:
        return workbook.get_sheet_by_name(name)
    except (*ZIP_ERRORS, python_calamine.CalamineError):
        raise Refusal(
            label,
            "Et ark kan ikke læses; gem projektmappen igen, og send den.",
            "a sheet cannot be read; save the workbook again and deliver it",
        ) from None


def sheet_layout(sheet: CalamineSheet, contracts: Iterable[Contract], hint: str) -> Layout | None:
    """Return the layout of a sheet, or None when it holds no delivery (an instruction, a list)."""
    rows = [[_text(cell) for cell in row] for row in islice(_rows(sheet), HEADING_ROWS)]
    return find_layout(rows, list(contracts), hint)


def sheet_blocks(sheet: CalamineSheet, layout: Layout) -> Iterator[Block]:
    """Yield the rows under the heading in blocks; row numbers are those Excel shows."""
    import numpy as np
    import pyarrow as pa

    rows = _rows(sheet)
    first = layout.heading_row + 2
    for _ in range(layout.heading_row + 1):
        next(rows)
    while batch := list(islice(rows, ROWS_PER_BLOCK)):
        columns = {
            name: pa.array([_text(row[position]) for row in batch], pa.string())
            for name, position in layout.positions.items()
        }
        yield Block(columns, np.arange(first, first + len(batch)), [])
        first += len(batch)


def _rows(sheet: CalamineSheet) -> Iterator[Sequence[Any]]:
    """Yield all rows from the sheet's first, also the empty ones in front, each from column A."""
    return iter(sheet.to_python(skip_empty_area=False))


def _text(cell: Any) -> str:
    """Return a cell as a municipality would have written it in a Danish CSV."""
    if isinstance(cell, bool):
        return "Ja" if cell else "Nej"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", ",")
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ")
    return str(cell)

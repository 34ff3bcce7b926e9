"""StatBank extracts as people have them: recognised by content, written as canonical CSV, or refused in a sentence.

What comes in is CSV, BULK, XLSX or JSON-stat, in Danish or English, with codes or texts; what goes out is one form
(see `normalise`). The forms are those of the StatBank API and of statistikbanken.dk's own downloads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import repeat
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from flows.connectors.statbank.forms import (
    DEFAULT_LIMITS,
    MARKS,
    UTF8_BOM,
    Chunk,
    Limits,
    MixedStyles,
    NumberReader,
    Style,
    Table,
    Undecided,
    one_line,
    open_table,
    readings,
    refusal,
)
from flows.connectors.statbank.match import Candidate, Fit, Match, Misfit, Resolver, key_of, refusal_parts
from transforms.errors import DataRefused

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Dimension, Source


# The canonical CSV: UTF-8, `;`, LF, ids of the source in its order, codes; and files that are it already.


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


# Which table is this file: told from its content against every source of the catalogue, never from its name.


Presentation = Literal["code", "text", "both"]


@dataclass(frozen=True)
class Recognised:
    """What a file is.

    `language` is "" when nothing in it is written in one language only; `filled` names the dimensions that have no
    column and the code that stands for each; `complete_rectangle_hint` says that the file has BULK's form (CSV, one
    row per cell, no BOM, a column for every dimension), in which absent cells may be zeros;
    `canonical` that it can be scanned as is.
    """

    source_id: str
    presentation: Presentation
    language: Literal["da", "en", ""]
    complete_rectangle_hint: bool
    filled: tuple[tuple[str, str], ...] = ()
    canonical: bool = False


def recognise(path: Path, catalogue: Catalogue, limits: Limits = DEFAULT_LIMITS) -> Recognised:
    """Return which source of the catalogue a file belongs to and how it says it.

    A source fits when every column is one of its dimensions, every dimension without a column is eliminable and has
    a total, and every cell has a code. A source with a column for each dimension goes before one with totals filled
    in. Raises DataRefused, with the reason nearest to a fit, when no source or more than one source fits.
    """
    table = open_table(path, limits)
    sources = _sources(table, catalogue)
    candidate = Candidate(table, catalogue)
    placed = [candidate.place(source) for source in sources]
    fits = [fit for fit in placed if isinstance(fit, Fit)]
    exact = [fit for fit in fits if not fit.filled]
    if len(exact) == 1 and canonical_scan(path, exact[0].source, catalogue) is not None:
        return Recognised(exact[0].source.id, "code", "", not table.shape.bom, canonical=True)
    misfits = [misfit for misfit in placed if isinstance(misfit, Misfit)]
    accepted: list[tuple[Fit, list[Match]]] = []
    for fit in fits:
        checked = candidate.check_cells(fit)
        if isinstance(checked, Misfit):
            misfits.append(checked)
        else:
            accepted.append((fit, _telling(checked)))
    accepted = [pair for pair in accepted if not pair[0].filled] or accepted
    _require_identity(table, [fit for fit, _ in accepted])
    if len(accepted) > 1:
        raise _ambiguous(path, [fit.source for fit, _ in accepted])
    if not accepted:
        raise max(misfits, key=lambda misfit: misfit.score).reason
    fit, matches = accepted[0]
    presentation = _presentation(matches)
    shape = table.shape
    hint = shape.format == "csv" and shape.layout == "long" and not shape.bom and not fit.filled
    return Recognised(fit.source.id, presentation, _language(matches), hint, tuple(fit.filled.items()))


def _sources(table: Table, catalogue: Catalogue) -> list[Source]:
    """Return the sources to try: the one the file itself names, else every StatBank source."""
    known = [source for source in catalogue.sources.values() if source.connector == "statbank"]
    if table.table_id is not None:
        named = catalogue.by_table(table.table_id)
        if named is None or named.connector != "statbank":
            close = get_close_matches(table.table_id, [source.table or "" for source in known], n=3, cutoff=0.6)
            nearest = f", the nearest known: {', '.join(close)}" if close else ""
            rule = f"the file says it is table {table.table_id}, which has no source file{nearest}"
            raise refusal(table.path, rule, f"add it with kommunekort new-source statbank {table.table_id}")
        return [named]
    if not known:
        raise refusal(table.path, "the catalogue has no StatBank table", "add one with kommunekort new-source")
    return known


def _require_identity(table: Table, fits: Sequence[Fit]) -> None:
    """Refuse a bare region × time grid: any table can be boiled down to one, of any group of people."""
    said = key_of(table.statement)
    for fit in fits:
        titled = any(key_of(title) in said for title in (fit.source.title_da, fit.source.title_en))
        roles = {d.role for d in fit.source.dimensions if d.id in fit.columns}
        if table.table_id or titled or not fit.filled or roles & {"category", "selector"}:
            continue
        rule = "only area and time, so nothing in the file says which table it is and which people it counts"
        raise refusal(table.path, rule, "download the table with its other columns")


def _ambiguous(path: Path, sources: Sequence[Source]) -> Exception:
    tables = [source.table or source.id for source in sources]
    rule = f"fits {' and '.join(tables)} alike"
    return refusal(path, rule, "download the table with all its columns and with codes, or as XLSX, which names it")


def _telling(checked: Sequence[tuple[Dimension, Sequence[tuple[str, Match]]]]) -> list[Match]:
    """Return the matches that tell presentation and language: of all columns but time, whose code is its text."""
    return [match for dimension, pairs in checked if dimension.role != "time" for _, match in pairs]


def _presentation(matches: Sequence[Match]) -> Presentation:
    hows = {match.how for match in matches}
    return "text" if "text" in hows else "both" if "both" in hows else "code"


def _language(matches: Sequence[Match]) -> Literal["da", "en", ""]:
    danish = sum(match.language == "da" for match in matches)
    english = sum(match.language == "en" for match in matches)
    return "da" if danish > english else "en" if english else ""


# A placed table written as canonical CSV, chunk by chunk; rows that cannot be read become rejects.


MAX_REJECTS = 10_000
COUNT_DUPLICATES_UP_TO = 1_000_000


@dataclass(frozen=True)
class Reject:
    """A row left out of the canonical file: its row in the received file, the field, what it said, the rule."""

    row: int
    field: str
    value: str
    rule: str


@dataclass
class Tally:
    """What was counted while rows passed; `keys` holds hashes of the keys, None once there are too many to keep."""

    codes: list[set[str]]
    rows_in: int = 0
    rows_out: int = 0
    has_zero: bool = False
    rejects: list[Reject] = field(default_factory=list)
    keys: set[int] | None = field(default_factory=set)

    @property
    def duplicates(self) -> int | None:
        """Rows whose key came before; None when there were too many rows to count them."""
        return None if self.keys is None else self.rows_out - len(self.keys)


class _Codes(dict[str, str | None]):
    """Cell text to code for one column, each distinct text resolved once; None when it has no code."""

    def __init__(self, resolver: Resolver) -> None:
        super().__init__()
        self.resolver = resolver

    def __missing__(self, cell: str) -> str | None:
        match = self.resolver.match(cell)
        self[cell] = code = match.code if match else None
        return code


def write_table(table: Table, fit: Fit, catalogue: Catalogue, out: Path) -> Tally:
    """Write the placed table to `out` and return what was counted; DataRefused when the file as a whole is at fault."""
    decimals = fit.source.decimals
    try:
        return _Writer(table, fit, catalogue, NumberReader(decimals)).write(out)
    except Undecided as undecided:
        reader = NumberReader(decimals, _deciding_style(table, fit, undecided.text))
        return _Writer(table, fit, catalogue, reader).write(out)


class _Writer:
    def __init__(self, table: Table, fit: Fit, catalogue: Catalogue, numbers: NumberReader) -> None:
        self.table = table
        self.fit = fit
        self.numbers = numbers
        self.maps = [_Codes(Resolver(catalogue, fit.source, dimension)) for dimension in fit.source.dimensions]
        self.tally = Tally([set() for _ in self.maps])

    def write(self, out: Path) -> Tally:
        with out.open("w", encoding="utf-8", newline="\n") as file:
            file.write(header_of(self.fit.source) + "\n")
            for chunk in self.table.chunks():
                self._write_chunk(chunk, file)
        if not self.tally.rows_in:
            raise refusal(self.table.path, "a header but no rows", "download the table again")
        return self.tally

    def _write_chunk(self, chunk: Chunk, file: TextIO) -> None:
        """Map whole columns at once: no Python statement runs per row unless a row is rejected."""
        tally = self.tally
        tally.rows_in += len(chunk.values)
        values: Sequence[str | None] = self._numbers(chunk)
        columns = [self._codes(chunk, mapping) for mapping in self.maps]
        used = [set(column) for column in columns]
        self._check_pins(chunk, columns, used)
        if None in values or any(None in codes for codes in used):
            columns, values = self._without_rejects(chunk, columns, values)
            used = [set(column) for column in columns]
        for known, codes in zip(tally.codes, used, strict=True):
            known.update(codes)  # type: ignore[arg-type]  # no None is left
        keys = list(map(";".join, zip(*columns, strict=True)))
        file.write("\n".join(map(";".join, zip(keys, values, strict=True))) + "\n" * bool(keys))  # type: ignore[arg-type]
        tally.rows_out += len(keys)
        tally.has_zero = tally.has_zero or not ZEROS.isdisjoint(values)
        if tally.keys is not None:
            tally.keys.update(map(hash, keys))
            if tally.rows_out > COUNT_DUPLICATES_UP_TO:
                tally.keys = None

    def _codes(self, chunk: Chunk, codes: _Codes) -> list[str | None]:
        name = codes.resolver.dimension.id
        if name in self.fit.columns:
            return list(map(codes.__getitem__, chunk.columns[self.fit.columns[name]]))
        return list(repeat(self.fit.filled[name], len(chunk.values)))

    def _numbers(self, chunk: Chunk) -> list[str | None]:
        try:
            return list(map(self.numbers.__getitem__, chunk.values))
        except MixedStyles as mixed:
            row = chunk.rows[list(chunk.values).index(mixed.text)]
            rule = f"contradicts '{mixed.earlier}' before it: one is Danish, the other English"
            step = "download the table in one language"
            raise refusal(self.table.path, rule, step, row=row, value=mixed.text) from None

    def _check_pins(
        self, chunk: Chunk, columns: Sequence[Sequence[str | None]], used: Sequence[set[str | None]]
    ) -> None:
        for codes, column, found in zip(self.maps, columns, used, strict=True):
            dimension = codes.resolver.dimension
            if dimension.role != "selector":
                continue
            pin = dimension.select[0]
            strange = found - {None, pin}
            if strange:
                at = next(i for i, code in enumerate(column) if code in strange)
                rule = f"the source holds {dimension.id} {pin} only"
                step = f"download {self.fit.source.table} with that one"
                raise refusal(self.table.path, rule, step, row=chunk.rows[at], value=column[at])

    def _without_rejects(
        self, chunk: Chunk, columns: Sequence[Sequence[str | None]], values: Sequence[str | None]
    ) -> tuple[list[list[str | None]], list[str | None]]:
        kept = []
        for at, value in enumerate(values):
            bad = next((i for i, column in enumerate(columns) if column[at] is None), None)
            if bad is not None:
                self._reject(self._unknown_code(chunk, at, bad))
            elif value is None:
                rule = "a whole number or a mark" if self.numbers.decimals == 0 else "a number or a mark"
                self._reject(Reject(chunk.rows[at], "INDHOLD", chunk.values[at], f"must be {rule}"))
            else:
                kept.append(at)
        return [[column[at] for at in kept] for column in columns], [values[at] for at in kept]

    def _unknown_code(self, chunk: Chunk, at: int, which: int) -> Reject:
        resolver = self.maps[which].resolver
        name = resolver.dimension.id
        cell = chunk.columns[self.fit.columns[name]][at]
        rule, hint = refusal_parts(resolver, cell)
        return Reject(chunk.rows[at], name, cell, f"{rule}; {hint}")

    def _reject(self, reject: Reject) -> None:
        self.tally.rejects.append(reject)
        if len(self.tally.rejects) > MAX_REJECTS:
            first = self.tally.rejects[0]
            raise self._too_many(first)

    def _too_many(self, first: Reject) -> DataRefused:
        rule = f"the first of more than {MAX_REJECTS:,} unreadable rows: {first.field}: {first.rule}"
        return refusal(self.table.path, rule, "download the table again", row=first.row, value=first.value)


def _deciding_style(table: Table, fit: Fit, doubtful: str) -> Style:
    """Return the style of the first value that only one style can read; DataRefused when there is none."""
    for chunk in table.chunks():
        for value in chunk.values:
            found = readings(value.strip(), fit.source.decimals)
            if len(found) == 1:
                return next(iter(found))
    rule = "can be a thousands group or decimals, and no other value decides which"
    raise refusal(table.path, rule, "download the table in English with codes", value=doubtful)


@dataclass(frozen=True)
class Normalised:
    """What became of a file: `rows_in == rows_out + len(rejects)`.

    `canonical`: the file itself can be scanned and nothing was written. `complete`: a combination the file lacks means
    zero (see guess_rectangle). `duplicates`: rows whose key came before, None when not counted (canonical files, and
    beyond a million rows); they are written, the database's keys refuse them.
    """

    rows_in: int
    rows_out: int
    rejects: list[Reject]
    canonical: bool
    complete: bool
    duplicates: int | None = None


@dataclass(frozen=True)
class Directory:
    """The files of a folder: those recognised, in the order of their paths, and the others with the reason."""

    accepted: list[tuple[Path, Recognised]]
    refused: list[tuple[Path, str]]


def normalise(
    path: Path, source: Source, catalogue: Catalogue, out: Path, limits: Limits = DEFAULT_LIMITS
) -> Normalised:
    """Write the file's rows to `out` as canonical CSV, or find that the file is canonical and write nothing.

    Canonical: UTF-8 without BOM, `;`, LF, header = the source's dimension ids in upper case and in its order +
    INDHOLD, codes only, numbers with a point and no thousands marks, marks (`..` `-` `.` `...` blank) as received;
    a file scanned in place may have a BOM and CRLF. Rows keep their order. A row with an unknown code or an unreadable
    number is left out and returned as a Reject. CSV streams in constant memory. Raises DataRefused, leaving no `out`,
    when the file cannot be read or does not fit the source, when it holds another selector than the source's, when
    numbers contradict each other or could mean two things, and beyond 10,000 rejects.
    """
    scan = canonical_scan(path, source, catalogue) if path.is_file() else None
    if scan is not None:
        # guess_rectangle's second half needs every cell; without an absent combination there is nothing to fill.
        complete = source.unit in COUNTED_UNITS and not scan.has_zero
        return Normalised(scan.rows, scan.rows, [], canonical=True, complete=complete)
    table = open_table(path, limits)
    fit = Candidate(table, catalogue).place(source)
    if isinstance(fit, Misfit):
        raise fit.reason
    working = out.with_name(out.name + ".part")
    try:
        tally = write_table(table, fit, catalogue, working)
        working.replace(out)
    finally:
        working.unlink(missing_ok=True)
    counted = source.unit in COUNTED_UNITS and not tally.has_zero
    complete = counted and lacks_cells(tally.rows_out, tally.codes)
    return Normalised(tally.rows_in, tally.rows_out, tally.rejects, False, complete, tally.duplicates)


def recognise_directory(folder: Path, catalogue: Catalogue, limits: Limits = DEFAULT_LIMITS) -> Directory:
    """Recognise every file below a folder; a file that is refused never stops the others.

    Subfolders are walked, links that lead out of the folder are refused, not followed. Several files of one source are
    accepted. Raises DataRefused only when the folder itself does not exist.
    """
    if not folder.is_dir():
        raise refusal(folder, "no such folder", "give the folder that holds the downloaded files")
    found = Directory([], [])
    for path in _files(folder):
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise refusal(path, "a link that leads out of the folder", "copy the file itself into the folder")
            found.accepted.append((path, recognise(path, catalogue, limits)))
        except DataRefused as refused:
            found.refused.append((path, str(refused)))
        except OSError as error:
            reason = refusal(path, f"cannot be read ({error.strerror})", "check the file and its permissions")
            found.refused.append((path, one_line(str(reason))))
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder in a fixed order; a linked folder counts as one entry and is not entered."""
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield Path(parent) / name

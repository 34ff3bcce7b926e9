"""StatBank extracts as people have them: recognised, written as canonical CSV, or refused in a sentence.

What comes in is CSV, BULK, XLSX, PX or JSON-stat, alone or in a ZIP, in Danish or English, with codes or texts; what
goes out is one form (see `normalise`). The forms are those of the StatBank API and of statistikbanken.dk's downloads.
One module, since from a folder to the rows of a source is one way, each step of which is short.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, TextIO
from urllib.parse import quote

from flows.connectors.statbank.forms import (
    MARKS,
    UTF8_BOM,
    Chunk,
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
from flows.connectors.statbank.match import Content, Fit, How, Misfit, Reading, Resolver, Trial, Unshown, header_of
from flows.store.archives import ZIP_MAGIC, Bounds
from flows.store.snapshots import INVENTED_MARK, sha256_of
from transforms.catalogue import YamlFile
from transforms.errors import DataRefused, UsageError

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Source


# The canonical CSV: UTF-8, `;`, LF, ids of the source in its order, codes; and files that are it already.


_BLOCK = 1 << 18
_CHECKED_LINES = 500
_GROUPED = re.compile(rb";-?[0-9]+\.[0-9]{3}\r?\n")
_FRACTION = re.compile(rb"[0-9]\.")


def canonical_scan(path: Path, source: Source, catalogue: Catalogue) -> int | None:
    """Return the data rows of a file that can be scanned in place, or None when it must be normalised first.

    It can when it is UTF-8 with `;`, the source's header, codes and plain numbers. Codes are checked on the first and
    last 500 rows; the bytes of all rows are searched for what only texts, quotes, Danish decimals, thousands points,
    blank lines or a cut end would leave there. Never raises for a file's content.
    """
    header = header_of(source).encode()
    with path.open("rb") as file:
        first = file.readline(4096).removeprefix(UTF8_BOM)
        if first.rstrip(b"\r\n") != header or not first.endswith(b"\n"):
            return None
        if not _ends_are_codes(path, file.tell(), source, catalogue):
            return None
        rows, tail = 0, b"\n"
        while block := file.read(_BLOCK):
            seam = tail + block
            ends, is_odd = _line_ends(seam)
            if not _plain(seam, source.decimals) or is_odd:
                return None
            rows += ends - tail.count(b"\n")
            tail = seam[-64:]
        return rows if rows and tail.endswith(b"\n") else None


def _line_ends(block: bytes) -> tuple[int, bool]:
    """Return how many lines end in a block, and whether one of them is blank or ends half.

    Looked at as an array: six times faster than searching the bytes for short patterns.
    """
    import numpy as np

    signs = np.frombuffer(block, np.uint8)
    ends = signs == ord("\n")
    after, lone = ends, False
    if b"\r" in block:
        returns = signs == ord("\r")
        lone = bool((returns[:-1] > ends[1:]).any())
        after = ends | returns
    blank = bool((ends[:-1] & after[1:]).any())
    return int(np.count_nonzero(ends)), blank or lone


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
    return all(
        (match := resolver.match(cell)) is not None and match.code == cell and resolver.takes(cell)
        for resolver, cell in zip(resolvers, cells, strict=True)
    )


# Which table is this file: what fits it is settled in match.py; here its figures are looked at and the outcome told.


Earlier = Callable[[str], Mapping[str, str]]
"""Returns source id -> its canonical cells of the last time, key to value; empty when there are none."""


@dataclass(frozen=True)
class Recognised:
    """What a file is, and what was assumed.

    `why` says in words what shows it; `language` is "" when nothing in it is written in one language only; `filled`
    names the dimensions that have no column and the code each was taken as; `periods` are those it holds, ascending,
    `areas` how many; `is_bulk` is the user's word that absent cells are zeros; `remarks` are what was passed over.
    """

    source_id: str
    presentation: How
    language: Literal["da", "en", ""]
    filled: tuple[tuple[str, str], ...] = ()
    why: str = ""
    periods: tuple[str, ...] = ()
    areas: int = 0
    rows: int = 0
    is_bulk: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """What the user says of a file: its table, and whether it is a BULK answer, which leaves zero cells out."""

    table: str
    is_bulk: bool = False


def recognise(
    path: Path,
    catalogue: Catalogue,
    *,
    name: str | None = None,
    told: Told | None = None,
    earlier: Earlier | None = None,
    compared: str = "the last time",
) -> Recognised:
    """Return which source of the catalogue a file belongs to, why, and what was assumed.

    A source fits when every column is one of its dimensions, every dimension without a column is eliminable and has
    a total, and every cell has a code. That alone is not enough, since many tables share their columns: see
    match.Reading for what shows that it is this one. `name` is what the file is called where it came from; `earlier`
    gives known cells of a source, and `compared` says in words whose they are. Raises DataRefused, with the reason
    nearest to a fit, when no source fits, and Unshown when nothing shows which.
    """
    table = open_table(path)
    candidate = Trial(table, catalogue)
    fits: list[Fit] = []
    misfits: list[Misfit] = []
    for source in _sources(table, catalogue, told):
        try:
            fits.append(candidate.check_cells(candidate.place(source)))
        except Misfit as misfit:
            misfits.append(misfit)
    if not fits:
        raise max(misfits, key=lambda misfit: misfit.score)
    with TemporaryDirectory(prefix="kommunekort-") as scratch:
        look = cache(partial(_look, candidate, Path(scratch), earlier))
        reading = Reading(candidate, name or path.name, told.table if told else None, look, compared)
        fit, why = reading.choose([fit for fit in fits if not fit.filled] or fits)
        rows = look(fit).rows
    _refuse_unused(path, fit, catalogue)
    held = {dimension.role: {match.code for _, match in pairs} for dimension, pairs in fit.matches}
    return Recognised(
        fit.source.id,
        fit.presentation,
        fit.language,
        tuple(fit.filled.items()),
        why,
        tuple(sorted(held["time"])),
        len(held["area"]) if "area" in held else 0,
        rows,
        bool(told and told.is_bulk),
        tuple(table.remarks),
    )


def _refuse_unused(path: Path, fit: Fit, catalogue: Catalogue) -> None:
    """Refuse a table without one code the source asks for in a dimension: no indicator could be made of it."""
    source = fit.source
    for dimension, pairs in fit.matches:
        wanted = set(catalogue.selected(source, dimension))
        held = list(dict.fromkeys(match.code for _, match in pairs))
        if dimension.role != "category" or not wanted or not wanted.isdisjoint(held):
            continue
        texts = {code.code: code.text_da for code in catalogue.codes(source, dimension)}
        has = ", ".join(texts[code] for code in held[:3])
        choose = ", ".join(texts[code] for code in texts if code in wanted)
        rule = f"a {source.table} with {dimension.text_da} {has}, of which no indicator is made"
        raise refusal(path, rule, f"choose {dimension.text_da} {choose}")


def _look(candidate: Trial, scratch: Path, earlier: Earlier | None, fit: Fit) -> Content:
    """Count what the figures of a placed table look like, over its first million canonical rows."""
    source, catalogue, path = fit.source, candidate.catalogue, candidate.table.path
    rows = canonical_scan(path, source, catalogue)
    if rows is None:
        written = scratch / f"{source.id}.csv"
        tally = write_table(candidate.table, fit, catalogue, written)
        if tally.rejects and len(tally.rejects) > source.expectations.quarantine_max_share * tally.rows_in:
            first = tally.rejects[0]
            rule = f"the first of {len(tally.rejects)} rows that cannot be read: {first.field}: {first.rule}"
            raise refusal(path, rule, "download the table again", row=first.row, value=first.value)
        path, rows = written, tally.rows_in
    return Content.of(path, rows, source, earlier(source.id) if earlier else {})


def _sources(table: Table, catalogue: Catalogue, told: Told | None) -> list[Source]:
    """Return the sources to try: the one the user or the file itself names, else every StatBank source."""
    known = [source for source in catalogue.sources.values() if source.connector == "statbank"]
    if told is not None:
        return [catalogue.sources[f"statbank_{told.table.casefold()}"]]
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


# A placed table written as canonical CSV, chunk by chunk; rows that cannot be read become rejects.


MAX_REJECTS = 10_000
COMPARED_UP_TO = 1_000_000


@dataclass(frozen=True)
class Reject:
    """A row left out of the canonical file: its row in the received file, the field, what it said, the rule."""

    row: int
    field: str
    value: str
    rule: str


@dataclass
class Normalised:
    """What became of a file: `rows_in == rows_out + repeated + len(rejects)`.

    `rows` are the file rows of the rows written, in their order. `canonical`: the file itself can be scanned and
    nothing was written. `repeated` rows stood before with the same value and were not written again.
    """

    rows_in: int = 0
    rows_out: int = 0
    rejects: list[Reject] = field(default_factory=list)
    rows: array[int] = field(default_factory=lambda: array("q"))
    canonical: bool = False
    repeated: int = 0


Column = Sequence[str | None]
"""Codes or figures of some rows, None where a cell cannot be read."""


class _Codes(dict[str, str | None]):
    """Cell text to code for one column, each distinct text resolved once; None when it has no code."""

    def __init__(self, resolver: Resolver) -> None:
        super().__init__()
        self.resolver = resolver

    def __missing__(self, cell: str) -> str | None:
        match = self.resolver.match(cell)
        self[cell] = code = match.code if match else None
        return code


def write_table(table: Table, fit: Fit, catalogue: Catalogue, out: Path) -> Normalised:
    """Write the placed table to `out` and return what was counted; DataRefused when the file as a whole is at fault."""
    decimals = fit.source.decimals
    try:
        return _Writer(table, fit, catalogue, NumberReader(decimals)).write(out)
    except Undecided as undecided:
        reader = NumberReader(decimals, _deciding_style(table, fit, catalogue, str(undecided)))
        return _Writer(table, fit, catalogue, reader).write(out)


class _Writer:
    def __init__(self, table: Table, fit: Fit, catalogue: Catalogue, numbers: NumberReader) -> None:
        self.table = table
        self.fit = fit
        self.numbers = numbers
        self.maps = [_Codes(Resolver(catalogue, fit.source, dimension)) for dimension in fit.source.dimensions]
        self.tally = Normalised()

    def write(self, out: Path) -> Normalised:
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
        numbers: Sequence[int] = chunk.rows
        values: Column = self._numbers(chunk)
        columns = [self._codes(chunk, mapping) for mapping in self.maps]
        used = [set(column) for column in columns]
        self._check_pins(chunk, columns, used)
        if None in values or any(None in codes for codes in used):
            columns, values, numbers = self._without_rejects(chunk, columns, values)
        keys = list(map(";".join, zip(*columns, strict=True)))
        file.write("\n".join(map(";".join, zip(keys, values, strict=True))) + "\n" * bool(keys))  # type: ignore[arg-type]
        tally.rows_out += len(keys)
        tally.rows.extend(numbers)

    def _codes(self, chunk: Chunk, codes: _Codes) -> list[str | None]:
        name = codes.resolver.dimension.id
        if name in self.fit.columns:
            return list(map(codes.__getitem__, chunk.columns[self.fit.columns[name]]))
        return list(repeat(self.fit.filled[name], len(chunk.values)))

    def _numbers(self, chunk: Chunk) -> list[str | None]:
        try:
            return list(map(self.numbers.__getitem__, chunk.values))
        except MixedStyles as mixed:
            text, earlier = mixed.args
            row = chunk.rows[list(chunk.values).index(text)]
            rule = f"contradicts '{earlier}' before it: one is Danish, the other English"
            raise refusal(self.table.path, rule, "download the table in one language", row=row, value=text) from None

    def _check_pins(self, chunk: Chunk, columns: Sequence[Column], used: Sequence[set[str | None]]) -> None:
        for codes, column, found in zip(self.maps, columns, used, strict=True):
            if strange := {code for code in found if code is not None and not codes.resolver.takes(code)}:
                at = next(i for i, code in enumerate(column) if code in strange)
                rule, step = codes.resolver.other_selector()
                raise refusal(self.table.path, rule, step, row=chunk.rows[at], value=column[at])

    def _without_rejects(
        self, chunk: Chunk, columns: Sequence[Column], values: Column
    ) -> tuple[list[list[str | None]], list[str | None], list[int]]:
        kept = []
        for at, value in enumerate(values):
            bad = next((codes for codes, column in zip(self.maps, columns, strict=True) if column[at] is None), None)
            if bad is not None:
                self._reject(self._unknown_code(chunk, at, bad.resolver))
            elif value is None:
                rule = "a whole number or a mark" if self.numbers.decimals == 0 else "a number or a mark"
                self._reject(Reject(chunk.rows[at], "INDHOLD", chunk.values[at], f"must be {rule}"))
            else:
                kept.append(at)
        rows = [chunk.rows[at] for at in kept]
        return [[column[at] for at in kept] for column in columns], [values[at] for at in kept], rows

    def _unknown_code(self, chunk: Chunk, at: int, resolver: Resolver) -> Reject:
        name = resolver.dimension.id
        cell = chunk.columns[self.fit.columns[name]][at]
        rule, hint = resolver.fault(cell)
        return Reject(chunk.rows[at], name, cell, f"{rule}; {hint}")

    def _reject(self, reject: Reject) -> None:
        self.tally.rejects.append(reject)
        if len(self.tally.rejects) > MAX_REJECTS:
            first = self.tally.rejects[0]
            rule = f"the first of more than {MAX_REJECTS:,} unreadable rows: {first.field}: {first.rule}"
            raise refusal(self.table.path, rule, "download the table again", row=first.row, value=first.value)


def _deciding_style(table: Table, fit: Fit, catalogue: Catalogue, doubtful: str) -> Style:
    """Return the style of the first value that only one style can read, else that of the language of the texts.

    DataRefused when neither tells.
    """
    for chunk in table.chunks():
        for value in chunk.values:
            found = readings(value.strip(), fit.source.decimals)
            if len(found) == 1:
                return next(iter(found))
    with suppress(Misfit):
        if language := Trial(table, catalogue).check_cells(fit).language:
            return language
    rule = "can be a thousands group or decimals, and neither another value nor the texts' language decides which"
    raise refusal(table.path, rule, "download the table with texts", value=doubtful)


def bulk_codes(path: Path, source: Source) -> dict[str, list[str]] | None:
    """Return dimension id -> the codes a canonical file holds; None when it writes a zero out.

    A form that leaves zero cells out writes none: a file with one prints its zeros; what it lacks was not asked for.
    """
    codes: list[dict[str, None]] = [{} for _ in source.dimensions]
    with path.open(encoding="utf-8-sig") as lines:
        next(lines)
        for line in lines:
            *cells, value = line.rstrip("\r\n").split(";")
            if value == "-" or (value not in MARKS and float(value) == 0):
                return None
            for known, cell in zip(codes, cells, strict=True):
                known[cell] = None
    return {dimension.id.upper(): list(known) for dimension, known in zip(source.dimensions, codes, strict=True)}


Seen = dict[str, tuple[str, str, int]]
"""Key of a cell -> its value, and the file and row that said it first."""


def normalise(path: Path, source: Source, catalogue: Catalogue, out: Path, *, seen: Seen | None = None) -> Normalised:
    """Write the file's rows to `out` as canonical CSV, or find that the file is canonical and write nothing.

    Canonical: UTF-8 without BOM, `;`, LF, header = the source's dimension ids in upper case and in its order +
    INDHOLD, codes only, numbers with a point and no thousands marks, marks (`..` `-` `.` `...` blank) as received;
    a file scanned in place may have a BOM and CRLF. Rows keep their order. A row with an unknown code or an unreadable
    number is left out and returned as a Reject. CSV streams in constant memory.

    With `seen`, cells are compared with those it holds, of this file and of files before it: an equal one is counted
    and left out, and the file is always written anew. Beyond a million rows cells are no longer compared; the
    database's keys then refuse them. Raises DataRefused, leaving no `out`, when the file cannot be read or does not
    fit the source, when it holds another selector than the source's, when numbers contradict each other or could mean
    two things, when a cell is given two values (both places are named), and beyond 10,000 rejects.
    """
    rows = canonical_scan(path, source, catalogue) if path.is_file() else None
    if rows is not None and (seen is None or rows > COMPARED_UP_TO):
        return Normalised(rows, rows, canonical=True)
    table = open_table(path)
    fit = Trial(table, catalogue).place(source)
    working = out.with_name(out.name + ".part")
    try:
        tally = write_table(table, fit, catalogue, working)
        if seen is not None:
            _drop_repeated(working, path, tally, seen)
        working.replace(out)
    finally:
        working.unlink(missing_ok=True)
    return tally


def _drop_repeated(canonical: Path, path: Path, tally: Normalised, seen: Seen) -> None:
    """Leave out of a canonical file the cells that `seen` holds with the same value, and add the others to it."""
    if len(seen) + tally.rows_out > COMPARED_UP_TO:
        return
    kept = canonical.with_name(canonical.name + ".kept")
    with canonical.open(encoding="utf-8") as lines, kept.open("w", encoding="utf-8", newline="\n") as out:
        out.write(next(lines))
        for line, row in zip(lines, tally.rows, strict=True):
            key, _, value = line.rstrip("\n").rpartition(";")
            before = seen.setdefault(key, (value, path.name, row))
            if before == (value, path.name, row):
                out.write(line)
            elif _plain_value(before[0]) == _plain_value(value):
                tally.repeated += 1
                tally.rows_out -= 1
            else:
                kept.unlink()
                first, file, at = before
                rule = f"{key.replace(';', ' ')} is {value} here and {first} in {file} row {at}"
                raise refusal(path, rule, "keep the file that is right", row=row, value=value)
    kept.replace(canonical)


def _plain_value(text: str) -> str | float:
    return text if text in MARKS else float(text)


# A folder of files: what each is, and what the user says of it.


FOLDER_FILE = "kommunekort.yml"
_UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".tmp", ".opdownload")
_UNPACKED = Bounds(most=1_000_000_000, times=200, harmless=200_000)


@dataclass(frozen=True)
class Directory:
    """The files of a folder: those recognised, in the order of their names, and the others with the reason.

    `names` says what each is called below the folder, `x.zip/y.csv` for one in a ZIP, whose bytes lie elsewhere.
    """

    accepted: list[tuple[Path, Recognised]]
    refused: list[tuple[Path, str]]
    names: dict[Path, str]


def recognise_directory(
    folder: Path,
    catalogue: Catalogue,
    *,
    scratch: Path | None = None,
    told: Mapping[str, Told] | None = None,
    earlier: Earlier | None = None,
) -> Directory:
    """Recognise every file below a folder; a file that is refused never stops the others.

    Subfolders are walked, links that lead out of the folder are refused, not followed; a ZIP is unpacked into `scratch`
    (without one it is refused). Several files of one source are accepted, an exact copy is not. `told` is the user's
    word on files, by name. Raises DataRefused only when the folder itself does not exist, UsageError when `told` names
    a file that is not there or a table that has no source.
    """
    if not folder.is_dir():
        raise refusal(folder, "no such folder", "give the folder that holds the downloaded files")
    found = Directory([], [], {})
    names = dict(_members(folder, scratch, found))
    found.names.update({path: name for name, path in names.items()})
    said = _said_of(told or {}, names, catalogue)
    digests: dict[str, str] = {}
    unshown: list[tuple[str, Path]] = []

    def take(name: str, path: Path, known: Earlier | None, compared: str) -> None:
        try:
            _refuse_unfinished(path, name)
            recognised = recognise(path, catalogue, name=name, told=said.get(name), earlier=known, compared=compared)
            first = digests.setdefault(sha256_of(path), name)
            if first != name:
                raise refusal(path, f"a copy of {first}, byte for byte", "nothing is lost, remove one of them")
            found.accepted.append((path, recognised))
        except Unshown as refused:
            unshown.append((name, path))
            found.refused.append((path, str(refused)))
        except (DataRefused, OSError) as error:
            found.refused.append((path, _told(path, error)))

    for name, path in names.items():
        take(name, path, earlier, "the last time")
    if unshown and found.accepted:
        # What the files beside it hold may show what nothing in the file itself does.
        beside, again = _cells_beside(found.accepted, catalogue), list(unshown)
        found.refused[:] = [(path, reason) for path, reason in found.refused if path not in {p for _, p in again}]
        for name, path in again:
            take(name, path, beside, "another file of the folder")
    return found


def _told(path: Path, error: DataRefused | OSError) -> str:
    if isinstance(error, OSError):
        error = refusal(path, f"cannot be read ({error.strerror})", "check the file and its permissions")
    return str(error)


def _cells_beside(accepted: Sequence[tuple[Path, Recognised]], catalogue: Catalogue) -> Earlier:
    """Return a function source id -> the cells of the files recognised as it, read when first asked for."""
    files = list(accepted)

    @cache
    def cells(source_id: str) -> Mapping[str, str]:
        paths = [path for path, recognised in files if recognised.source_id == source_id]
        return cells_of(paths, catalogue.sources[source_id], catalogue)

    return cells


def cells_of(paths: Iterable[Path], source: Source, catalogue: Catalogue) -> dict[str, str]:
    """Return the canonical cells of files of a source, key to value; one that cannot be read is passed over."""
    seen: Seen = {}
    with TemporaryDirectory(prefix="kommunekort-") as scratch:
        for path in paths:
            with suppress(DataRefused):
                normalise(path, source, catalogue, Path(scratch) / "cells.csv", seen=seen)
    return {key: value for key, (value, _, _) in seen.items()}


def _said_of(told: Mapping[str, Told], names: Mapping[str, Path], catalogue: Catalogue) -> dict[str, Told]:
    """Return the user's word by full name; a name without its folder counts when only one file has it."""
    said: dict[str, Told] = {}
    for given, word in told.items():
        found = [name for name in names if given in (name, name.rpartition("/")[2])]
        if len(found) != 1:
            what = "no such file" if not found else f"{len(found)} files are called so ({', '.join(found)})"
            raise UsageError(f"--as {given}={word.table}: {what} in the folder; give its name as it lies there")
        source = catalogue.by_table(word.table)
        if source is None or source.connector != "statbank":
            raise UsageError(
                f"--as {given}={word.table}: there is no StatBank source {word.table}; `kommunekort sources` lists them"
            )
        said[found[0]] = word
    return said


def read_assignments(folder: Path, given: Sequence[str]) -> dict[str, Told]:
    """Return what the user says of files: `FILE=TABLE` on the command line, before `kommunekort.yml` in the folder.

    The file holds `files:` with one line per file, `x.csv: FOLK1A`, or `x.csv: {table: FOLK1E, form: bulk}` for a BULK
    answer. Raises UsageError for anything else.
    """
    told: dict[str, Told] = {}
    place = folder / FOLDER_FILE
    if place.is_file():
        file = YamlFile(place, FOLDER_FILE)
        if set(file.data) != {"files"} or not isinstance(file.data["files"], dict):
            raise file.error([], "holds `files:` and below it a line `name.csv: TABLE` for each file, nothing else")
        for name, word in file.data["files"].items():
            match {"table": word} if isinstance(word, str) else word:
                case {"table": str(table), **rest} if rest in ({}, {"form": "bulk"}):
                    told[str(name)] = Told(table, is_bulk=bool(rest))
                case _:
                    needed = f"{name} needs a table, as `TABLE` or `{{table: TABLE, form: bulk}}`"
                    raise file.error(["files", name], needed)
    for text in given:
        name, sign, table = text.rpartition("=")
        if not sign or not name or not table:
            raise UsageError(f"--as {text}: give FILE=TABLE, as in --as 'my file.csv=FOLK1A'")
        told[name] = Told(table, told[name].is_bulk if name in told else False)
    return told


def _refuse_unfinished(path: Path, name: str) -> None:
    """Refuse what a browser has not downloaded to its end, and what Excel leaves beside an open workbook."""
    if name.lower().endswith(_UNFINISHED):
        raise refusal(path, "a download that has not ended", "wait for it, or download it again")
    if path.name.startswith("~$"):
        raise refusal(path, "Excel's mark of a workbook that is open", "save the workbook and close it")


def _members(folder: Path, scratch: Path | None, found: Directory) -> Iterator[tuple[str, Path]]:
    """Yield the files to try, name and place; what cannot be one is put among the refused."""
    for path in _files(folder):
        name = os.fsencode(path.relative_to(folder)).decode(errors="backslashreplace")  # to be told, and written down
        if name in (FOLDER_FILE, INVENTED_MARK):
            continue
        found.names[path] = name
        try:
            if not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):  # a link may lead to itself
                raise refusal(path, "a link that leads out of the folder", "copy the file itself into the folder")
            if scratch is None or not _is_archive(path):
                yield name, path
                continue
            members = _unpacked(path, scratch / str(len(list(scratch.iterdir()))))
        except (DataRefused, OSError) as error:
            found.refused.append((path, _told(path, error)))
            continue
        yield from ((f"{name}/{member}", place) for member, place in members)


def _is_archive(path: Path) -> bool:
    """Return whether a file is a ZIP and no workbook."""
    if not path.is_file():
        return False
    # What is wrong with a damaged one is said by the reader of workbooks.
    with path.open("rb") as file, suppress(zipfile.BadZipFile, OSError, ValueError):
        if file.read(4) == ZIP_MAGIC:
            names = zipfile.ZipFile(file).namelist()
            return not any(name.startswith(("xl/", "[Content_Types]", "mimetype")) for name in names)
    return False


def _unpacked(path: Path, target: Path) -> list[tuple[str, Path]]:
    """Unpack a ZIP of extracts; DataRefused for one that is empty, locked, damaged, or unfolds beyond the limits."""
    members: list[tuple[str, Path]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir() and not e.filename.startswith("__MACOSX")]
            size = sum(entry.file_size for entry in entries)
            if size > _UNPACKED.limit(path.stat().st_size):
                raise refusal(path, f"the ZIP unfolds to {size:,} bytes", "send the files themselves")
            if any(entry.flag_bits & 1 for entry in entries):
                raise refusal(path, "the ZIP is locked with a password", "unpack it into the folder")
            target.mkdir(parents=True)
            for number, entry in enumerate(entries):
                place = target / str(number) / (entry.filename.replace("\\", "/").rpartition("/")[2] or "file")
                place.parent.mkdir()
                with archive.open(entry) as packed, place.open("wb") as out:
                    shutil.copyfileobj(packed, out)
                members.append((entry.filename, place))
    # Without OSError: what is unpacked is written here, and a full disk is no damage of the file.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise refusal(path, f"the ZIP is damaged ({one_line(str(error))})", "download it again") from None
    if not members:
        raise refusal(path, "the ZIP is empty", "download it again")
    return members


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder in a fixed order; a linked folder counts as one entry and is not entered."""
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield Path(parent) / name


# What to download: the selection a source asks for, in words and as a link.


def selection_in_words(source: Source, catalogue: Catalogue) -> str:
    """Return what to choose on statistikbanken.dk, dimension by dimension, in Danish."""
    told = []
    for dimension in source.dimensions:
        if dimension.is_left_out:
            told.append(f"{dimension.text_da}: vælg intet")
            continue
        codes = catalogue.codes(source, dimension)
        wanted = set(catalogue.selected(source, dimension))
        texts = [code.text_da for code in codes if code.code in wanted]
        whole = dimension.role == "time" or len(texts) == len(codes)
        shown = "alle" if whole else ", ".join(texts[:6]) + (f" og {len(texts) - 6} flere" if len(texts) > 6 else "")
        told.append(f"{dimension.text_da}: {shown}")
    return "; ".join(told)


def download_link(source: Source, base: str) -> str:
    """Return the address that answers with exactly what a source asks for, as CSV of codes."""
    asked = [
        f"{quote(dimension.id)}={quote(','.join(map(str, dimension.select)), safe='*,()>=<+-')}"
        for dimension in source.dimensions
        if not dimension.is_left_out
    ]
    return f"{base}/data/{source.table}/CSV?lang=en&valuePresentation=Code&delimiter=Semicolon&{'&'.join(asked)}"

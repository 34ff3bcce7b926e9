"""Extracts from StatBank: downloaded only when something is new, whole or not at all, checked on arrival.

One module, since an answer is checked while it comes, and what it brings is read by the same description.
"""

from __future__ import annotations

import difflib
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from flows.connectors import FetchOptions, FetchResult, Finding, failed, finding_of
from flows.connectors.http import AnsweredError, Blocks, Received, stream_to_file
from flows.connectors.statbank.files import Seen, bulk_codes, normalise
from flows.connectors.statbank.query import (
    LANGUAGE,
    LANGUAGES,
    Language,
    Plan,
    Query,
    Selected,
    TableInfo,
    Variable,
    changed_texts,
    make_plan,
    near,
    own_words,
    parse_tableinfo,
    tableinfo_bytes,
    texts_changed_since,
)
from flows.store.snapshots import INVENTED_MARK, Origin, Snapshot, SnapshotStore
from transforms.areas import areas_at
from transforms.catalogue import Code
from transforms.errors import DataRefused, KommunekortError
from transforms.load import Absent, CanonicalRows, RejectedRow

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Source


# Is the answer what was asked for? Header, every code, every period, and a last line that is whole.


Presentation = Literal["Code", "Value", "CodeAndValue", "ValueAndCode"]
WAYS: dict[Presentation, str] = {
    "Code": "{0.id}", "Value": "{0.text}", "CodeAndValue": "{0.id} {0.text}", "ValueAndCode": "{0.text} {0.id}"
}  # fmt: skip
"""What each presentation writes for a value of a variable."""

LONGEST_LINE = 64 * 1024
PART = 1024**2
MOST_WAITING = 4


class AnswerCheck:
    """The check of one answer while it arrives, on a thread of its own, so that it costs no time afterwards.

    Blocks are cut at line ends, their rows counted and the distinct values of each column kept. `infos` are the table's
    descriptions in the languages the texts may be in. DataRefused, as soon as it is seen, for other columns than asked
    for, text that is no CSV and more rows than the rectangle has cells; and in the end for a cut-off last line, no rows
    at all, a CSV of fewer rows than cells, a code that is unknown or was not asked for and a period without any row.
    """

    def __init__(self, query: Query, infos: Iterable[TableInfo]):
        self._query = query
        self._infos = list(infos)
        self._refused = partial(_refused, query)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="check")
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.shutdown(cancel_futures=True)

    def begin(self) -> Blocks:
        """Forget what was seen, since the answer begins (anew); return what takes its blocks in their order."""
        wait([part for part in self._waiting if not part.cancel()])  # of a try that broke off: it would still count
        self._waiting.clear()
        self._header_seen = False
        self._held = bytearray()
        self.rows = 0
        self._odd = ""
        self._found: dict[str, set[str]] = {key: set() for key in self._query.header[:-1]}
        return self._take

    def result(self) -> Presentation:
        """Return how the whole answer writes its categories; `rows` is then how many well-formed rows it has."""
        found = self._end()
        if not self.rows:
            raise self._refused("the answer has no rows; check the select of the source")
        ways = [_check_column(self._query, *column, self._infos) for column in found]
        return next((way for way in ways if way != "Code"), "Code")

    def _take(self, block: bytes) -> None:
        """Take the next block; waits when the check is more than a few parts behind."""
        self._held += block
        if len(self._held) >= PART or not self._header_seen:
            self._cut()

    def _end(self) -> list[tuple[Selected, set[str]]]:
        """Return the distinct values of each column, once all blocks are taken."""
        self._cut()
        if not self._header_seen:
            self._check_header(self._held)
        if self._held:  # the figure before the missing line end may have lost digits
            shown = self._held.decode("utf-8", "replace")[-80:]
            raise self._refused(f"the answer is cut off in its last line «{shown}»; fetch again")
        while self._waiting:
            self._waiting.popleft().result()
        # BULK leaves zero cells out; CSV prints them, so there a missing row is a lost one.
        if self._query.file_format == "CSV" and 0 < self.rows < self._query.cells:
            raise self._refused(f"{self.rows:,} rows of {self._query.cells:,}; the answer is not whole, fetch again")
        return list(zip(self._query.variables, self._found.values(), strict=True))

    def _cut(self) -> None:
        """Hand over the whole lines that have come, and keep what follows the last line end."""
        end = self._held.rfind(b"\n") + 1
        lines, self._held = self._held[:end], self._held[end:]
        if len(self._held) > LONGEST_LINE:
            raise self._refused(f"the answer has a line of more than {LONGEST_LINE:,} bytes; fetch again")
        if lines and not self._header_seen:
            header, _, lines = lines.partition(b"\n")
            self._check_header(header)
            self._header_seen = True
        self._hand_over(lines)

    def _hand_over(self, lines: bytearray) -> None:
        if lines.strip():
            self._waiting.append(self._beside.submit(self._read, lines))
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()

    def _read(self, lines: bytearray) -> None:
        import pyarrow as pa
        from pyarrow import csv

        keys = list(self._found)
        try:
            table = csv.read_csv(
                pa.BufferReader(lines),
                read_options=csv.ReadOptions(column_names=list(self._query.header), block_size=len(lines) + 1),
                parse_options=csv.ParseOptions(delimiter=";", quote_char=False, invalid_row_handler=self._note_line),
                convert_options=csv.ConvertOptions(column_types=dict.fromkeys(keys, pa.string()), include_columns=keys),
            )
        except pa.ArrowInvalid as error:
            said = " ".join(str(error).split())[:200]
            raise self._refused(f"the answer cannot be read as CSV ({said})") from None
        if self._odd:
            raise self._refused(self._odd)
        self.rows += table.num_rows
        if self.rows > self._query.cells:
            raise self._refused(f"more rows than the {self._query.cells:,} cells, so some come twice; fetch again")
        for key in keys:
            self._found[key].update(table.column(key).unique().to_pylist())

    def _note_line(self, row: Any) -> str:
        """Remember a line of another width, wherever it stands: of the cell it lost nothing would be known."""
        shown = (row.text or "")[:80]
        self._odd = f"a line has {row.actual_columns} columns, not {row.expected_columns}: «{shown}»; fetch again"
        return "skip"  # nothing may be raised in here

    def _check_header(self, line: bytearray) -> None:
        try:
            header = tuple(line.decode("utf-8-sig").rstrip("\r\n").split(";"))
        except UnicodeDecodeError:
            raise self._refused("the header is not UTF-8; fetch again") from None
        if header != self._query.header:
            raise self._refused(
                f"the columns are {';'.join(header)[:200]}, asked for {';'.join(self._query.header)}; "
                f"correct the source file if the table has changed"
            )


def _refused(query: Query, why: str) -> DataRefused:
    """Return the refusal of an answer."""
    return DataRefused(f"StatBank {query.table}: {why}")


def _check_column(query: Query, chosen: Selected, found: set[str], infos: list[TableInfo]) -> Presentation:
    """Return how one column writes its categories; DataRefused when it holds anything but the codes asked for."""
    variables = [v for v in (info.variable(chosen.code) for info in infos) if v is not None]
    way, codes = _understood(found, variables)
    column = chosen.code.upper()
    if way is None:
        strange = sorted(found - _written(variables[0], "Code").keys())[0]
        told = f"which tableinfo does not have; near it: {near(strange, variables[0])}"
        raise _refused(query, f"column {column} holds {strange!r}, {told}; fetch again, or correct the source file")
    if way == "Code" and (extra := sorted(codes - set(chosen.values))):
        raise _refused(query, f"column {column} holds {extra[0]!r}, which was not asked for")
    if variables[0].time and (absent := sorted(set(chosen.values) - codes)):
        raise _not_whole(query, absent, f"{len(chosen.values)} periods")
    municipalities = {area.code for area in areas_at(["municipality"])}
    absent = sorted(municipalities - codes) if municipalities.issubset(chosen.values) else []
    if len(absent) > len(municipalities) // 10:  # BULK leaves zeros out: a few may have nobody, hardly a tenth
        raise _not_whole(query, absent, f"{len(municipalities)} municipalities")
    return way


def _not_whole(query: Query, absent: list[str], asked: str) -> DataRefused:
    told = f"no row for {len(absent)} of {asked}, first {absent[0]}"
    return _refused(query, f"{told}; the answer is not whole, fetch again")


def _understood(found: set[str], variables: list[Variable]) -> tuple[Presentation | None, set[str]]:
    """Return the first presentation under which every value is known, and the codes the values stand for."""
    for way, variable in product(WAYS, variables):
        written = _written(variable, way)
        if found <= written.keys():
            return way, {written[value] for value in found}
    return None, set()


def _written(variable: Variable, way: Presentation) -> dict[str, str]:
    """Return what `way` writes for each code of `variable` -> the code."""
    return {WAYS[way].format(value): value.id for value in variable.values}


# One extract of a StatBank table brought to disk: in one answer or in parts, each checked while it arrives.


MAX_BYTES = 8 * 1024**3
Files = dict[str, tuple[Path, str]]
"""The name of a file -> its path and format."""


@dataclass(frozen=True)
class DownloadedExtract:
    """One checked extract on disk: its files (name -> path, format; and SHA-256), and its rows."""

    files: Files
    hashes: dict[str, str]
    rows: int
    presentation: Presentation


def download(
    client: httpx.Client, source: Source, infos: Sequence[TableInfo], query: Query, folder: Path, options: FetchOptions
) -> DownloadedExtract:
    """Fetch the extract of `source` that `query` asks for into `folder` and check it.

    BULK in one file; CSV, in files by period as the cell limit demands, where the source leaves dimensions out.
    `infos` are the table's descriptions in the languages the texts may be in.
    Raises DataRefused with StatBank's own words when it refuses, and when the answer is not what was asked for.
    """
    received: list[Received] = []
    ways: list[Presentation] = []
    rows = 0
    waiting = [query]
    while waiting:
        part = waiting.pop(0)
        if part.over_limit:
            waiting[:0] = _halves(source, part)
            continue
        path = folder / f"{query.table.lower()}{f'-{len(received) + 1}' if received else ''}.csv"
        before = sum(file.bytes for file in received)
        progress = partial(_tell_bytes, options.on_progress, source.id, before) if options.on_progress else None
        with AnswerCheck(part, infos) as check:
            try:
                answer = stream_to_file(
                    client,
                    client.build_request("POST", "data", json=part.body()),
                    path,
                    max_bytes=MAX_BYTES,
                    on_progress=progress,
                    on_begin=check.begin,
                    patience=options.patience,
                )
            except AnsweredError as error:
                if error.said.get("errorTypeCode") != "REQUEST-LIMIT":
                    told = f"StatBank refused {query.table}: {own_words(error)}"
                    raise DataRefused(f"{told}; correct flows/sources/{source.id}.yml") from None
                waiting[:0] = _halves(source, part)
                continue
            ways.append(check.result())
        rows += check.rows
        received.append(answer)
    return DownloadedExtract(
        files={file.path.name: (file.path, query.file_format.lower()) for file in received},
        hashes={file.path.name: file.sha256 for file in received},
        rows=rows,
        presentation=ways[0],
    )


def _tell_bytes(on_progress: Callable[[str, int], None], source_id: str, before: int, size: int) -> None:
    """Tell the progress of a part as progress of the whole, so that a later part does not begin at 0 again."""
    on_progress(source_id, before + size)


def _halves(source: Source, query: Query) -> tuple[Query, Query]:
    halves = query.halves()
    if halves is None:
        raise DataRefused(
            f"flows/sources/{source.id}.yml: one period of {query.table} is over StatBank's limit of 1,000,000 cells "
            f"({query.cells:,} rows of {len(query.header)} columns); select fewer codes, or select all of "
            f"{', '.join(query.left_out) or 'them'} so that BULK can be used"
        )
    return halves


# One period asked for anew: its rows replace those of the newest snapshot, all other rows stay as they were.


def one_period(query: Query, period: str) -> Query:
    """Return the query cut down to one period; DataRefused when the table has no such period."""
    periods = query.variables[-1].values
    if period not in periods:
        near = difflib.get_close_matches(period, periods, 3, 0.5) or periods[-3:]
        raise DataRefused(f"{query.table} has no period {period}; near it: {', '.join(near)}")
    return query.of_periods((period,))


def rest_of(previous: Snapshot | None, plan: Plan, period: str, folder: Path) -> tuple[Files, frozenset[bytes]]:
    """Write the files of `previous` without the rows of `period` into `folder`; files left empty are dropped.

    Returns the files, and the lines of the period. `plan` is the whole source's. Raises DataRefused when the snapshot
    does not answer that query: then its other periods are not those to keep.
    """
    query = plan.query
    if previous is None or previous.manifest.query != plan.record():
        raise DataRefused(
            f"{query.table}: no snapshot of the whole table as it is asked for now; fetch it without period"
        )
    previous.verify()
    files: Files = {}
    taken_out: set[bytes] = set()
    wanted = period.encode()
    for entry, source in zip(previous.manifest.data_files, previous.data_paths(), strict=True):
        target = folder / f"rest-{entry.name}"
        kept = 0
        with source.open("rb") as reader, target.open("wb") as writer:
            writer.write(next(reader, b""))
            for line in reader:
                # The period is the last column but one; codes hold no delimiter.
                if line.rsplit(b";", 2)[-2] == wanted:
                    taken_out.add(line.rstrip())
                else:
                    writer.write(line)
                    kept += 1
        if kept:
            files[entry.name] = (target, entry.format)
    if not taken_out and period in query.variables[-1].values:  # each had rows when it came
        raise DataRefused(
            f"{query.table}: {previous.id} does not write its periods as codes, so {period} cannot be taken out of it; "
            f"fetch the whole table with --again"
        )
    return files, frozenset(taken_out)


def lines_of(path: Path) -> frozenset[bytes]:
    """Return the data lines of an answer."""
    with path.open("rb") as reader:
        next(reader, b"")
        return frozenset(line.rstrip() for line in reader)


def fetch_source(
    client: httpx.Client, source: Source, store: SnapshotStore, catalogue: Catalogue, options: FetchOptions
) -> FetchResult:
    """Bring the snapshots of `source` up to date; not downloaded when its `updated` stamp and query are known.

    Raises DataRefused when StatBank cannot be reached, refuses, or answers something else than asked for.
    """
    origin, period = options.origin, options.period
    assert source.table is not None, "every StatBank source names its table"
    previous = store.newest(source.id, synthetic=options.synthetic)
    describe = partial(tableinfo_bytes, client, source.table, patience=options.patience)
    described = {"en": describe("en")}
    info = parse_tableinfo(described["en"], source)
    before = previous.manifest.query.get("rectangle") if previous is not None else None
    plan = None
    with suppress(DataRefused):  # told again below, with the publisher's Danish texts
        plan = make_plan(source, info, catalogue, None, before)
    if plan is None or plan.notes:
        described["da"] = _known_danish(previous, info) or describe("da")
        plan = make_plan(source, info, catalogue, parse_tableinfo(described["da"], source), before)
    query, record = plan.query, plan.record()
    trouble = "" if info.active or source.has_ended(datetime.now(UTC).date()) else _closed(info)
    told = partial(FetchResult, source.id, trouble=trouble, notes=plan.notes)
    unasked = not options.again and period is None
    if unasked and previous is not None and _same(previous, record, info, origin):
        return told("unchanged", previous, f"not updated since {info.updated:%Y-%m-%d %H:%M}")
    if "da" not in described:
        described["da"] = describe("da")
    danish = parse_tableinfo(described["da"], source)
    held = _kept_description(previous, "da")
    changed = texts_changed_since(source, parse_tableinfo(held, source), danish, query) if held is not None else []
    told = partial(FetchResult, source.id, trouble=trouble, notes=(*plan.notes, *changed))
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=store.root) as scratch:
        folder = Path(scratch)
        rest = None if period is None else rest_of(previous, plan, period, folder)
        asked = query if period is None else one_period(query, period)
        extract = download(client, source, [info, danish], asked, folder, options)
        files = dict(extract.files)
        published_at = info.published_at
        if rest is not None and previous is not None:
            kept, taken_out = rest
            if taken_out == frozenset().union(*(lines_of(path) for path, _ in files.values())):
                return told("unchanged", previous, f"{period} holds the same figures as before")
            files = kept | {f"{period}-{name}": file for name, file in files.items()}
            # The other periods are as old as they were: when the table has moved on, the next fetch takes all of it.
            published_at = previous.manifest.published_at or published_at
        for lang, raw in described.items():
            (folder / f"tableinfo.{lang}.json").write_bytes(raw)
            files[f"tableinfo.{lang}.json"] = (folder / f"tableinfo.{lang}.json", "tableinfo")
        snapshot = store.add(
            source.id,
            files,
            origin=origin,
            synthetic=options.synthetic or INVENTED_MARK in info.text,
            published_at=published_at,
            query=record,
            language=LANGUAGE,
            tableinfo=f"tableinfo.{LANGUAGE}.json",
            rest_of=previous.id if rest is not None and previous is not None else None,
            move=True,
            hashes=extract.hashes if rest is None else None,
        )
    if previous is not None and snapshot.id == previous.id:
        return told("unchanged", snapshot, "downloaded, the same bytes as before")
    odd = "" if extract.presentation == "Code" else f", written as {extract.presentation} though codes were asked for"
    return told("new", snapshot, f"{extract.rows:,} rows{odd}")


def check_all(
    client: httpx.Client, sources: Iterable[Source], store: SnapshotStore, catalogue: Catalogue, options: FetchOptions
) -> list[Finding]:
    """Return what the descriptions of the tables show, before anything is downloaded: every fault and news of each."""
    look = partial(_check_source, client, store, catalogue, options)
    with ThreadPoolExecutor(max_workers=options.max_workers, thread_name_prefix="check") as pool:
        return [finding for found in pool.map(look, sources) for finding in found]


def _check_source(
    client: httpx.Client, store: SnapshotStore, catalogue: Catalogue, options: FetchOptions, source: Source
) -> list[Finding]:
    assert source.table is not None, "every StatBank source names its table"
    try:
        raw = {lang: tableinfo_bytes(client, source.table, lang, patience=options.patience) for lang in LANGUAGES}
        english, danish = (parse_tableinfo(raw[lang], source) for lang in ("en", "da"))
        previous = store.newest(source.id, synthetic=options.synthetic)
        before = previous.manifest.query.get("rectangle") if previous is not None else None
        plan = make_plan(source, english, catalogue, danish, before)
    except KommunekortError as error:
        return [finding_of(source, error)]
    found = [Finding(source.id, "new", note) for note in (*plan.notes, *changed_texts(source, danish, catalogue))]
    if not english.active and not source.has_ended(datetime.now(UTC).date()):
        found.append(Finding(source.id, "fault", _closed(english)))
    areas = sum(len(v.codes) for v in english.variables if v.map is not None)
    told = (
        f"{plan.query.cells:,} cells by {plan.query.file_format}, newest period {english.periods[-1]}, updated "
        f"{english.updated:%Y-%m-%d}, {english.unit}, cells left out are {english.suppressed_data_value!r}, "
        f"{source.licence}" + (f", {areas} areas" if areas else "")
    )
    found = found or [Finding(source.id, "ok", told)]
    return [replace(each, periods=english.periods[-2:], published_at=english.published_at) for each in found]


def _closed(info: TableInfo) -> str:
    return (
        f"{info.id} is closed: StatBank gives it no new periods (the last is {info.periods[-1]}, updated "
        f"{info.updated:%Y-%m-%d}); find the table that follows it, or write the day it "
        "ended as `ended:` in its source file"
    )


def _known_danish(previous: Snapshot | None, info: TableInfo) -> bytes | None:
    """Return the Danish description kept with the last extract, when the table has not been updated since."""
    is_current = previous is not None and previous.manifest.published_at == info.published_at
    return _kept_description(previous, "da") if is_current else None


def _kept_description(snapshot: Snapshot | None, lang: Language) -> bytes | None:
    """Return the description of the table that came with an extract, None where there is none."""
    path = snapshot.path / f"tableinfo.{lang}.json" if snapshot is not None else None
    return path.read_bytes() if path is not None and path.is_file() else None


def fetch_all(
    client: httpx.Client, sources: Iterable[Source], store: SnapshotStore, catalogue: Catalogue, options: FetchOptions
) -> list[FetchResult]:
    """Fetch several sources at once; one that fails keeps its newest snapshot and says why in one sentence.

    The results come in the order of `sources`.
    """
    asked: dict[Future[FetchResult], Source] = {}
    with ThreadPoolExecutor(max_workers=options.max_workers, thread_name_prefix="fetch") as pool:
        for source in sources:
            asked[pool.submit(fetch_source, client, source, store, catalogue, options)] = source
        if options.on_end:
            for ended in as_completed(asked):
                options.on_end(asked[ended].id)
        return [_ended(source, store, options, future) for future, source in asked.items()]


def _ended(source: Source, store: SnapshotStore, options: FetchOptions, future: Future[FetchResult]) -> FetchResult:
    try:
        return future.result()
    except Exception as error:
        return failed(source, store, options, error)


def _same(previous: Snapshot, query: dict[str, Any], info: TableInfo, origin: Origin) -> bool:
    kept = previous.manifest
    return (kept.published_at, kept.query, kept.origin) == (info.published_at, query, origin)


# What a snapshot brings to a build: its files made canonical, and what the cells mean that they lack.


def canonical_rows(source: Source, snapshot: Snapshot, catalogue: Catalogue, folder: Path) -> CanonicalRows:
    """Return the source's canonical files: the snapshot's own where they are canonical, else made in `folder`.

    Rows whose texts have no code are rejected. Raises DataRefused when the snapshot's bytes have changed or a file
    cannot be read.
    """
    with ThreadPoolExecutor(1) as beside:
        verifying = beside.submit(snapshot.verify)
        try:
            return _canonical_rows(source, snapshot, catalogue, folder)
        finally:
            verifying.result()  # changed bytes are the better reason when the files cannot be read either


def _canonical_rows(source: Source, snapshot: Snapshot, catalogue: Catalogue, folder: Path) -> CanonicalRows:
    folder.mkdir(parents=True, exist_ok=True)
    query = snapshot.manifest.query
    spellings: Mapping[str, Mapping[str, str]] = query.get("spellings", {})
    new_codes = _new_codes(source, snapshot, catalogue, spellings)
    known = catalogue.with_spellings(source, spellings).with_new_codes(source, new_codes)
    paths: list[Path] = []
    rejected: list[RejectedRow] = []
    absent = _asked_in_bulk(snapshot, spellings)
    rows = repeated = 0
    # Only files by hand may say a cell twice; an answer that does is at fault.
    seen: Seen | None = {} if snapshot.manifest.origin == "directory" else None
    for number, path in enumerate(snapshot.data_paths()):
        target = folder / f"{number}.csv"
        made = normalise(path, source, known, target, seen=seen)
        rejected += [RejectedRow(path.name, each.row, each.rule, f"{each.field}={each.value}") for each in made.rejects]
        rows += made.rows_out
        repeated += made.repeated
        paths.append(path if made.canonical else target)
        if path.name in query.get("bulk", ()) and (codes := bulk_codes(paths[-1], source)):
            absent.append(Absent("zero", codes))
    return CanonicalRows(source, snapshot.id, paths, rows, rejected, absent, new_codes, repeated=repeated)


def _asked_in_bulk(snapshot: Snapshot, spellings: Mapping[str, Mapping[str, str]]) -> list[Absent]:
    """Return that absent cells of the rectangle asked for are zero, when every file of it came in BULK."""
    rectangle = snapshot.manifest.query.get("rectangle")
    if rectangle is None or any(file.format != "bulk" for file in snapshot.manifest.data_files):
        return []
    ours = {name.upper(): codes for name, codes in spellings.items()}
    codes = {name: [ours.get(name, {}).get(code, code) for code in listed] for name, listed in rectangle.items()}
    return [Absent("zero", codes)]


def _new_codes(
    source: Source, snapshot: Snapshot, catalogue: Catalogue, spellings: Mapping[str, Mapping[str, str]]
) -> dict[str, list[Code]]:
    """Return dimension id -> the codes asked for that no code list has, with the publisher's texts."""
    rectangle: Mapping[str, Sequence[str]] = snapshot.manifest.query.get("rectangle", {})
    found: dict[str, list[Code]] = {}
    for dimension in source.dimensions:
        if dimension.role == "time":
            continue
        known = {code.code for code in catalogue.readable(source, dimension)} | spellings.get(dimension.id, {}).keys()
        if new := [code for code in rectangle.get(dimension.id.upper(), ()) if code not in known]:
            danish, english = (_texts_of(source, snapshot, lang, dimension.id) for lang in LANGUAGES)
            found[dimension.id] = [Code(code, danish.get(code, code), english.get(code, code)) for code in new]
    return found


def _texts_of(source: Source, snapshot: Snapshot, lang: Language, dimension: str) -> dict[str, str]:
    raw = _kept_description(snapshot, lang)
    return parse_tableinfo(raw, source).texts(dimension) if raw is not None else {}

"""Extracts from StatBank: downloaded only when something is new, whole or not at all, checked on arrival."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx

from flows.connectors.http import AnsweredError, Progress, Received, stream_to_file
from flows.connectors.retrying import Patience
from flows.connectors.statbank_api import (
    TableInfo,
    error_code,
    own_words,
    parse_tableinfo,
    tableinfo,
    tableinfo_bytes,
    tables,
)
from flows.connectors.statbank_check import AnswerCheck, Checked, Presentation
from flows.connectors.statbank_period import lines_of, one_period, rest_of
from flows.connectors.statbank_plan import LANGUAGE, Query, plan_query
from flows.snapshots import Origin, Snapshot, SnapshotStore
from transforms.errors import DataRefused, KommunekortError

if TYPE_CHECKING:
    from transforms.catalogue import Source

__all__ = ["download", "fetch_all", "fetch_source", "plan_query", "tableinfo", "tables"]

SYNTHETIC_MARK = "SYNTHETIC"
MAX_BYTES = 8 * 1024**3

Status = Literal["new", "unchanged", "failed_kept_old"]


@dataclass(frozen=True)
class DownloadedExtract:
    """One checked extract on disk: its files (name -> path, format; and SHA-256), rows, query, publication time."""

    files: dict[str, tuple[Path, str]]
    hashes: dict[str, str]
    rows: int
    query: dict[str, Any]
    presentation: Presentation
    published_at: str


@dataclass(frozen=True)
class FetchResult:
    """What became of one source: `snapshot` is the newest accepted one, None when there never was any."""

    source_id: str
    status: Status
    snapshot: Snapshot | None
    message: str


@dataclass(frozen=True)
class _Described:
    """The description of a table in both languages, as received and as understood."""

    raw: dict[str, bytes]
    english: TableInfo
    danish: TableInfo


def download(
    client: httpx.Client,
    source: Source,
    info: TableInfo,
    folder: Path,
    *,
    danish: TableInfo | None = None,
    query: Query | None = None,
    on_progress: Progress | None = None,
    patience: Patience | None = None,
) -> DownloadedExtract:
    """Fetch the extract of `source` (or the part of it that `query` asks for) into `folder` and check it.

    BULK in one file; CSV, in files by period as the cell limit demands, where the source leaves dimensions out.
    Raises DataRefused with StatBank's own words when it refuses, and when the answer is not what was asked for.
    """
    query = query or plan_query(source, info)
    infos = [info, *([danish] if danish else [])]
    received: list[Received] = []
    checks: list[Checked] = []
    waiting = [query]
    while waiting:
        part = waiting.pop(0)
        path = folder / f"{query.table.lower()}{f'-{len(received) + 1}' if received else ''}.csv"
        before = sum(file.bytes for file in received)
        progress = _added_to(before, on_progress) if on_progress else None
        answer = None if part.over_limit else _receive(client, part, infos, path, progress, patience)
        if answer is None:
            waiting[:0] = _halves(source, part)
            continue
        received.append(answer[0])
        checks.append(answer[1])
    return DownloadedExtract(
        files={file.path.name: (file.path, query.file_format.lower()) for file in received},
        hashes={file.path.name: file.sha256 for file in received},
        rows=sum(check.rows for check in checks),
        query=query.record(),
        presentation=checks[0].presentation,
        published_at=info.published_at,
    )


def fetch_source(
    client: httpx.Client,
    source: Source,
    store: SnapshotStore,
    previous: Snapshot | None,
    *,
    origin: Origin = "live",
    again: bool = False,
    period: str | None = None,
    on_progress: Progress | None = None,
    patience: Patience | None = None,
) -> FetchResult:
    """Bring the snapshots of `source` up to date; not downloaded when its `updated` stamp and query are known.

    With `again` it is downloaded all the same; with `period` that period alone, beside the rest of `previous`.
    Raises DataRefused when StatBank cannot be reached, refuses, or answers something else than asked for.
    """
    assert source.table is not None, "every StatBank source names its table"
    described = _describe(client, source.table, patience)
    info = described.english
    query = plan_query(source, info)
    unasked = not again and period is None
    if unasked and previous is not None and _same(previous, query.record(), info, origin):
        return FetchResult(source.id, "unchanged", previous, f"not updated since {info.updated:%Y-%m-%d %H:%M}")
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=store.root) as scratch:
        folder = Path(scratch)
        rest = None if period is None else rest_of(previous, query, period, folder)
        extract = download(
            client,
            source,
            info,
            folder,
            danish=described.danish,
            query=query if period is None else one_period(query, period),
            on_progress=on_progress,
            patience=patience,
        )
        files = dict(extract.files)
        published_at = extract.published_at
        if rest is not None and previous is not None:
            received = frozenset().union(*(lines_of(path) for path, _ in files.values()))
            if received == rest.taken_out:
                return FetchResult(source.id, "unchanged", previous, f"{period} holds the same figures as before")
            files = rest.files | {f"{period}-{name}": file for name, file in files.items()}
            # The other periods are as old as they were: when the table has moved on, the next fetch takes all of it.
            published_at = previous.manifest.published_at or published_at
        for lang, raw in described.raw.items():
            (folder / f"tableinfo.{lang}.json").write_bytes(raw)
            files[f"tableinfo.{lang}.json"] = (folder / f"tableinfo.{lang}.json", "tableinfo")
        snapshot = store.add(
            source.id,
            files,
            origin=origin,
            synthetic=origin == "sample" or SYNTHETIC_MARK in info.text,
            published_at=published_at,
            query=query.record(),
            language=LANGUAGE,
            tableinfo=f"tableinfo.{LANGUAGE}.json",
            rest_of=previous.id if rest is not None and previous is not None else None,
            move=True,
            hashes=extract.hashes if rest is None else None,
        )
    if previous is not None and snapshot.id == previous.id:
        return FetchResult(source.id, "unchanged", snapshot, "downloaded, the same bytes as before")
    odd = "" if extract.presentation == "Code" else f", written as {extract.presentation} though codes were asked for"
    return FetchResult(source.id, "new", snapshot, f"{extract.rows:,} rows{odd}")


def fetch_all(
    client: httpx.Client,
    sources: Iterable[Source],
    store: SnapshotStore,
    *,
    origin: Origin = "live",
    max_workers: int = 4,
    again: bool = False,
    period: str | None = None,
    on_progress: Callable[[str, int], None] | None = None,
    on_end: Callable[[str], None] | None = None,
    patience: Patience | None = None,
) -> list[FetchResult]:
    """Fetch several sources at once; one that fails keeps its newest snapshot and says why in one sentence.

    The results come in the order of `sources`; `on_progress` gets the source id and its bytes so far, `on_end` the id
    of a source that is through.
    """

    def one(source: Source) -> FetchResult:
        previous: Snapshot | None = None
        progress = (lambda size: on_progress(source.id, size)) if on_progress else None
        try:
            previous = store.newest(source.id, synthetic=origin == "sample")
            return fetch_source(
                client,
                source,
                store,
                previous,
                origin=origin,
                again=again,
                period=period,
                on_progress=progress,
                patience=patience,
            )
        except (KommunekortError, OSError) as error:
            return FetchResult(source.id, "failed_kept_old", previous, str(error))
        finally:
            if on_end:
                on_end(source.id)

    with ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="fetch") as pool:
        return list(pool.map(one, sources))


def _added_to(before: int, on_progress: Progress) -> Progress:
    """Return the progress of a part as progress of the whole, so that a later part does not begin at 0 again."""
    return lambda size: on_progress(before + size)


def _receive(
    client: httpx.Client,
    query: Query,
    infos: list[TableInfo],
    path: Path,
    on_progress: Progress | None,
    patience: Patience | None,
) -> tuple[Received, Checked] | None:
    """Write the answer to `path`, checked while it arrives; None when StatBank finds the query too large."""
    with AnswerCheck(query, infos) as check:
        try:
            received = stream_to_file(
                client,
                "POST",
                "data",
                path,
                json=query.body(),
                max_bytes=MAX_BYTES,
                on_progress=on_progress,
                on_begin=check.begin,
                patience=patience,
            )
        except AnsweredError as error:
            if error_code(error) == "REQUEST-LIMIT":
                return None
            raise DataRefused(f"StatBank refused {query.table}: {own_words(error)}; correct its source file") from None
        return received, check.result()


def _halves(source: Source, query: Query) -> tuple[Query, Query]:
    halves = query.halves()
    if halves is None:
        raise DataRefused(
            f"flows/sources/{source.id}.yml: one period of {query.table} is over StatBank's limit of 1,000,000 cells "
            f"({query.cells:,} rows of {len(query.header)} columns); select fewer codes, or select all of "
            f"{', '.join(query.left_out) or 'them'} so that BULK can be used"
        )
    return halves


def _describe(client: httpx.Client, table: str, patience: Patience | None) -> _Described:
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(tableinfo_bytes, client, table, "da", patience=patience)
        english = tableinfo_bytes(client, table, "en", patience=patience)
        danish = asked.result()
    return _Described({"en": english, "da": danish}, parse_tableinfo(english), parse_tableinfo(danish))


def _same(previous: Snapshot, query: dict[str, Any], info: TableInfo, origin: Origin) -> bool:
    kept = previous.manifest
    return (kept.published_at, kept.query, kept.origin) == (info.published_at, query, origin)

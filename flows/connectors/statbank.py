"""Extracts from StatBank: downloaded only when something is new, whole or not at all, checked on arrival."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx

from flows.connectors.http import Progress
from flows.connectors.retrying import Patience
from flows.connectors.statbank_api import (
    TableInfo,
    parse_tableinfo,
    tableinfo,
    tableinfo_bytes,
    tables,
)
from flows.connectors.statbank_download import download
from flows.connectors.statbank_period import lines_of, one_period, rest_of
from flows.connectors.statbank_plan import LANGUAGE, plan_query
from flows.snapshots import Origin, Snapshot, SnapshotStore
from transforms.errors import KommunekortError

if TYPE_CHECKING:
    from transforms.catalogue import Source

__all__ = ["download", "fetch_all", "fetch_source", "plan_query", "tableinfo", "tables"]

SYNTHETIC_MARK = "SYNTHETIC"

Status = Literal["new", "unchanged", "failed_kept_old"]


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


def _describe(client: httpx.Client, table: str, patience: Patience | None) -> _Described:
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(tableinfo_bytes, client, table, "da", patience=patience)
        english = tableinfo_bytes(client, table, "en", patience=patience)
        danish = asked.result()
    return _Described({"en": english, "da": danish}, parse_tableinfo(english), parse_tableinfo(danish))


def _same(previous: Snapshot, query: dict[str, Any], info: TableInfo, origin: Origin) -> bool:
    kept = previous.manifest
    return (kept.published_at, kept.query, kept.origin) == (info.published_at, query, origin)

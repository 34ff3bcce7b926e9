"""One extract of a StatBank table brought to disk: in one answer or in parts, each checked while it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from flows.connectors.http import AnsweredError, Progress, Received, stream_to_file
from flows.connectors.retrying import Patience
from flows.connectors.statbank_api import TableInfo, error_code, own_words
from flows.connectors.statbank_check import AnswerCheck, Checked, Presentation
from flows.connectors.statbank_plan import Query, plan_query
from transforms.errors import DataRefused

if TYPE_CHECKING:
    from transforms.catalogue import Source

MAX_BYTES = 8 * 1024**3


@dataclass(frozen=True)
class DownloadedExtract:
    """One checked extract on disk: its files (name -> path, format; and SHA-256), rows, query, publication time."""

    files: dict[str, tuple[Path, str]]
    hashes: dict[str, str]
    rows: int
    query: dict[str, Any]
    presentation: Presentation
    published_at: str


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

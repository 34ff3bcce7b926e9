"""Jobindsats (STAR): asks the API in version 3 or 2 and keeps the answer as received.

Protocol: version 3, https://www.jobindsats.dk/information/om-api/brugervejledning-til-version-3/; version 2, «API
Eksempler» (4 March 2022). The token goes into a header and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from flows.connectors.http import AnsweredError, open_client, stream_to_file
from flows.connectors.jobindsats_answers import read_json
from flows.connectors.retrying import Patience
from transforms.errors import DataRefused, UsageError
from transforms.sources import Source

Files = dict[str, tuple[Path, str]]
PeriodKind = Literal["M", "Q", "Y", "QMAT"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Measure(_Strict):
    """One measure: our id, unit, texts, and what its column is called in answers and exports."""

    id: str
    unit: Literal["persons", "pct", "pct_points", "fte", "hours", "rank", "count"]
    text_da: str
    text_en: str
    headings: list[str] = Field(min_length=1)


class JobindsatsDimension(_Strict):
    """One dimension beside area and period: our column and its headings in answers.

    With a `codelist` its texts are kept as codes; `texts` adds wordings of the publisher's own, `total_texts` the sum.
    """

    column: str
    text_da: str
    text_en: str
    headings: list[str] = Field(min_length=1)
    codelist: str | None = None
    texts: dict[str, str] = {}
    total_texts: list[str] = []


class Query(_Strict):
    """The `jobindsats:` part of a source file."""

    table: str
    version: Literal[2, 3] = 3
    period_kind: PeriodKind
    latest: int = Field(ge=1)
    hierarchies: dict[str, str] = {}
    selections: dict[str, str] = {}
    measures: list[Measure] = Field(min_length=1)
    dimensions: list[JobindsatsDimension] = []
    all_municipalities: bool = True


def query_of(source: Source) -> Query:
    """Return the typed query of a Jobindsats source; UsageError naming the file when it is wrong."""
    try:
        return Query.model_validate(source.jobindsats)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"flows/sources/{source.id}.yml: jobindsats.{where}: {first['msg']}") from None


def connect(
    base_url: str, token: SecretStr | None, *, contact: str = "", transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """Return a client for Jobindsats; UsageError without a token. Version 2 takes the bare token, 3 a bearer."""
    if token is None:
        raise UsageError("Jobindsats needs a token: set KOMMUNEKORT_JOBINDSATS_TOKEN (ask STAR for one)")
    secret = token.get_secret_value()
    header = secret if version_of(base_url) == 2 else f"Bearer {secret}"
    headers = {"Authorization": header, "Accept": "application/json"}
    return open_client(base_url, contact=contact, headers=headers, transport=transport)


def version_of(base_url: str) -> int:
    """Return the API version an address ends in; UsageError when it is neither 2 nor 3."""
    match = re.search(r"/v([23])/?$", base_url)
    if match is None:
        raise UsageError(f"{base_url}: the address of Jobindsats must end in /v3 or /v2")
    return int(match[1])


def parameters(query: Query, version: int) -> tuple[str, dict[str, str]]:
    """Return path and parameters that ask for the latest periods of a table."""
    if version == 3:
        hierarchies = {f"hierarchy.{name}": value for name, value in query.hierarchies.items()}
        period = {f"period.{query.period_kind}": f"latest:{query.latest}"}
        return f"data/{query.table}", {"mgroup.*": "*", **period, **hierarchies, "format": "json"}
    period_text = f"l({query.period_kind.lower()}:{query.latest})"
    return f"data/{query.table}/json", {"period": period_text, "area": "*", **query.selections}


def fetch(
    source: Source, client: httpx.Client, folder: Path, *, patience: Patience | None = None
) -> tuple[Files, Mapping[str, Any]]:
    """Ask for a source's table and return (files, query) as the snapshot store takes them.

    Raises DataRefused with the publisher's own reason when the question is refused (422), and when the answer is
    no table.
    """
    query, version = query_of(source), version_of(str(client.base_url).rstrip("/"))
    path, asked = parameters(query, version)
    target = folder / f"{source.id}.json"
    try:
        stream_to_file(client, "GET", path, target, params=asked, patience=patience)
    except AnsweredError as error:
        raise _explained(source, error) from None
    read_json(target.read_bytes(), target.name)  # an answer that is no table is not worth a snapshot
    return {target.name: (target, f"jobindsats-v{version}")}, {"version": version, "path": path, **asked}


def _explained(source: Source, error: AnsweredError) -> DataRefused:
    """Return the refusal with the publisher's `cause`; a refused token says what to do."""
    if error.status in (401, 403):
        return DataRefused(f"{source.id}: Jobindsats refuses the token ({error.status}); renew it with STAR")
    try:
        said = json.loads(error.body)
        cause, request_id = said["cause"], said.get("request_id", "not given")
    except (ValueError, KeyError, TypeError, AttributeError):
        return DataRefused(f"{source.id}: {error}")
    return DataRefused(
        f"{source.id}: Jobindsats answered {error.status}: {cause} (request {request_id}); "
        f"correct flows/sources/{source.id}.yml"
    )

"""StatBank's own words: the tables and the description of one table, typed, and its errors in one sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from flows.connectors.http import AnsweredError, read_body
from flows.connectors.retrying import Patience
from flows.moments import COPENHAGEN
from transforms.errors import DataRefused

Language = Literal["da", "en"]
Label = Annotated[str, Field(min_length=1)]


class _Answer(BaseModel):
    """Unknown keys are let through: the publisher may add some. The keys named below must be there."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Value(_Answer):
    """One code of a variable, with its text in the language asked for."""

    id: Label
    text: str


class Variable(_Answer):
    """One variable of a table. `elimination`: it may be left out of a non-streaming answer."""

    id: Label
    text: str
    elimination: bool
    time: bool
    map: str | None = None
    values: tuple[Value, ...] = Field(min_length=1)

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes in the publisher's order."""
        return tuple(value.id for value in self.values)


class TableInfo(_Answer):
    """The description of one table. `updated` is Danish local time without a zone, as published."""

    id: Label
    text: str
    description: str = ""
    unit: str
    suppressed_data_value: str = Field("0", alias="suppressedDataValue")
    updated: datetime
    active: bool = True
    variables: tuple[Variable, ...] = Field(min_length=1)

    def variable(self, code: str) -> Variable | None:
        """Return the variable of this id, whatever its case (the data headers write `Tid` as `TID`)."""
        return next((v for v in self.variables if v.id.upper() == code.upper()), None)

    @property
    def published_at(self) -> str:
        """Return `updated` as UTC in ISO 8601."""
        return self.updated.replace(tzinfo=COPENHAGEN).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class TableSummary(_Answer):
    """One line of the list of tables; `variables` are labels in the language asked for."""

    id: Label
    text: str
    unit: str
    updated: datetime
    first_period: str = Field(alias="firstPeriod")
    latest_period: str = Field(alias="latestPeriod")
    active: bool
    variables: tuple[str, ...]


_TABLES = TypeAdapter(tuple[TableSummary, ...])


def tables(client: httpx.Client, lang: Language = "da", *, include_inactive: bool = False) -> tuple[TableSummary, ...]:
    """Return every table of StatBank (2,234 active in September 2025), closed ones too when asked."""
    body = {"lang": lang, "format": "JSON", "includeInactive": include_inactive}
    return parse_tables(read_body(client, "POST", "tables", json=body))


def tableinfo(client: httpx.Client, table: str, lang: Language = "en") -> TableInfo:
    """Return the description of `table`; DataRefused with StatBank's own words when there is none."""
    return parse_tableinfo(tableinfo_bytes(client, table, lang))


def tableinfo_bytes(client: httpx.Client, table: str, lang: Language, *, patience: Patience | None = None) -> bytes:
    """Return the description of `table` as received, to be kept beside the data."""
    # In a POST body the name is `table`; `id` is not understood (seen in a log of live calls, October 2025).
    body = {"table": table, "lang": lang, "format": "JSON"}
    try:
        return read_body(client, "POST", "tableinfo", json=body, patience=patience)
    except AnsweredError as error:
        raise DataRefused(f"StatBank {table}: {own_words(error)}; check the table id") from None


def parse_tables(raw: bytes) -> tuple[TableSummary, ...]:
    """Return the list of tables from an answer's bytes; DataRefused when it is not one."""
    try:
        return _TABLES.validate_json(_text(raw))
    except ValidationError as error:
        raise DataRefused(f"StatBank tables: {_first(error)}; the API may have changed") from None


def parse_tableinfo(raw: bytes) -> TableInfo:
    """Return the description of a table from an answer's bytes; DataRefused when it is not one."""
    try:
        info = TableInfo.model_validate_json(_text(raw))
    except ValidationError as error:
        raise DataRefused(f"StatBank tableinfo: {_first(error)}; the API may have changed") from None
    times = [variable.id for variable in info.variables if variable.time]
    if len(times) != 1:
        raise DataRefused(f"StatBank {info.id}: {len(times)} time variables, expected one; not understood")
    return info


def error_code(error: AnsweredError) -> str | None:
    """Return StatBank's errorTypeCode (`EXTRACT-NOTFOUND`, `REQUEST-LIMIT`, …), None when the body has none."""
    code = _error_body(error).get("errorTypeCode")
    return code if isinstance(code, str) else None


def own_words(error: AnsweredError) -> str:
    """Return `message (errorTypeCode)` as StatBank wrote it, or what came instead."""
    message = _error_body(error).get("message")
    if not isinstance(message, str):
        return f"answered {error.status}: {' '.join(error.body.split())[:200] or 'an empty body'}"
    return f"{' '.join(message.split()).rstrip('.')} ({error_code(error) or error.status})"


def _error_body(error: AnsweredError) -> dict[str, object]:
    try:
        body = json.loads(error.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataRefused(f"StatBank: byte {error.start} of the answer is not UTF-8; try later") from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the answer"
    return f"{place}: {first['msg']}"

"""A local StatBank that obeys the real protocol, so the default run goes through the real connector.

By hand: `python -m flows.sample.standin --port 8080`, then `curl http://127.0.0.1:8080/v1/tables`.

One module, since routes, answers in every format and faults on demand are one server.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import math
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from flows.sample.asked import (
    SUPPRESSED,
    SYNTHETIC,
    ApiError,
    Changes,
    Cubes,
    Extract,
    Language,
    Table,
    Tables,
    Variable,
    description,
    find_table,
    flag,
    language,
    read_extract,
    read_options,
    summary,
    texts,
    updated_utc,
    whole_number,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from transforms.catalogue import Catalogue


# The lists of the stand-in, `/tables` and `/subjects`, narrowed as StatBank narrows them.
#
# The sample world has one subject. It and all its tables are active, so `includeInactive` adds nothing and
# `omitInactiveSubjects` leaves nothing out; it has no levels below, so `recursive` changes nothing.


SUBJECT = "0"
_NAMES: Mapping[Language, str] = {"da": "Syntetiske tabeller", "en": "Synthetic tables"}
_DAY = timedelta(days=1)


def table_list(tables: Tables, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the answer of `/tables`: those of the subjects asked for, updated within `pastdays` days."""
    _check_subjects(options)
    days = whole_number(options.get("pastdays"))
    return [summary(table, language(options)) for table in tables.all() if days is None or _age(tables, table) < days]


def subject_list(tables: Tables, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the answer of `/subjects`: the one subject there is, with its tables when asked for."""
    _check_subjects(options)
    lang = language(options)
    subject = {"id": SUBJECT, "description": _NAMES[lang], "active": True, "hasSubjects": False, "subjects": []}
    # The first is the name logged clients send, the second the one of the publisher's page; both mean the same.
    omits_empty = flag(options, "omitemptysubjects") or flag(options, "omitsubjectswithouttables")
    if omits_empty and not tables.all():
        return []
    if flag(options, "includetables"):
        # The shape of an entry is inferred: the logged answer of all subjects has as many bytes per table as /tables.
        subject["tables"] = [summary(table, lang) for table in tables.all()]
    return [subject]


def _check_subjects(options: Mapping[str, Any]) -> None:
    """Refuse a subject that is not there: 400 was seen; the code and the words are inferred from those for a table."""
    for subject in texts(options.get("subjects")):
        if subject != SUBJECT:
            raise ApiError("EXTRACT-NOTFOUND", f"Emne findes ikke: {subject}", f"Subject does not exist: {subject}")


def _age(tables: Tables, table: Table) -> float:
    """Return the days from a table's publication to the end of the sample world's today."""
    return (tables.now - table.updated) / _DAY


# The answers of the stand-in in StatBank's formats: CSV, BULK, JSON-stat and the web page's Excel.


BOM = b"\xef\xbb\xbf"
CELLS_AT_A_TIME = 400_000
ROWS_AT_A_TIME = 65_536
MOST_DECIMALS = 4
ZEROS = [f"{sign}{float(SUPPRESSED):.{n}f}" for sign in ("", "-") for n in range(MOST_DECIMALS + 1)]
"""SUPPRESSED as the tables print it: the cells are equal to it as numbers, with as many decimals as the table has."""


def render(extract: Extract, cubes: Cubes) -> Iterator[bytes]:
    """Yield the body of the answer, block by block for the formats that are lines of text."""
    if extract.file_format == "BULK":
        yield from _bulk(extract, cubes)
    elif extract.file_format == "CSV":
        yield BOM + _header(extract)
        yield from _lines(extract, _ordered(extract, _cells(extract, cubes)))
    elif extract.file_format == "JSONSTAT":
        yield _json_stat(extract, _ordered(extract, _cells(extract, cubes)))
    else:
        yield _xlsx(extract, _ordered(extract, _cells(extract, cubes)))


def present(variable: Variable, extract: Extract, code: str) -> str:
    """Return a category as the extract shows it: code, text (the default), or both in one cell."""
    text = {c.id: c.text[extract.lang] for c in variable.codes}[code]
    shown = {"Code": code, "CodeAndValue": f"{code} {text}", "ValueAndCode": f"{text} {code}"}
    return shown.get(extract.presentation, text)


def _bulk(extract: Extract, cubes: Cubes) -> Iterator[bytes]:
    """Yield BULK: no mark at the start, zero cells left out, totals last, codes as text, periods in no order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    yield _header(extract)
    zeros = pa.array(ZEROS, pa.string())
    order = [_server_order(v, codes) for v, codes in zip(extract.variables, extract.values, strict=True)]
    time = next(place for place, variable in enumerate(extract.variables) if variable.time)
    per_period = math.prod(len(codes) for place, codes in enumerate(order) if place != time)
    step = max(1, CELLS_AT_A_TIME // max(1, per_period))
    for start in range(0, len(order[time]), step):
        part = [codes[start : start + step] if place == time else codes for place, codes in enumerate(order)]
        cells = cubes.answer(extract.table.id, {v.id: c for v, c in zip(extract.variables, part, strict=True)})
        yield from _lines(extract, cells.filter(pc.invert(pc.is_in(_text(cells["value"]), value_set=zeros))))


def _server_order(variable: Variable, codes: Sequence[str]) -> list[str]:
    if variable.time:
        return sorted(codes, key=lambda code: code[::-1])
    return sorted(codes, key=lambda code: (code == variable.total, code))


def _cells(extract: Extract, cubes: Cubes) -> pa.Table:
    """Return the cells of a non-streaming extract; variables left out stand at their total, or are summed."""
    selection = {v.id: list(codes) for v, codes in zip(extract.variables, extract.values, strict=True)}
    summed = []
    for variable in extract.eliminated:
        selection[variable.id] = list(variable.ids) if variable.total is None else [variable.total]
        summed += [variable.id] if variable.total is None else []
    cells = cubes.answer(extract.table.id, selection)
    return _added_up(cells, [v.id for v in extract.variables], extract.table.decimals) if summed else cells


def _added_up(cells: pa.Table, kept: list[str], decimals: int) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = _text(cells["value"])
    number = pc.if_else(pc.match_substring_regex(text, r"^-?\d"), text, None).cast(pa.float64())
    grouped = cells.select(kept).append_column("number", number).group_by(kept).aggregate([("number", "sum")])
    sums = [".." if value is None else f"{value:.{decimals}f}" for value in grouped["number_sum"].to_pylist()]
    return grouped.select(kept).append_column("value", pa.array(sums, pa.string()))


def _ordered(extract: Extract, cells: pa.Table) -> pa.Table:
    """Return the cells as a non-streaming answer has them: the first variable slowest, codes as asked for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = {
        f"place{n}": pc.index_in(_text(cells[variable.id]), value_set=pa.array(codes, pa.string()))
        for n, (variable, codes) in enumerate(zip(extract.variables, extract.values, strict=True))
    }
    return cells.take(pc.sort_indices(pa.table(places), sort_keys=[(name, "ascending") for name in places]))


def _header(extract: Extract) -> bytes:
    return (extract.delimiter.join([*(v.id.upper() for v in extract.variables), "INDHOLD"]) + "\r\n").encode()


def _lines(extract: Extract, cells: pa.Table) -> Iterator[bytes]:
    """Yield the rows as text; Arrow joins the columns, and its own buffer is what goes on the wire."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [_shown(extract, variable, cells[variable.id]) for variable in extract.variables]
    value = pc.binary_join_element_wise(_localised(extract.lang, _text(cells["value"])), "\r\n", "")
    rows = pc.binary_join_element_wise(*columns, value, extract.delimiter)
    for chunk in rows.chunks if isinstance(rows, pa.ChunkedArray) else [rows]:
        for start in range(0, len(chunk), ROWS_AT_A_TIME):
            yield _joined(chunk.slice(start, ROWS_AT_A_TIME))


def _joined(texts: pa.StringArray) -> bytes:
    """Return the texts of an array one after another, copied from its buffer in one go."""
    import numpy as np

    _, offsets, letters = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)
    first, last = int(bounds[texts.offset]), int(bounds[texts.offset + len(texts)])
    joined: bytes = letters.slice(first, last - first).to_pybytes()
    return joined


def _shown(extract: Extract, variable: Variable, codes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return one column of categories in the presentation asked for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = _text(codes)
    if extract.presentation == "Code":
        return plain
    shown = pa.array([present(variable, extract, code) for code in variable.ids], pa.string())
    return shown.take(pc.index_in(plain, value_set=pa.array(variable.ids, pa.string())).combine_chunks())


def _localised(lang: Language, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values with the decimal mark of the language; marks such as `..` stay."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(values, r"(\d)\.(\d)", r"\1,\2") if lang == "da" else values


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return column.cast(pa.string())


def _number(value: str) -> int | float | None:
    """Return a printed value as a number, None for a mark."""
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return None


def _json_stat(extract: Extract, cells: pa.Table) -> bytes:
    """Return JSON-stat 1 as StatBank writes it: eliminated variables absent, ContentsCode before the time."""
    table, lang = extract.table, extract.lang
    dimension: dict[str, Any] = {}
    size = []
    for variable, codes in zip(extract.variables, extract.values, strict=True):
        if variable.time:
            dimension["ContentsCode"] = _contents(extract)
            size.append(1)
        texts = {code.id: code.text[lang] for code in variable.codes}
        index = {code: place for place, code in enumerate(codes)}
        category = {"index": index, "label": {code: texts[code] for code in codes}}
        dimension[variable.id] = {"label": variable.text[lang], "category": category}
        size.append(len(codes))
    ids = list(dimension)
    role = {"metric": ["ContentsCode"], "time": ["Tid"]}
    areas = [variable.id for variable in extract.variables if variable.role == "area"]
    names = [dimension[name]["label"] for name in ids]
    by, last = ("efter", "og") if lang == "da" else ("by", "and")
    dataset = {
        "dimension": {**dimension, "id": ids, "size": size, "role": role | ({"geo": areas} if areas else {})},
        "label": f"{table.title[lang]} {by} {', '.join(names[:-1])} {last} {names[-1]}",
        "source": f"Danmarks Statistik – {SYNTHETIC[lang]}"
        if lang == "da"
        else f"Statistics Denmark – {SYNTHETIC[lang]}",
        "updated": updated_utc(table),
        "value": [_number(value) for value in _text(cells["value"]).to_pylist()],
        "extension": {"px": {"infofile": table.url, "tableid": table.id, "decimals": table.decimals}},
    }
    return json.dumps({"dataset": dataset}, ensure_ascii=False).encode()


def _contents(extract: Extract) -> dict[str, Any]:
    table = extract.table
    unit = {table.id: {"base": table.unit[extract.lang], "decimals": table.decimals}}
    category = {"index": {table.id: 0}, "label": {table.id: table.title[extract.lang]}, "unit": unit}
    return {"label": "Indhold", "category": category}


def _xlsx(extract: Extract, cells: pa.Table) -> bytes:
    """Return the workbook of statistikbanken.dk: title, unit, periods in row 3, stub on a group's first row."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    lang = extract.lang
    stub = [variable for variable in extract.variables if not variable.time]
    time = next(variable for variable in extract.variables if variable.time)
    periods = extract.values[extract.variables.index(time)]
    grid: dict[tuple[str, ...], dict[str, str]] = {}
    for row in cells.to_pylist():
        grid.setdefault(tuple(row[v.id] for v in stub), {})[row[time.id]] = row["value"]
    book = Workbook()
    sheet = book.active
    assert sheet is not None, "a new workbook has one sheet"
    sheet.title = extract.table.id
    sheet.append([extract.table.description(lang, (*stub, time))])
    sheet.append([f"{'Enhed' if lang == 'da' else 'Units'}: {extract.table.unit[lang]}"])
    sheet.append([*([None] * len(stub)), *(present(time, extract, period) for period in periods)])
    above: tuple[str | None, ...] = (None,) * len(stub)
    for codes, values in grid.items():
        first = next((n for n, (old, new) in enumerate(zip(above, codes, strict=True)) if old != new), 0)
        names = [
            present(v, extract, c) if n >= first else None for n, (v, c) in enumerate(zip(stub, codes, strict=True))
        ]
        numbers = [_number(values[period]) for period in periods]
        sheet.append([*names, *(values[p] if n is None else n for p, n in zip(periods, numbers, strict=True))])
        above = codes
    for cell in [c for row in sheet.iter_rows(max_col=max(1, len(stub))) for c in row]:
        cell.font = Font(bold=True)
    sheet.append([])
    sheet.append([f"{SYNTHETIC[lang]}."])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


# Scripted faults of the stand-in: what servers, lines and publishers do on a bad night.


Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]


class ConnectionDropped(Exception):
    """Raised inside the server so that it closes the connection in the middle of a body."""


@dataclass
class Fault:
    """One scripted fault, played the first `times` times a request's path or body holds `match`.

    Either the whole answer is replaced (`status` with `body`, `retry_after`, `location`), or the real one is
    bent on its way: `replace` bytes, `charset`, `cut_after` so many bytes (whole to look at), `drop_after`
    (the connection breaks), `stall_after` with `seconds`, `endless` (never ends).
    """

    match: str = "/data"
    times: int = 1
    status: int | None = None
    body: str = ""
    content_type: str = "text/html; charset=utf-8"
    retry_after: str | None = None
    location: str | None = None
    replace: tuple[bytes, bytes] | None = None
    charset: str | None = None
    cut_after: int | None = None
    drop_after: int | None = None
    stall_after: int | None = None
    seconds: float = 0.0
    endless: bool = False
    played: int = field(default=0, init=False)

    def wants(self, text: str) -> bool:
        """Tell whether the fault is to be played on a request, and count it."""
        hit = self.played < self.times and self.match.casefold() in text.casefold()
        self.played += hit
        return hit


class Script:
    """The faults to come, and a record of every request as `METHOD path body`."""

    def __init__(self, *faults: Fault):
        self.faults = list(faults)
        self.requests: list[str] = []

    def next_fault(self, request: str) -> Fault | None:
        """Record a request and return the fault to play on it, if any."""
        self.requests.append(request)
        return next((fault for fault in self.faults if fault.wants(request)), None)


class Faulty:
    """ASGI middleware that plays a script."""

    def __init__(self, app: Any, script: Script):
        self._app = app
        self._script = script

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with at most one fault."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        fault = self._script.next_fault(f"{scope['method']} {scope['path']} {body.decode('utf-8', 'replace')}")
        if fault is not None and fault.status is not None:
            await _answer(fault, send)
            return
        sender = send if fault is None else _bent(fault, send, receive)
        await self._app(scope, _replayed(body, receive), sender)


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body already read, then waits for the connection as before."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        message: Message = pending.pop() if pending else await receive()
        return message

    return again


async def _answer(fault: Fault, send: Send) -> None:
    headers = [(b"content-type", fault.content_type.encode())]
    if fault.retry_after is not None:
        headers.append((b"retry-after", fault.retry_after.encode()))
    if fault.location is not None:
        headers.append((b"location", fault.location.encode()))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": fault.body.encode()})


def _bent(fault: Fault, send: Send, receive: Receive) -> Send:
    """Return a `send` that bends the body on its way out."""
    sent, over = 0, False

    async def bend(message: Message) -> None:
        nonlocal sent, over
        if over:
            return
        if message["type"] == "http.response.start":
            # The length of a bent body is not known beforehand.
            headers = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
            await send({**message, "headers": headers})
            return
        body = _changed(fault, bytes(message.get("body", b"")))
        for limit in (fault.cut_after, fault.drop_after, fault.stall_after):
            if limit is not None and sent + len(body) >= limit:
                over = True
                await _break_off(fault, body[: max(0, limit - sent)], send)
                return
        sent += len(body)
        if fault.endless and body:
            over = True
            await _repeat(body, send, receive)
            return
        await send({**message, "body": body})

    return bend


async def _repeat(body: bytes, send: Send, receive: Receive) -> None:
    """Send the same bytes until the client has had enough."""
    gone = asyncio.ensure_future(receive())
    while not gone.done():
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.sleep(0)
    raise ConnectionDropped


async def _break_off(fault: Fault, body: bytes, send: Send) -> None:
    """Send the last bytes, then stop: politely, by breaking the connection, or by falling silent."""
    await send({"type": "http.response.body", "body": body, "more_body": fault.cut_after is None})
    if fault.stall_after is not None:
        await asyncio.sleep(fault.seconds)
    if fault.cut_after is None:
        raise ConnectionDropped


def _changed(fault: Fault, body: bytes) -> bytes:
    if fault.replace is not None:
        body = body.replace(*fault.replace)
    if fault.charset is not None:
        body = body.decode("utf-8", "ignore").encode(fault.charset, "replace")
    return body


log = logging.getLogger(__name__)

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CONTENT_TYPES = {"CSV": "text/csv; charset=utf-8", "BULK": "text/csv; charset=utf-8", "XLSX": XLSX_TYPE}
SUFFIXES = {"XLSX": "xlsx", "JSONSTAT": "json"}
JSON_TYPE = "text/json; charset=utf-8"  # what StatBank says, instead of application/json
SERVER_FAULT = "<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>"
START_SECONDS = 10.0


def create_app(cubes_factory: Callable[[], Cubes], catalogue: Catalogue, changes: Changes | None = None) -> Starlette:
    """Return the stand-in as an ASGI application; the cubes are made at the first request that needs them.

    `changes`: what the publisher has done since, see Changes.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    cubes = _once(cubes_factory)
    tables = Tables(catalogue, cubes, changes)

    def subjects(options: dict[str, Any]) -> Any:
        return subject_list(tables, options)

    def all_tables(options: dict[str, Any]) -> Any:
        return table_list(tables, options)

    def tableinfo(options: dict[str, Any]) -> Any:
        return description(find_table(tables, options), language(options))

    def data(options: dict[str, Any]) -> Response:
        from starlette.responses import StreamingResponse

        extract = read_extract(tables, options)
        name = f"{extract.table.id}.{SUFFIXES.get(extract.file_format, 'csv')}"
        blocks = render(_known_codes(extract, tables.changes), cubes())
        first = next(blocks)  # what comes in one piece breaks here, before the answer says 200
        return StreamingResponse(
            _logged(chain([first], blocks), extract.table.id),
            media_type=CONTENT_TYPES.get(extract.file_format, JSON_TYPE),
            headers={"Content-Disposition": f"attachment; filename={name}"} | _standard_headers(),
        )

    def route(path: str, answer: Callable[[dict[str, Any]], Any]) -> Route:
        return Route(path, _endpoint(answer), methods=["GET", "POST"])

    return Starlette(
        routes=[
            route("/v1/subjects", subjects),
            route("/v1/tables", all_tables),
            route("/v1/tableinfo", tableinfo),
            route("/v1/tableinfo/{table}", tableinfo),
            route("/v1/data", data),
            route("/v1/data/{table}/{format}", data),
        ],
        exception_handlers={404: _not_found, 405: _not_found},
    )


def _known_codes(extract: Extract, changes: Changes) -> Extract:
    """Return the extract without the new codes, which the sample world has no figures for."""
    values = tuple(
        tuple(code for code in codes if code not in changes.added(extract.table.id, variable.id))
        for variable, codes in zip(extract.variables, extract.values, strict=True)
    )
    return replace(extract, values=values)


@contextmanager
def running_standin(
    cubes_factory: Callable[[], Cubes],
    catalogue: Catalogue,
    script: Script | None = None,
    changes: Changes | None = None,
) -> Iterator[str]:
    """Serve the stand-in on a free loopback port, in a thread, for as long as the block lasts.

    Yields the base address, `http://127.0.0.1:<port>/v1`. `script` plays faults and records the requests.
    """
    app: Any = create_app(cubes_factory, catalogue, changes)
    with running_app(Faulty(app, script) if script else app) as root:
        yield f"{root}/v1"


@contextmanager
def running_app(app: Any, port: int = 0) -> Iterator[str]:
    """Serve an ASGI application on loopback in a thread; yields `http://127.0.0.1:<port>`."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, lifespan="off", server_header=False, http="h11"
    )
    # A broken connection is part of the play; its traceback is not for the terminal.
    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
    logging.getLogger("uvicorn.error").propagate = False
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="standin", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(START_SECONDS)
        listener.close()


def _logged(blocks: Iterator[bytes], table: str) -> Iterator[bytes]:
    """Yield the blocks; a fault of the sample world is named here, for the client only sees a broken connection."""
    try:
        yield from blocks
    except Exception as error:
        _log_fault(table, error)
        raise


def _log_fault(asked: str, error: Exception) -> None:
    """Log one line; the trace only for those who look for it."""
    log.error("the stand-in broke while answering %s: %r", asked, error, exc_info=log.isEnabledFor(logging.DEBUG))


def _endpoint(answer: Callable[[dict[str, Any]], Any]) -> Callable[[Request], Any]:
    """Return the endpoint around a function from options to an answer; its errors become StatBank's bodies.

    What was not foreseen is answered as any broken server does it, with a body that is no JSON: clients try again.
    """
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response

    async def endpoint(request: Request) -> Response:
        options: dict[str, Any] = {}
        body = await request.body()
        try:
            options = read_options(body, request.query_params) | request.path_params
            given = await run_in_threadpool(answer, options)
        except ApiError as error:
            return _refusal(error, options)
        except Exception as error:
            _log_fault(request.url.path, error)
            return Response(SERVER_FAULT, 500, _standard_headers(), "text/html; charset=utf-8")
        return given if isinstance(given, Response) else _json(given)

    return endpoint


def _refusal(error: ApiError, options: dict[str, Any]) -> Response:
    return _json({"errorTypeCode": error.code, "message": error.text[language(options)]}, error.status)


async def _not_found(request: Request, _: Exception) -> Response:
    both = "Siden kan ikke findes. / Page not found."
    return _refusal(ApiError("REQUEST-NOTFOUND", both, both, status=404), {})


def _json(content: Any, status: int = 200) -> Response:
    import json

    from starlette.responses import Response

    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    body = text.encode(errors="replace")  # a name asked for, half a letter of which is no UTF-8, stands in its refusal
    return Response(body, status, _standard_headers(), JSON_TYPE)


def _standard_headers() -> dict[str, str]:
    return {"Statbankapi-Request-Id": str(uuid.uuid4()), "Cache-Control": "no-cache"}


def _once(make: Callable[[], Cubes]) -> Callable[[], Cubes]:
    """Return a function that calls `make` the first time, whichever thread asks first."""
    lock = threading.Lock()
    made: list[Cubes] = []

    def get() -> Cubes:
        with lock:
            if not made:
                made.append(make())
        return made[0]

    return get


def main() -> None:
    """Serve the sample world by hand until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--seed", type=int, default=2016)
    parser.add_argument("--closed", action="append", default=[], metavar="TABLE", help="a table that is closed")
    parser.add_argument(
        "--new-code", nargs=3, action="append", default=[], metavar=("TABLE", "VARIABLE", "CODE"), help="a code more"
    )
    arguments = parser.parse_args()
    new_codes: dict[str, dict[str, tuple[str, ...]]] = {}
    for table, variable, code in arguments.new_code:
        codes = new_codes.setdefault(table.upper(), {})
        codes[variable] = (*codes.get(variable, ()), code)
    changes = Changes(frozenset(table.upper() for table in arguments.closed), new_codes)

    from flows.sample.cubes import Cubes as SampleCubes
    from flows.sample.world import build_world
    from transforms.catalogue import load_catalogue

    app = create_app(lambda: SampleCubes(build_world(seed=arguments.seed)), load_catalogue(), changes)
    with running_app(app, arguments.port) as root:
        print(f"SYNTHETIC data at {root}/v1 (Ctrl-C ends)")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()

"""A local StatBank that obeys the real protocol, so the default run goes through the real connector.

By hand: `python -m flows.sample.standin --port 8080`, then `curl http://127.0.0.1:8080/v1/tables`.

One module, since routes and answers in every format are one server.
"""

from __future__ import annotations

import argparse
import json
import logging
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from flows.connectors.statbank.query import Language
from flows.sample.asked import (
    ApiError,
    Changes,
    CubeAnswers,
    Extract,
    Tables,
    description,
    find_table,
    flag,
    language,
    read_extract,
    read_options,
    summary,
    texts,
    whole_number,
)

if TYPE_CHECKING:
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
    return [
        summary(table, language(options))
        for table in tables.all()
        if days is None or (tables.now - table.updated) / _DAY < days
    ]


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
            raise ApiError("no_subject", subject=subject)


def table_info(tables: Tables, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of `/tableinfo`."""
    return description(find_table(tables, options), language(options))


def data(tables: Tables, options: Mapping[str, Any]) -> Response:
    """Return the answer of `/data`."""
    from starlette.responses import StreamingResponse

    from flows.sample.formats import render

    extract = read_extract(tables, options)
    name = f"{extract.table.id}.{SUFFIXES.get(extract.file_format, 'csv')}"
    blocks = render(_known_codes(extract, tables.changes), tables.cubes)
    first = next(blocks)  # what comes in one piece breaks here, before the answer says 200
    return StreamingResponse(
        _logged(chain([first], blocks), extract.table.id),
        media_type=CONTENT_TYPES.get(extract.file_format, JSON_TYPE),
        headers={"Content-Disposition": f"attachment; filename={name}"} | _standard_headers(),
    )


ROUTES: dict[str, Callable[[Tables, dict[str, Any]], Any]] = {
    "/v1/subjects": subject_list,
    "/v1/tables": table_list,
    "/v1/tableinfo": table_info,
    "/v1/tableinfo/{table}": table_info,
    "/v1/data": data,
    "/v1/data/{table}/{format}": data,
}
log = logging.getLogger(__name__)

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CONTENT_TYPES = {"CSV": "text/csv; charset=utf-8", "BULK": "text/csv; charset=utf-8", "XLSX": XLSX_TYPE}
SUFFIXES = {"XLSX": "xlsx", "JSONSTAT": "json"}
JSON_TYPE = "text/json; charset=utf-8"  # what StatBank says, instead of application/json
SERVER_FAULT = "<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>"
START_SECONDS = 10.0


def create_app(cubes: CubeAnswers, catalogue: Catalogue, changes: Changes | None = None) -> Starlette:
    """Return the stand-in as an ASGI application. `changes`: what the publisher has done since, see Changes."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    tables = Tables(catalogue, cubes, changes)
    return Starlette(
        routes=[
            Route(path, _endpoint(partial(answer, tables)), methods=["GET", "POST"]) for path, answer in ROUTES.items()
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
def running_standin(cubes: CubeAnswers, catalogue: Catalogue) -> Iterator[str]:
    """Serve the stand-in on a free loopback port, in a thread, for as long as the block lasts.

    Yields the base address, `http://127.0.0.1:<port>/v1`.
    """
    with running_app(create_app(cubes, catalogue)) as root:
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
    return _refusal(ApiError("no_page", status=404), {})


def _json(content: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    body = text.encode(errors="replace")  # a name asked for, half a letter of which is no UTF-8, stands in its refusal
    return Response(body, status, _standard_headers(), JSON_TYPE)


def _standard_headers() -> dict[str, str]:
    return {"Statbankapi-Request-Id": str(uuid.uuid4()), "Cache-Control": "no-cache"}


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

    app = create_app(SampleCubes(build_world(seed=arguments.seed)), load_catalogue(), changes)
    with running_app(app, arguments.port) as root:
        print(f"SYNTHETIC data at {root}/v1 (Ctrl-C ends)")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()

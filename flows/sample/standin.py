"""A local StatBank that obeys the real protocol, so the default run goes through the real connector.

By hand: `python -m flows.sample.standin --port 8080`, then `curl http://127.0.0.1:8080/v1/tables`.
"""

from __future__ import annotations

import argparse
import logging
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from flows.sample.standin_faults import Faulty, Script
from flows.sample.standin_lists import subject_list, table_list
from flows.sample.standin_options import ApiError, language, read_options
from flows.sample.standin_query import find_table, read_extract
from flows.sample.standin_render import render
from flows.sample.standin_tables import Cubes, Tables, description

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from transforms.catalogue import Catalogue

log = logging.getLogger(__name__)

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CONTENT_TYPES = {"CSV": "text/csv; charset=utf-8", "BULK": "text/csv; charset=utf-8", "XLSX": XLSX_TYPE}
SUFFIXES = {"XLSX": "xlsx", "JSONSTAT": "json"}
JSON_TYPE = "text/json; charset=utf-8"  # what StatBank says, instead of application/json
SERVER_FAULT = "<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>"
START_SECONDS = 10.0


def create_app(cubes_factory: Callable[[], Cubes], catalogue: Catalogue) -> Starlette:
    """Return the stand-in as an ASGI application; the cubes are made at the first request that needs them."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    cubes = _once(cubes_factory)
    tables = Tables(catalogue, cubes)

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
        blocks = render(extract, cubes())
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


@contextmanager
def running_standin(
    cubes_factory: Callable[[], Cubes], catalogue: Catalogue, script: Script | None = None
) -> Iterator[str]:
    """Serve the stand-in on a free loopback port, in a thread, for as long as the block lasts.

    Yields the base address, `http://127.0.0.1:<port>/v1`. `script` plays faults and records the requests.
    """
    app: Any = create_app(cubes_factory, catalogue)
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
    arguments = parser.parse_args()

    from flows.sample.cubes import Cubes as SampleCubes
    from flows.sample.world import build_world
    from transforms.catalogue import load_catalogue

    app = create_app(lambda: SampleCubes(build_world(seed=arguments.seed)), load_catalogue())
    with running_app(app, arguments.port) as root:
        print(f"SYNTHETIC data at {root}/v1 (Ctrl-C ends)")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()

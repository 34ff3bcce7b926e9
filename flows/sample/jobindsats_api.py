"""The Jobindsats stand-in: versions 3 and 2 of the protocol over the sample world, with the publisher's quirks."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flows.sample.jobindsats import COUNTRY, TABLES, JobindsatsWorld

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

TOKEN = "sample-token"
AREA_HIERARCHIES = {"_nykom", "_hele_landet"}
DIMENSIONS = {
    "y35a02": {"_oprinda"},
    "ptv_a02": {"_ygrp_ptv"},
    "y14d03": {"_tilbud_d03", "_maalgrp_d03"},
    "otij01": {"_ygrp_j01"},
    "y25i07": {"_branche"},
}
BOM = b"\xef\xbb\xbf"


class RefusedError(Exception):
    """A question the API refuses, with the status and the cause it gives."""

    def __init__(self, status: int, cause: str):
        super().__init__(cause)
        self.status, self.cause = status, cause


def answer_v3(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return the answer of version 3: `{"columns": […], "rows": [[…]]}`. RefusedError as the API refuses."""
    table = _known(table)
    named = {name.removeprefix("hierarchy.") for name in asked if name.startswith("hierarchy.")}
    unknown = sorted(named - AREA_HIERARCHIES - DIMENSIONS.get(table, set()))
    if unknown:
        raise RefusedError(422, f"Unknown hierarchies: {unknown}")
    kinds = [name.removeprefix("period.") for name in asked if name.startswith("period.")]
    if len(kinds) != 1 or kinds[0] not in ("M", "Q", "Y", "QMAT"):
        raise RefusedError(422, f"Unknown period type: {', '.join(kinds) or 'none'}")
    periods = _periods(world, kinds[0], asked[f"period.{kinds[0]}"], r"latest:(\d+)")
    columns, rows = world.rows(table, periods)
    if "_nykom" not in named:
        rows = [row for row in rows if row[1] == COUNTRY]
    return {"columns": columns, "rows": rows}


def answer_v2(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    """Return the answer of version 2: a list of one object, decimals as texts with a comma."""
    table = _known(table)
    match = re.fullmatch(r"l\((m|q|y|qmat):(\d+)\)", asked.get("period", ""))
    if match is None:
        raise RefusedError(400, f"Unknown period: {asked.get('period', '')}")
    columns, rows = world.rows(table, world.periods(match[1].upper(), int(match[2])))
    labels = ["Area" if label == "Område" else label for label in columns]
    data = [[_comma(cell) for cell in row] for row in rows]
    return [{"Variables": [{"Label": label} for label in labels], "Data": data}]


def create_app(world_factory: Callable[[], JobindsatsWorld]) -> Starlette:
    """Return the stand-in as an ASGI application under `/v3` and `/v2`; it wants TOKEN as the real one does."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    made: list[JobindsatsWorld] = []

    def world() -> JobindsatsWorld:
        if not made:
            made.append(world_factory())
        return made[0]

    def endpoint(version: int, answer: Callable[[JobindsatsWorld, str, dict[str, str]], Any]) -> Callable[..., Any]:
        async def run(request: Request) -> Response:
            wanted = TOKEN if version == 2 else f"Bearer {TOKEN}"
            if request.headers.get("authorization") != wanted:
                return JSONResponse({"code": 401, "cause": "Invalid token"}, 401)
            asked = {name: ",".join(request.query_params.getlist(name)) for name in request.query_params}
            try:
                data = await run_in_threadpool(lambda: answer(world(), request.path_params["table"], asked))
            except RefusedError as refused:
                body = {"code": refused.status, "cause": refused.cause, "request_id": str(uuid.uuid4())}
                return JSONResponse(body, refused.status)
            content = json.dumps(data, ensure_ascii=False).encode()
            return Response(BOM + content, media_type="application/json; charset=utf-8")

        return run

    async def tables(request: Request) -> Response:
        return JSONResponse([{"table_id": table, "table_name": f"Syntetisk {table}"} for table in TABLES])

    return Starlette(
        routes=[
            Route("/v3/tables", tables),
            Route("/v3/data/{table}", endpoint(3, answer_v3)),
            Route("/v2/data/{table}/json", endpoint(2, answer_v2)),
        ]
    )


def _known(table: str) -> str:
    if table.lower() not in TABLES:
        raise RefusedError(422, f"Unknown table: {table}")
    return table.lower()


def _periods(world: JobindsatsWorld, kind: str, asked: str, latest: str) -> list[str]:
    match = re.fullmatch(latest, asked)
    return world.periods(kind, int(match[1])) if match else asked.split(",")


def _comma(cell: Any) -> Any:
    return repr(cell).replace(".", ",") if isinstance(cell, float) else cell

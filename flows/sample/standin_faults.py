"""Scripted faults of the stand-in: what servers, lines and publishers do on a bad night."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]

HTML = "<!DOCTYPE html><html><body><h1>Lukket for vedligeholdelse</h1></body></html>"


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


def closed_for_maintenance(match: str = "/data", times: int = 1) -> Fault:
    """Return the fault of an HTML page with status 200 in place of the answer."""
    return Fault(match, times, status=200, body=HTML)


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

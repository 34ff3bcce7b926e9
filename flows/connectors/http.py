"""A thin layer over httpx: one host, bounded patience, and bodies that arrived whole or not at all."""

from __future__ import annotations

import email.utils
import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import httpx
import stamina

from flows.settings import LOOPBACK
from transforms.errors import DataRefused, UsageError
from transforms.periods import aware

# How often and how long one request is tried again, and what the server says about waiting.


log = logging.getLogger(__name__)
# stamina announces each retry under its own name; `_wait_for` says the same with the address.
logging.getLogger("stamina").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Patience:
    """How long one request may be tried. Seconds; the total bounds waits and transfers together."""

    attempts: int = 5
    total: float = 1800.0
    wait_initial: float = 0.5
    wait_max: float = 30.0
    retry_after_max: float = 120.0


class TryAgainError(Exception):
    """The server or the line failed in a way that may pass. `wait` is the server's own Retry-After."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


class GivenUpError(DataRefused):
    """The server or the line failed for as long as our patience lasts: later it may answer."""


def attempts(where: str, patience: Patience | None = None) -> Iterator[tuple[stamina.Attempt, float]]:
    """Yield (attempt, deadline) until a `with attempt:` block ends well, waiting in between as `patience` allows.

    What the block raises as TryAgainError is tried again; `deadline` is on the clock of `time.monotonic`. Raises
    GivenUpError, beginning with `where`, when the patience is used up; every other error passes at once. A loop, and
    no function around the request: a request's stack tells its way without detours.
    """
    patience = patience or Patience()
    deadline = time.monotonic() + patience.total
    tried = 0
    try:
        for attempt in stamina.retry_context(
            on=partial(_wait_for, where, patience, deadline),
            attempts=patience.attempts,
            timeout=patience.total,
            wait_initial=patience.wait_initial,
            wait_max=patience.wait_max,
        ):
            tried = attempt.num
            yield attempt, deadline
    except TryAgainError as error:
        raise GivenUpError(f"{where}: {error}; given up after {tried} tries, try later") from None


def _wait_for(where: str, patience: Patience, deadline: float, error: Exception) -> bool | float:
    """Tell whether to try again: no, yes with the usual back-off, or yes after so many seconds."""
    if not isinstance(error, TryAgainError):
        return False
    wait = None if error.wait is None else min(error.wait, patience.retry_after_max)
    if time.monotonic() + (wait or 0.0) >= deadline:
        return False
    log.info("%s: %s; trying again", where, error)
    # Jitter here as well, so that the downloads that were told to wait do not all come back in the same instant.
    return True if wait is None else wait * random.uniform(1.0, 1.1)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (seconds or an HTTP date), None when absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    with suppress(ValueError):
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, (aware(moment) - datetime.now(UTC)).total_seconds())
    return None


PASSING_STATUS = frozenset({408, 429})  # and every 5xx
ERROR_BODY_LIMIT = 64 * 1024

Progress = Callable[[int], None]
Blocks = Callable[[bytes], None]


@dataclass(frozen=True)
class Received:
    """A body on disk: SHA-256 and size of the decoded bytes."""

    path: Path
    sha256: str
    bytes: int


class AnsweredError(DataRefused):
    """The server refused the request itself (4xx); asking again would give the same answer."""

    def __init__(self, where: str, status: int, body: str):
        self.status = status
        self.body = body
        shown = " ".join(body.split())[:200] or "an empty body"
        super().__init__(f"{where}: answered {status}: {shown}; correct the request or the address")

    @property
    def said(self) -> dict[str, Any]:
        """Return the body when it is a JSON object, in which the publishers explain themselves, else an empty one."""
        with suppress(ValueError):
            body = json.loads(self.body)
            return body if isinstance(body, dict) else {}
        return {}


def user_agent(contact: str = "") -> str:
    """Return `kommunekort/<version>`, with a contact address when there is one (asked for by the publishers)."""
    try:
        number = version("kommunekort")
    except PackageNotFoundError:
        number = "0"
    return f"kommunekort/{number} (+{contact})" if contact else f"kommunekort/{number}"


def open_client(base_url: str, *, contact: str = "", headers: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a client that speaks to the host of `base_url` only, and never follows a redirect.

    Raises UsageError for an address that is not https (http is allowed on this machine alone).
    """
    base = httpx.URL(base_url)
    local = base.host in LOOPBACK
    if not base.host or (base.scheme != "https" and not (local and base.scheme == "http")):
        raise UsageError(f"{base_url}: an address must begin with https:// (http:// only on this machine)")

    def only_this_host(request: httpx.Request) -> None:
        asked = (request.url.scheme, request.url.host, request.url.port)
        if asked != (base.scheme, base.host, base.port):
            raise UsageError(f"{request.url.host}: this client may only speak to {base.host}")

    return httpx.Client(
        base_url=base,
        headers={"User-Agent": user_agent(contact), **(headers or {})},
        timeout=httpx.Timeout(60.0, connect=10.0),
        verify=base.scheme == "https",  # without, the certificates need not be read
        follow_redirects=False,
        trust_env=not local,  # a proxy of the organisation must not catch loopback
        event_hooks={"request": [only_this_host]},
        limits=httpx.Limits(max_connections=8),
    )


def stream_to_file(
    client: httpx.Client,
    request: httpx.Request,
    path: Path,
    *,
    max_bytes: int = 8 * 1024**3,
    on_progress: Progress | None = None,
    on_begin: Callable[[], Blocks] | None = None,
    patience: Patience | None = None,
) -> Received:
    """Write the answer's body to `path`, whole and synced, or leave nothing there; return what came.

    Tried again after connection errors, time-outs, 408, 429, 5xx and bodies cut short; `on_progress` gets
    the bytes so far. `on_begin` is called when a body begins, at each try; what it returns gets every block, and may
    refuse it. Raises AnsweredError (4xx) and DataRefused (patience used up, HTML instead of data, a redirect, or more
    than `max_bytes`).
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        for attempt, deadline in attempts(_where(request), patience):
            with (
                attempt,
                _told(request),
                closing(client.send(request, stream=True)) as response,
                partial.open("wb") as writer,
            ):
                _check_status(response)
                digest, size = hashlib.sha256(), 0
                take = on_begin() if on_begin else None
                for block in _body(response, deadline, max_bytes):
                    size += len(block)
                    digest.update(block)
                    writer.write(block)
                    if take:
                        take(block)
                    if on_progress:
                        on_progress(size)
                writer.flush()
                os.fsync(writer.fileno())
                received = Received(path, digest.hexdigest(), size)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return received


def read_body(
    client: httpx.Client, request: httpx.Request, *, max_bytes: int = 64 * 1024**2, patience: Patience | None = None
) -> bytes:
    """Return the answer's body, for the small answers that fit in memory; errors as in `stream_to_file`."""
    for attempt, deadline in attempts(_where(request), patience):
        with attempt, _told(request), closing(client.send(request, stream=True)) as response:
            _check_status(response)
            content = b"".join(_body(response, deadline, max_bytes))
    return content


@contextmanager
def _told(request: httpx.Request) -> Iterator[None]:
    """Let whatever breaks on the way to an answer or within it end as the error it stands for."""
    try:
        yield
    except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError) as error:
        raise TryAgainError(_explain(error)) from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise DataRefused(f"{_where(request)}: {_explain(error)}") from None


def _check_status(response: httpx.Response) -> None:
    status, where = response.status_code, _where(response.request)
    if status in PASSING_STATUS or status >= 500:
        said = _shown(_error_body(response))
        reason = f"answered {status}" + (f" ({said})" if said else "")
        raise TryAgainError(reason, retry_after(response.headers.get("retry-after")))
    if 300 <= status < 400:
        target = _host_of(response.headers.get("location", "")) or "another page"
        raise DataRefused(f"{where}: redirected to {target}; not followed, check the base address")
    if status >= 400:
        raise AnsweredError(where, status, _error_body(response))
    if status != 200:
        raise DataRefused(f"{where}: answered {status}, which is no data")


def _error_body(response: httpx.Response) -> str:
    """Return the beginning of an error's body."""
    return next(response.iter_bytes(ERROR_BODY_LIMIT), b"").decode("utf-8-sig", "replace")


def _shown(body: str) -> str:
    """Return a server's own words about its fault in one short line; nothing for a page made for browsers."""
    return "" if _is_html("", body.encode()) else " ".join(body.split())[:200]


def _host_of(location: str) -> str:
    """Return the host a redirect names, or nothing for an address that is none."""
    with suppress(httpx.InvalidURL):
        return httpx.URL(location).host
    return ""


def _body(response: httpx.Response, deadline: float, max_bytes: int) -> Iterator[bytes]:
    """Yield the decoded body; an HTML page instead of data is refused, and the deadline bounds a slow drip."""
    where, size = _where(response.request), 0
    for block in response.iter_bytes():
        if size == 0 and _is_html(response.headers.get("content-type", ""), block):
            raise GivenUpError(
                f"{where}: answered 200 with an HTML page instead of data; "
                "the service is probably closed for maintenance, try later"
            )
        if time.monotonic() > deadline:
            raise TryAgainError("the transfer took too long")
        size += len(block)
        if size > max_bytes:
            raise DataRefused(f"{where}: more than {max_bytes:,} bytes; ask for less")
        yield block


def _is_html(content_type: str, start: bytes) -> bool:
    begins = start[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return "text/html" in content_type.lower() or begins.startswith((b"<!doctype html", b"<html"))


def _where(request: httpx.Request) -> str:
    return f"{request.method} {request.url.host}{request.url.path}"


def _explain(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"no connection ({error})"
    return f"the connection broke ({error})" if str(error) else "the connection broke"

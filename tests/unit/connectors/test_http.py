"""The HTTP layer: what is tried again and for how long, what is refused, and bodies whole or not at all."""

from __future__ import annotations

import email.utils
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from flows.connectors.http import (
    AnsweredError,
    Patience,
    open_client,
    read_body,
    retry_after,
    stream_to_file,
    user_agent,
)
from tests.fixtures.answering import answered
from transforms.errors import DataRefused, UsageError

BASE = "https://api.example.dk/v1"
BODY = b"TID;INDHOLD\r\n2015;1\r\n"


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


class Server:
    """Answers from a list, one per request; the last one is repeated."""

    def __init__(self, *answers: httpx.Response | Exception | Callable[[], httpx.Response]):
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer()

    def client(self) -> httpx.Client:
        return answered(open_client(BASE, contact="data@kommune.dk"), self)


def asked(client: httpx.Client, method: str, url: str, json: object = None) -> tuple[httpx.Client, httpx.Request]:
    return client, client.build_request(method, url, json=json)


class Broken(httpx.SyncByteStream):
    """A body that breaks after its first block, as a dropped chunked answer does."""

    def __iter__(self) -> Iterator[bytes]:
        yield BODY[:10]
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def ok() -> httpx.Response:
    return httpx.Response(200, content=BODY, headers={"content-type": "text/csv"})


def test_body_is_written_whole_with_its_hash(tmp_path: Path) -> None:
    seen: list[int] = []
    target = tmp_path / "a.csv"
    got = stream_to_file(*asked(Server(ok()).client(), "POST", "data", json={}), target, on_progress=seen.append)
    assert target.read_bytes() == BODY
    assert (got.sha256, got.bytes) == (hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert seen == [len(BODY)]
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_user_agent_names_program_and_contact() -> None:
    server = Server(ok())
    read_body(*asked(server.client(), "GET", "tables"))
    assert server.requests[0].headers["user-agent"] == user_agent("data@kommune.dk")
    assert server.requests[0].headers["user-agent"].startswith("kommunekort/")
    assert str(server.requests[0].url) == f"{BASE}/tables"


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(429),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        lambda: httpx.Response(200, stream=Broken()),
    ],
    ids=["500", "502", "503", "504", "429", "connect", "timeout", "broken body"],
)
def test_passing_trouble_is_tried_again(trouble: httpx.Response, clock: Clock, tmp_path: Path) -> None:
    server = Server(trouble, trouble, ok())
    stream_to_file(*asked(server.client(), "GET", "data"), tmp_path / "a.csv")
    assert len(server.requests) == 3
    assert (tmp_path / "a.csv").read_bytes() == BODY
    first, second = clock.slept
    assert 0.5 <= first <= 1.5
    assert 1.0 <= second <= 2.0, "the wait grows, with at most a second of jitter"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_a_refused_request_is_never_repeated(status: int, clock: Clock, tmp_path: Path) -> None:
    server = Server(httpx.Response(status, text='{"message":"Tabel findes ikke"}'), ok())
    with pytest.raises(AnsweredError, match="Tabel findes ikke") as caught:
        stream_to_file(*asked(server.client(), "POST", "data", json={}), tmp_path / "a.csv")
    assert caught.value.status == status
    assert (len(server.requests), clock.slept) == (1, [])
    assert list(tmp_path.iterdir()) == []


def test_patience_ends_after_the_attempts_in_one_sentence(clock: Clock, tmp_path: Path) -> None:
    server = Server(httpx.Response(503))
    with pytest.raises(DataRefused, match=r"^GET api\.example\.dk/v1/data: answered 503; given up after 3 tries"):
        stream_to_file(*asked(server.client(), "GET", "data"), tmp_path / "a.csv", patience=Patience(attempts=3))
    assert len(server.requests) == 3
    assert list(tmp_path.iterdir()) == []


def test_retry_after_in_seconds_is_honoured(clock: Clock) -> None:
    server = Server(httpx.Response(429, headers={"retry-after": "17"}), ok())
    assert read_body(*asked(server.client(), "GET", "tables")) == BODY
    assert 17.0 <= clock.slept[0] <= 18.7, "what was asked for, and some jitter"


def test_retry_after_as_a_date_is_honoured(clock: Clock) -> None:
    later = email.utils.formatdate(time.time() + 40, usegmt=True)
    server = Server(httpx.Response(503, headers={"retry-after": later}), ok())
    read_body(*asked(server.client(), "GET", "tables"))
    assert 37 <= clock.slept[0] <= 44


def test_retry_after_is_capped(clock: Clock) -> None:
    server = Server(httpx.Response(503, headers={"retry-after": "86400"}), ok())
    read_body(*asked(server.client(), "GET", "tables"), patience=Patience(retry_after_max=60))
    assert 60.0 <= clock.slept[0] <= 66.0, "with some jitter"


def test_a_wait_beyond_the_deadline_is_not_begun(clock: Clock) -> None:
    server = Server(httpx.Response(503, headers={"retry-after": "100"}))
    with pytest.raises(DataRefused, match="given up after 1 tries"):
        read_body(*asked(server.client(), "GET", "tables"), patience=Patience(total=90))
    assert clock.slept == []


def test_the_total_time_is_bounded(clock: Clock) -> None:
    server = Server(httpx.Response(503))
    with pytest.raises(DataRefused):
        read_body(*asked(server.client(), "GET", "tables"), patience=Patience(attempts=10_000, total=300))
    assert clock.now - 1000.0 < 300 + 30 + 1


@pytest.mark.parametrize(("value", "seconds"), [(None, None), ("5", 5.0), ("soon", None), ("-3", None)])
def test_unreadable_retry_after_means_the_usual_wait(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_a_slow_drip_ends_at_the_deadline(clock: Clock, tmp_path: Path) -> None:
    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock.now += 10
                yield b"1;2\r\n"

    server = Server(lambda: httpx.Response(200, stream=Drip()))
    with pytest.raises(DataRefused, match="took too long"):
        stream_to_file(*asked(server.client(), "GET", "data"), tmp_path / "a.csv", patience=Patience(total=100))
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_body_without_end_is_refused(tmp_path: Path) -> None:
    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 1000

    server = Server(lambda: httpx.Response(200, stream=Endless()))
    with pytest.raises(DataRefused, match="more than 100,000 bytes"):
        stream_to_file(*asked(server.client(), "GET", "data"), tmp_path / "a.csv", max_bytes=100_000)
    with pytest.raises(DataRefused, match="more than 5,000 bytes"):
        read_body(*asked(server.client(), "GET", "tables"), max_bytes=5_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("header", ["²", "soon", "-1"])
def test_a_retry_after_that_is_none_is_no_obstacle(header: str, clock: Clock) -> None:
    odd = httpx.Response(503, headers=[(b"retry-after", header.encode())])
    assert read_body(*asked(Server(odd, ok()).client(), "GET", "tables")) == BODY


def test_the_servers_own_words_about_its_fault_are_shown(clock: Clock) -> None:
    told = Server(httpx.Response(503, text='{"message":\n"Databasen er lukket"}'))
    with pytest.raises(DataRefused, match=r'answered 503 \({"message": "Databasen er lukket"}\); given up'):
        read_body(*asked(told.client(), "GET", "tables"), patience=Patience(attempts=2))
    page = Server(httpx.Response(502, text="<html><body>Bad Gateway</body></html>"))
    with pytest.raises(DataRefused, match=r"answered 502; given up"):
        read_body(*asked(page.client(), "GET", "tables"), patience=Patience(attempts=2))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=utf-8", b"anything"),
        ("text/csv", b"\xef\xbb\xbf  <!DOCTYPE html><html>"),
        ("text/csv", b"<HTML>closed</HTML>"),
    ],
)
def test_html_with_status_200_is_refused(content_type: str, body: bytes, tmp_path: Path) -> None:
    server = Server(httpx.Response(200, content=body, headers={"content-type": content_type}))
    with pytest.raises(DataRefused, match="HTML page instead of data"):
        stream_to_file(*asked(server.client(), "GET", "data"), tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_is_named_and_not_followed(tmp_path: Path) -> None:
    server = Server(httpx.Response(302, headers={"location": "https://evil.example/x"}), ok())
    with pytest.raises(DataRefused, match=r"redirected to evil\.example; not followed"):
        stream_to_file(*asked(server.client(), "GET", "data"), tmp_path / "a.csv")
    assert len(server.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"location": "/elsewhere"}])
def test_a_redirect_to_nowhere_is_told(headers: dict[str, str]) -> None:
    with pytest.raises(DataRefused, match="redirected to another page; not followed"):
        read_body(*asked(Server(httpx.Response(302, headers=headers)).client(), "GET", "tables"))


def test_blocks_go_to_their_reader_anew_at_each_try(clock: Clock, tmp_path: Path) -> None:
    tries: list[list[bytes]] = []

    def begin() -> Callable[[bytes], None]:
        tries.append([])
        return tries[-1].append

    server = Server(httpx.Response(200, stream=Broken()), ok())
    stream_to_file(*asked(server.client(), "GET", "data"), tmp_path / "a.csv", on_begin=begin)
    assert [b"".join(blocks) for blocks in tries] == [BODY[:10], BODY]


def test_the_client_speaks_to_its_own_host_only() -> None:
    server = Server(ok())
    with pytest.raises(UsageError, match=r"may only speak to api\.example\.dk"):
        server.client().get("https://other.example/v1/tables")
    assert server.requests == []


@pytest.mark.parametrize("address", ["http://api.statbank.dk/v1", "api.statbank.dk", "ftp://127.0.0.1/x", ""])
def test_an_unsafe_base_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="https://"):
        open_client(address)


def test_an_earlier_file_survives_a_failed_download(clock: Clock, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_bytes(b"old")
    with pytest.raises(DataRefused):
        stream_to_file(*asked(Server(httpx.Response(500)).client(), "GET", "data"), target)
    assert target.read_bytes() == b"old"

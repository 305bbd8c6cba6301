"""Serving: complete requests, deadlines, files and the WSGI bridge."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from builds.api.errors import status_of
from builds.api.serving import files, waiting
from builds.api.serving.deadlines import Deadlines
from builds.api.serving.requests import CompleteRequests
from builds.api.serving.wsgi import FileWrapper, ThreadedWSGI

LIMIT = 300_000


class Exchange:
    """A request that comes in parts, and what is answered."""

    def __init__(self, *parts: dict[str, Any]) -> None:
        self.parts = list(parts)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return self.parts.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def scope(*headers: tuple[bytes, bytes], method: str = "POST", path: str = "/", query: bytes = b"") -> Any:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
        "http_version": "1.1",
    }


def ask(exchange: Exchange, *headers: tuple[bytes, bytes], **values: Any) -> list[tuple[Any, bytes]]:
    """What the application behind CompleteRequests is asked: scope and body."""
    asked = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        asked.append((scope, scope["body"].read()))

    requests = CompleteRequests(application, LIMIT, timeout=0.2)
    asyncio.run(requests(scope(*headers, **values), exchange.receive, exchange.send))
    assert files.budget.used == 0
    return asked


def refusal(exchange: Exchange, *headers: tuple[bytes, bytes]) -> tuple[int, str]:
    """The status and code of the error that the application gets in place of the body."""
    ((asked, body),) = ask(exchange, *headers)
    assert not body
    return status_of(asked["refusal"]), asked["refusal"].code


@pytest.mark.parametrize("length", [b"300001", b"300001 ", b"300001\t", b"0" * 30 + b"300001", b"9" * 19])
def test_a_length_is_read_with_zeros_and_blanks_and_of_any_size(length: bytes) -> None:
    assert refusal(Exchange(part(b"x")), (b"content-length", length)) == (413, "body_too_large")


def test_a_body_is_handed_on_when_all_of_it_has_come() -> None:
    ((_, body),) = ask(Exchange(part(b"one ", more=True), part(b"two")))
    assert body == b"one two"


def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    exchange = Exchange(part(b"x"))
    assert refusal(exchange, (b"content-length", b"300001")) == (413, "body_too_large")
    assert exchange.parts


def test_a_body_that_becomes_too_large_is_not_read_to_its_end() -> None:
    large = b"x" * 200_000
    exchange = Exchange(part(large, more=True), part(large, more=True), part(b"never read"))
    assert refusal(exchange) == (413, "body_too_large")
    assert exchange.parts == [part(b"never read")]


def test_a_request_that_breaks_off_is_none() -> None:
    exchange = Exchange(part(b'{"scmurl": ', more=True), {"type": "http.disconnect"})
    assert not ask(exchange, (b"content-length", b"90"))
    assert not exchange.sent


def test_headers_that_would_be_taken_for_others_are_left_out() -> None:
    ((asked, _),) = ask(Exchange(part(b"")), (b"x_remote_user", b"eve"), (b"x-remote-user", b"ada"))
    assert asked["headers"] == [(b"x-remote-user", b"ada")]


def test_a_query_reaches_wsgi_whatever_its_bytes_are() -> None:
    ((asked, _),) = ask(Exchange(part(b"")), query=b"name=\xff&x=%20")
    assert asked["query_string"] == b"name=%FF&x=%20"


def test_a_large_body_goes_to_disk_and_is_the_same() -> None:
    first, second = b"a" * 50_000, b"b" * 200_000
    ((asked, body),) = ask(Exchange(part(first, more=True), part(second)))
    assert body == first + second
    assert not isinstance(asked["body"], BytesIO)
    assert asked["body"].closed


def test_a_body_that_does_not_come_in_time_is_refused() -> None:
    class Stalled(Exchange):
        async def receive(self) -> dict[str, Any]:
            return self.parts.pop(0) if self.parts else await asyncio.Event().wait()

    exchange = Stalled(part(b"never the rest", more=True))
    assert refusal(exchange) == (408, "request_timeout")


def test_large_bodies_have_a_total_and_small_ones_do_not_count(settings: Any) -> None:
    settings.MBS = settings.MBS.model_copy(update={"BODIES_LIMIT": 100_000})
    exchange = Exchange(part(b"x" * 120_000))
    assert refusal(exchange) == (503, "busy")
    assert ask(Exchange(part(b"x" * 60_000)))


def test_a_chunked_body_gets_a_length() -> None:
    ((asked, _),) = ask(Exchange(part(b"{}")), (b"transfer-encoding", b"chunked"))
    assert asked["headers"] == [(b"content-length", b"2")]


def answer(application: Any, exchange: Exchange, method: str = "GET") -> None:
    """Have a WSGI application answer."""
    asyncio.run(ThreadedWSGI(application, 1)(whole(method), exchange.receive, exchange.send))


def whole(method: str = "GET", path: str = "/") -> Any:
    return {**scope(method=method, path=path), "body": BytesIO()}


def test_an_answer_of_several_parts_is_sent_as_a_whole() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found", [("X-One", "1")])
        yield from (b"one ", b"two")

    exchange = Exchange()
    answer(application, exchange)
    assert exchange.sent == [
        {"type": "http.response.start", "status": 404, "headers": [(b"x-one", b"1")]},
        {"type": "http.response.body", "body": b"one two"},
    ]


def test_nothing_is_sent_of_an_answer_that_breaks_off() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"one "
        raise LookupError("two")

    exchange = Exchange()
    with pytest.raises(LookupError, match="two"):
        answer(application, exchange)
    assert not exchange.sent


@pytest.mark.parametrize(("method", "body"), [("GET", b"x" * 200_000), ("HEAD", b"")])
def test_an_answer_that_is_a_file_is_sent_in_parts_and_closed(
    method: str, body: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 200_000)
    file = (tmp_path / "file").open("rb")

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    exchange = Exchange()
    answer(application, exchange, method)
    assert exchange.body == body
    assert all(len(message.get("body", b"")) <= files.PART for message in exchange.sent)
    assert file.closed


def test_files_that_come_from_another_server_do_not_hold_up_those_on_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"on disk")
    answered = threading.Event()

    class Remote:
        def read(self, size: int) -> bytes:
            answered.wait(20)
            return b""

        def close(self) -> None:
            """Nothing is open."""

    async def test() -> bytes:
        exchange, others = Exchange(), Exchange()
        run = partial(waiting.run, {"client": ("192.0.2.1", 1)})
        slow = [asyncio.ensure_future(files.send(Remote(), others.send, run=run)) for _ in range(8)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(5):
                await files.send(FileWrapper((tmp_path / "file").open("rb")), exchange.send)
        finally:
            answered.set()
            await asyncio.gather(*slow)
        return exchange.body

    assert asyncio.run(test()) == b"on disk"


class Peer:
    """A connection whose client takes a number of parts and no more."""

    def __init__(self, parts: int) -> None:
        self.left = parts
        self.taken = b""
        self.calls: list[str] = []
        self.lost = False

    @property
    def writable(self) -> bool:
        return self.left > 0

    def begin(self, headers: Any) -> None:
        self.calls.append("begin")

    def end(self) -> None:
        self.calls.append("end")

    def abort(self) -> None:
        self.calls.append("abort")
        self.lost = True

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.left -= 1
            if self.left < -1:
                await asyncio.Event().wait()
            self.taken += message["body"]


def sent_to(peer: Peer, body: bytes) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": body})

    deadlines = Deadlines(application, timeout=0.2)
    asyncio.run(deadlines({**scope(), "state": {"connection": peer}}, None, peer.send))
    assert files.budget.used == 0


def test_a_large_answer_arrives_whole_whether_it_is_taken_at_once_or_slowly() -> None:
    body = bytes(range(256)) * 2000
    for parts in (100, 3):
        peer = Peer(parts)
        peer.send = _patient(peer)
        sent_to(peer, body)
        assert peer.taken == body
        assert peer.calls == ["begin", "end"]


def _patient(peer: Peer) -> Any:
    async def send(message: Any) -> None:
        peer.left -= 1
        peer.taken += message["body"]

    return send


def test_a_client_that_stops_reading_loses_its_connection() -> None:
    peer = Peer(2)
    sent_to(peer, b"x" * 1_000_000)
    assert peer.calls == ["begin", "abort", "end"]


def test_large_unread_answers_do_not_fill_the_disk(settings: Any) -> None:
    settings.MBS = settings.MBS.model_copy(update={"BODIES_LIMIT": 100_000})
    peer = Peer(2)
    sent_to(peer, b"x" * 1_000_000)
    assert peer.calls == ["begin", "abort", "end"]


def test_reads_do_not_wait_for_submissions_or_logins() -> None:
    finish = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        if environ["REQUEST_METHOD"] == "POST":
            assert finish.wait(10)
        yield environ["PATH_INFO"].encode()

    async def main() -> list[bytes]:
        pages = ThreadedWSGI(application, 1, apart=["/login"])

        async def get(method: str, path: str) -> bytes:
            exchange = Exchange()
            await pages(whole(method, path), exchange.receive, exchange.send)
            return exchange.body

        waiting = [asyncio.create_task(get("POST", path)) for path in ("/submit", "/login", "/login")]
        async with asyncio.timeout(5):
            read = await get("GET", "/list")
        assert not any(task.done() for task in waiting)
        finish.set()
        return [read, *await asyncio.gather(*waiting)]

    assert asyncio.run(main()) == [b"/list", b"/submit", b"/login", b"/login"]


def test_a_submission_does_not_wait_for_logins() -> None:
    finish = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/login":
            assert finish.wait(10)
        yield b""

    async def main() -> None:
        pages = ThreadedWSGI(application, 1, apart=["/login"])

        async def post(path: str) -> None:
            exchange = Exchange()
            await pages(whole("POST", path), exchange.receive, exchange.send)

        guesses = [asyncio.create_task(post("/login")) for _ in range(5)]
        async with asyncio.timeout(5):
            await post("/submit")
        assert not any(guess.done() for guess in guesses)
        finish.set()
        await asyncio.gather(*guesses)

    asyncio.run(main())

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from builds.api.asgi import Pages, WholeAnswers, WholeRequests

LIMIT = 100


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
    """What the application behind WholeRequests is asked: scope and body."""
    asked = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        asked.append((scope, (await receive())["body"]))

    asyncio.run(WholeRequests(application, LIMIT)(scope(*headers, **values), exchange.receive, exchange.send))
    return asked


def test_a_body_is_handed_on_when_all_of_it_has_come() -> None:
    ((_, body),) = ask(Exchange(part(b"one ", more=True), part(b"two")))
    assert body == b"one two"


def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    exchange = Exchange(part(b"x"))
    assert not ask(exchange, (b"content-length", b"101"))
    assert exchange.sent[0]["status"] == 413
    assert json.loads(exchange.body)["code"] == "body_too_large"
    assert exchange.parts


def test_a_body_that_becomes_too_large_is_not_read_to_its_end() -> None:
    exchange = Exchange(part(b"x" * 60, more=True), part(b"x" * 60, more=True), part(b"never read"))
    assert not ask(exchange)
    assert exchange.sent[0]["status"] == 413
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


def answer(application: Any, exchange: Exchange) -> None:
    """Have a WSGI application answer."""
    asyncio.run(WholeAnswers(application, workers=1)(scope(method="GET"), exchange.receive, exchange.send))


def test_an_answer_of_several_parts_is_sent_as_a_whole() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found", [("X-One", "1")])
        yield from (b"one ", b"two")

    exchange = Exchange(part(b""))
    answer(application, exchange)
    assert exchange.sent == [
        {"type": "http.response.start", "status": 404, "headers": [(b"x-one", b"1")]},
        {"type": "http.response.body", "body": b"one two"},
    ]


def test_of_an_answer_that_breaks_off_nothing_is_sent() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"one "
        raise LookupError("two")

    exchange = Exchange(part(b""))
    with pytest.raises(LookupError, match="two"):
        answer(application, exchange)
    assert not exchange.sent


def test_nobody_who_reads_waits_for_a_submission_or_a_slow_download() -> None:
    finish = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        if environ["REQUEST_METHOD"] == "POST" or environ["PATH_INFO"].startswith("/files/"):
            assert finish.wait(10)
        yield environ["PATH_INFO"].encode()

    async def main() -> list[bytes]:
        pages = Pages(application, 1, files=("/files/",))

        async def get(method: str, path: str) -> bytes:
            exchange = Exchange(part(b""))
            await pages(scope(method=method, path=path), exchange.receive, exchange.send)
            return exchange.body

        waiting = [asyncio.create_task(get("POST", "/submit")), asyncio.create_task(get("GET", "/files/log"))]
        async with asyncio.timeout(5):
            read = await get("GET", "/list")
        assert not any(task.done() for task in waiting)
        finish.set()
        return [read, *await asyncio.gather(*waiting)]

    assert asyncio.run(main()) == [b"/list", b"/submit", b"/files/log"]

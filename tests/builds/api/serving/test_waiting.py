"""Requests that may wait for the build system, and the turns of their clients."""

from __future__ import annotations

import asyncio
import threading
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from builds.api.serving import waiting
from builds.api.serving.deadlines import Gone
from builds.api.serving.wsgi import ThreadedWSGI
from mbs.errors import TooManyRequests, Unavailable

ADA, EVE = {"client": ("192.0.2.1", 1)}, {"client": ("192.0.2.2", 1)}


async def busy(scope: dict[str, Any], number: int, ended: threading.Event) -> list[asyncio.Task[Any]]:
    """Begin a number of requests that end with an event."""
    begun = [asyncio.ensure_future(waiting.answer(scope, ended.wait, 60)) for _ in range(number)]
    await asyncio.sleep(0)
    return begun


def test_a_client_with_many_requests_leaves_threads_to_others() -> None:
    async def test() -> None:
        ended = threading.Event()
        begun = await busy(EVE, 20, ended)
        try:
            async with asyncio.timeout(30):
                assert await waiting.answer(ADA, lambda: "answer") == "answer"
            assert not any(each.done() for each in begun)
        finally:
            ended.set()
            await asyncio.gather(*begun)

    asyncio.run(test())


def test_a_client_with_too_many_requests_is_refused_until_they_are_answered() -> None:
    async def test() -> None:
        ended = threading.Event()
        begun = await busy(EVE, 20, ended)
        try:
            assert isinstance(waiting.refusal(EVE), TooManyRequests)
            assert waiting.refusal(ADA) is None
        finally:
            ended.set()
            await asyncio.gather(*begun)
        assert waiting.refusal(EVE) is None

    asyncio.run(test())


def test_a_request_whose_client_disconnects_while_it_waits_is_not_run() -> None:
    async def test() -> None:
        ended, ran, connection = threading.Event(), list[bool](), SimpleNamespace(lost=False)
        begun = await busy(EVE, 5, ended)
        scope = {**EVE, "state": {"connection": connection}}
        waits = asyncio.ensure_future(waiting.answer(scope, ran.append, True))
        try:
            await asyncio.sleep(0)
            connection.lost = True
        finally:
            ended.set()
            await asyncio.gather(*begun)
        with pytest.raises(Gone):
            await waits
        assert not ran

    asyncio.run(test())


@pytest.mark.parametrize(("accept", "kind"), [("text/html", "text/html"), ("*/*", "application/json")])
def test_a_refusal_is_answered_like_other_errors(client: Client, accept: str, kind: str) -> None:
    refusal = TooManyRequests("This address has too many.", retry_after=7, hint="Wait.")
    headers = {"accept": accept, "x-request-id": "number-7"}
    answer = client.get("/builds/1/bash/log", headers=headers, **{waiting.REFUSAL: refusal})
    assert answer.status_code == 429
    assert answer["Content-Type"].startswith(kind)
    assert answer["Retry-After"] == "7"
    assert answer["X-Request-ID"] == "number-7"
    assert "This address has too many." in answer.content.decode()


def test_a_refusal_for_all_clients_says_when_to_try_again(client: Client) -> None:
    refusal = Unavailable("Too many requests wait.", code="busy")
    answer = client.get("/builds/1/bash/log", **{waiting.REFUSAL: refusal})
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")


def test_a_refused_request_does_not_wait() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("429 Too Many Requests", [])
        return [str(environ[waiting.REFUSAL]).encode()]

    async def send(message: Any) -> None:
        sent.append(message)

    async def test() -> None:
        ended = threading.Event()
        begun = await busy(EVE, 20, ended)
        scope = {"type": "http", "method": "GET", "path": "/builds/1/bash/log", "query_string": b""}
        scope |= {"http_version": "1.1", "headers": [], "body": BytesIO(), **EVE}
        try:
            async with asyncio.timeout(30):
                await ThreadedWSGI(application, 1)(scope, send, send)
        finally:
            ended.set()
            await asyncio.gather(*begun)

    sent: list[Any] = []
    asyncio.run(test())
    assert b"too many requests that wait" in sent[1]["body"]


@pytest.mark.parametrize(
    ("path", "query", "waits"),
    [
        ("/builds/1/bash/log", b"", True),
        ("/builds/1/bash/log/", b"q=error", True),
        ("/builds/1/bash/log/events", b"", True),
        ("/builds/1/bash", b"", False),
        ("/builds/1", b"", False),
        ("/module-build-service/2/final-modulemd/1", b"", True),
        ("/module-build-service/1/final-modulemd/1/", b"", True),
        ("/module-build-service/2/module-builds/", b"", False),
        ("/module-build-service/2/module-builds/", b"name=rpm", False),
        ("/module-build-service/2/module-builds/", b"name=bash&rpm=bash-5-1.x86_64", True),
        ("/module-build-service/2/module-builds/", b"%72%70m=bash-5-1.x86_64", True),
        ("/", b"rpm", True),
        ("/", b"&".join([b"rpm"] * 1001), False),
    ],
)
def test_requests_that_may_wait_are_known_by_their_address(path: str, query: bytes, waits: bool) -> None:
    assert waiting.may_wait({"path": path, "query_string": query}) is waits

"""Requests that may wait for the build system, and the turns of their clients."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from builds.api.serving import waiting
from builds.api.serving.requests import CompleteRequests
from mbs.errors import TooManyRequests

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
            with pytest.raises(TooManyRequests):
                await waiting.answer(EVE, lambda: "answer")
        finally:
            ended.set()
            await asyncio.gather(*begun)
        assert await waiting.answer(EVE, lambda: "answer") == "answer"

    asyncio.run(test())


def test_a_refusal_says_when_to_try_again() -> None:
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise TooManyRequests("Too many.", hint="Wait.")

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [], "query_string": b"", "path": "/"}
    asyncio.run(CompleteRequests(application, 1000)(scope, receive, send))
    assert sent[0]["status"] == 429
    assert (b"retry-after", b"10") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["hint"] == "Wait."


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
    ],
)
def test_requests_that_may_wait_are_known_by_their_address(path: str, query: bytes, waits: bool) -> None:
    assert waiting.may_wait({"path": path, "query_string": query}) is waits

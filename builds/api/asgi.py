"""What stands before the pages under ASGI: only whole requests get to one of the threads that answer them.

Django's own ASGI application would give each request a thread of its own, and with it a connection to the
database, which takes longer to make than most answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import copy_context
from typing import Any
from urllib.parse import quote_from_bytes

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi import Body, WSGIResponder, build_environ

from builds.api import errors
from builds.api.authentication import SAFE
from builds.encoding import encode

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_PRINTABLE = bytes(range(0x21, 0x7F)).decode()


class WholeAnswers(WSGIMiddleware):
    """Serves a WSGI application whose answers are sent when they are there as a whole.

    Thread and event loop would else wait for each other at each part of an answer.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await _WholeAnswer(self.app, self.executor, self.send_queue_size)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _WholeAnswer(WSGIResponder):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.messages: list[Any] = []
        environ = build_environ(scope, Body(self.loop, receive))
        await self.loop.run_in_executor(
            self.executor, copy_context().run, self.wsgi, environ, self.start_response
        )
        start, *parts = self.messages
        await send(start)
        await send({"type": "http.response.body", "body": b"".join(part["body"] for part in parts)})

    def send(self, message: Any) -> None:
        self.messages.append(message)


class Pages:
    """A WSGI application, served by threads that stay.

    What may wait for others has threads of its own, so that nobody who reads waits with it: a submission for
    a git server, a file for whoever loads it slowly.

    :param threads: how many there are of each kind.
    :param files: how the paths of files begin.
    """

    def __init__(self, application: Any, threads: int, files: tuple[str, ...]) -> None:
        self.files = files
        self.reading, self.changing = (WholeAnswers(application, workers=threads) for _ in range(2))
        self.loading = WSGIMiddleware(application, workers=threads)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._threads(scope)(scope, receive, send)

    def _threads(self, scope: Any) -> WSGIMiddleware:
        if scope["type"] != "http":
            return self.reading
        if scope["method"] not in SAFE:
            return self.changing
        return self.loading if scope["path"].startswith(self.files) else self.reading


class WholeRequests:
    """Hands a request on when all of its body has come, so that no slow sender keeps a thread.

    A body over ``limit`` bytes is answered with 413, one that breaks off with nothing. Headers with an
    underscore are left out: beside those with a hyphen they could not be told apart (RFC 3875, 4.1.18).
    """

    def __init__(self, application: Application, limit: int) -> None:
        self.application = application
        self.limit = limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
        query = quote_from_bytes(scope["query_string"], safe=_PRINTABLE).encode()
        if _announced(headers) > self.limit:
            return await _refuse(send)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self.limit:
                return await _refuse(send)
            more = message.get("more_body", False)

        async def whole() -> Message:
            return {"type": "http.request", "body": bytes(body)}

        return await self.application({**scope, "headers": headers, "query_string": query}, whole, send)


def _announced(headers: list[tuple[bytes, bytes]]) -> int:
    text = dict(headers).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


async def _refuse(send: Send) -> None:
    body = encode(errors.body(errors.body_too_large(), 413))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""The bound on bodies where Django comes too late: under ASGI it reads a body before any view is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from builds.api import errors

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class BodyLimit:
    """An ASGI application that answers 413 to whoever announces a body over ``limit`` bytes.

    A body without a length is refused by the views (``builds.api.views.base``).
    """

    def __init__(self, application: Application, limit: int) -> None:
        self.application = application
        self.limit = limit

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _announced(scope["headers"]) > self.limit:
            await _refuse(send)
        else:
            await self.application(scope, receive, send)


def _announced(headers: Any) -> int:
    text = dict(headers).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


async def _refuse(send: Send) -> None:
    body = orjson.dumps(errors.body(errors.body_too_large(), 413))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})

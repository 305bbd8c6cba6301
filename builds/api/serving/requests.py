"""Receive complete request bodies before the application runs, so that a slow client holds no thread."""

from __future__ import annotations

import asyncio
from io import SEEK_END, BytesIO
from typing import Any
from urllib.parse import quote_from_bytes

from builds.api import errors
from builds.api.serving import files
from builds.api.serving.connection import content_length
from builds.api.serving.types import Application, Receive, Scope, Send
from mbs.errors import MBSError, Unavailable

_PRINTABLE = bytes(range(0x21, 0x7F)).decode()


class _RequestRefused(Exception):
    """The request is refused.

    Attributes:
        error: The error that the client gets; None if it has disconnected.
    """

    def __init__(self, error: MBSError | None) -> None:
        super().__init__(error)
        self.error = error


class CompleteRequests:
    """Give an application complete requests, with the body as a file in the scope under ``body``.

    If a body is refused, because it has more than ``limit`` bytes, does not arrive in time or does not find
    space, the application gets the request without the body, and the error in the scope under ``refusal``.
    Headers with an underscore are removed, since WSGI cannot distinguish them from those with a hyphen (RFC
    3875, 4.1.18).

    Args:
        timeout: Seconds in which a client must send the whole body.
    """

    def __init__(self, application: Application, limit: int, timeout: float = 60.0) -> None:
        self.application = application
        self.limit = limit
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the body, then run the application."""
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        body = _Body()
        try:
            await self._read(scope, body, receive)
            await self.application(_whole(scope, body), receive, send)
        except _RequestRefused as refusal:
            if refusal.error:
                refused = {**_whole(scope, _Body()), "refusal": refusal.error}
                await self.application(refused, receive, send)
        finally:
            await body.close()

    async def _read(self, scope: Scope, body: _Body, receive: Receive) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                await self._parts(scope, body, receive)
        except TimeoutError:
            raise _RequestRefused(_too_slow()) from None

    async def _parts(self, scope: Scope, body: _Body, receive: Receive) -> None:
        if content_length(scope["headers"]) > self.limit:
            raise _RequestRefused(errors.body_too_large())
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _RequestRefused(None)
            part = message.get("body", b"")
            if body.size + len(part) > self.limit:
                raise _RequestRefused(errors.body_too_large())
            if part and not await body.add(part):
                raise _RequestRefused(_busy())
            more = message.get("more_body", False)
            # Free the memory of this part while waiting for the next one.
            del message, part
        body.file.seek(0)


class _Body:
    """The body of a request: in memory while it is small, otherwise on disk."""

    def __init__(self) -> None:
        self.file: Any = BytesIO()
        self.size = 0
        self._reserved = 0

    async def add(self, part: bytes) -> bool:
        """Add a part, and return False if the bodies of all requests take too much space."""
        self.size += len(part)
        if self.size <= files.PART:
            self.file.write(part)
            return True
        missing = self.size - self._reserved
        if not files.budget.take(missing):
            return False
        if not self._reserved:
            self.file = await files.on_disk(self.file.getvalue())
            await files.in_thread(self.file.seek, 0, SEEK_END)
        self._reserved += missing
        await files.in_thread(self.file.write, part)
        return True

    async def close(self) -> None:
        """Delete the body."""
        files.budget.give_back(self._reserved)
        if self._reserved:
            await files.in_thread(self.file.close)


def _whole(scope: Scope, body: _Body) -> Scope:
    """Return the scope of a request with a complete body of known length."""
    left_out = (b"transfer-encoding", b"content-length")
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name and name not in left_out]
    if body.size or any(name in left_out for name, _ in scope["headers"]):
        headers.append((b"content-length", str(body.size).encode()))
    query = quote_from_bytes(scope["query_string"], safe=_PRINTABLE).encode()
    return {**scope, "headers": headers, "query_string": query, "body": body.file}


def _too_slow() -> MBSError:
    return errors.RequestTimeout(
        "The body of the request did not arrive in time.",
        hint="Send the request again, over a faster connection.",
    )


def _busy() -> MBSError:
    return Unavailable(
        "The service is receiving too many large requests.", code="busy", hint="Try again in a minute."
    )

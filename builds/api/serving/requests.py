"""Requests with bodies: handed on when the whole body has arrived, so that no slow client holds a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from io import SEEK_END, BytesIO
from typing import Any
from urllib.parse import quote_from_bytes

from builds.api import errors
from builds.api.serving import files
from builds.api.serving.types import Application, Receive, Scope, Send
from builds.encoding import encode
from mbs.errors import MBSError, Unavailable

_PRINTABLE = bytes(range(0x21, 0x7F)).decode()


class _Refused(Exception):
    """The body is not taken.

    Args:
        error: What the client is answered; None: it has gone.
    """

    def __init__(self, error: MBSError | None, status: int = 0) -> None:
        super().__init__(status)
        self.error = error
        self.status = status


class WholeRequests:
    """Gives an application whole requests: a file with the body is in the scope under ``body``.

    A body over ``limit`` bytes is answered with 413, one that is not there in time with 408, and one that
    breaks off with nothing. Headers with an underscore are left out: they could not be told apart from those
    with a hyphen (RFC 3875, 4.1.18).

    Args:
        patience: Seconds that a client has for a whole body.
    """

    def __init__(self, application: Application, limit: int, patience: float = 60.0) -> None:
        self.application = application
        self.limit = limit
        self.patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        body = _Body()
        try:
            await self._read(scope, body, receive)
            await self.application(_whole(scope, body), receive, send)
        except _Refused as refusal:
            if refusal.error:
                await _refuse(send, refusal.error, refusal.status)
        finally:
            await body.close()

    async def _read(self, scope: Scope, body: _Body, receive: Receive) -> None:
        try:
            async with asyncio.timeout(self.patience):
                await self._parts(scope, body, receive)
        except TimeoutError:
            raise _Refused(_too_slow(), 408) from None

    async def _parts(self, scope: Scope, body: _Body, receive: Receive) -> None:
        if _announced(scope["headers"]) > self.limit:
            raise _Refused(errors.body_too_large(), 413)
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refused(None)
            part = message.get("body", b"")
            if body.size + len(part) > self.limit:
                raise _Refused(errors.body_too_large(), 413)
            if part and not await body.add(part):
                raise _Refused(_busy(), 503)
            more = message.get("more_body", False)
            # A part may be as large as a packet, and the next may be long in coming.
            del message, part
        body.file.seek(0)


class _Body:
    """The body of a request while it arrives: in memory while it is small, then on disk."""

    def __init__(self) -> None:
        self.file: Any = BytesIO()
        self.size = 0
        self._reserved = 0

    async def add(self, part: bytes) -> bool:
        """Keep a part; False: the bodies of all requests together take too much room."""
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
        """Forget the body."""
        files.budget.give_back(self._reserved)
        if self._reserved:
            await files.in_thread(self.file.close)


def _whole(scope: Scope, body: _Body) -> Scope:
    """The scope of a request whose body is there, in one piece and of known length."""
    left_out = (b"transfer-encoding", b"content-length")
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name and name not in left_out]
    if body.size or any(name in left_out for name, _ in scope["headers"]):
        headers.append((b"content-length", str(body.size).encode()))
    query = quote_from_bytes(scope["query_string"], safe=_PRINTABLE).encode()
    return {**scope, "headers": headers, "query_string": query, "body": body.file}


def _announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    text = dict(headers).get(b"content-length", b"0")
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _too_slow() -> MBSError:
    return MBSError(
        "The body of the request did not arrive in time.",
        code="request_timeout",
        hint="Send it again, over a faster connection or in smaller parts.",
    )


def _busy() -> MBSError:
    return Unavailable(
        "The service receives too many large bodies at the moment.", code="busy", hint="Try again in a while."
    )


async def _refuse(send: Send, error: MBSError, status: int) -> None:
    body = encode(errors.body(error, status))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"10"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

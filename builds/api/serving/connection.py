"""A connection with a deadline and bounds, in front of the web server's own protocol.

uvicorn waits for ever for the end of a request's head, httptools takes heads of any size and parses all
requests of a packet at once. This gate holds bytes back until the protocol behind it may have them: a head
when it is whole, a body as far as the head announces it, and the next request when the answer has ended. It
parses nothing else, and the bytes reach the protocol unchanged and in order.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: bytes of a request line with all headers
HEAD_LIMIT = 32 * 1024
#: bytes that are kept of requests which a client sends before it has the answer to an earlier one
AHEAD_LIMIT = 64 * 1024
#: bytes of a chunked body that are parsed at once: what follows its end may be thousands of requests
CHUNK = 1024
#: connections of a process; above, one that waits for a request is closed for each that is made
MOST = 5000
_AT_ONCE = struct.pack("ii", 1, 0)
_END = b"\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

Headers = Iterable[tuple[bytes, bytes]]


class _State(Enum):
    HEAD = auto()
    #: the head is with the protocol, and the application has not begun
    STARTING = auto()
    BODY = auto()
    ANSWER = auto()


#: Bytes pass through it from a socket to its connection: the loop would read 256 KiB into memory of its own.
_buffer = bytearray(64 * 1024)


class Connection(asyncio.BufferedProtocol):
    """The protocol that uvicorn makes for each connection (its setting ``http``).

    The application finds it in its scope under ``state`` and says when a request begins and ends.
    """

    #: connections that wait for a request, the longest waiting first
    waiting: dict[Connection, None] = {}
    count = 0

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.patience = float(settings.MBS.CLIENT_TIMEOUT)
        self.writable = True
        self.lost = False
        self._loop = _loop or asyncio.get_event_loop()
        self._protocol = HttpToolsProtocol(
            config=config,
            server_state=server_state,
            app_state={**app_state, "connection": self},
            _loop=_loop,
        )
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._state = _State.HEAD
        self._held = bytearray()
        #: bytes of the body that are still to come; None: it is chunked
        self._expected: int | None = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        Connection.count += 1
        if Connection.count > MOST and Connection.waiting:
            next(iter(Connection.waiting)).abort()
        self._wait_for_request()
        self._protocol.connection_made(transport)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        Connection.count -= 1
        self._stop_waiting()
        self._held.clear()
        self._protocol.connection_lost(exc)
        # Each refers to the other: without this the memory would wait for the garbage collector.
        self._protocol = None  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> bytearray:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        with memoryview(_buffer) as buffer:
            self._held += buffer[:nbytes]
        self._pass_on()

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        self.writable = False
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self.writable = True
        self._protocol.resume_writing()

    def begin(self, headers: Headers) -> None:
        """Note that the application has got a request; its body may follow."""
        if self.lost:
            return
        self._stop_waiting()
        fields = dict(headers)
        length = fields.get(b"content-length", b"0")
        self._expected = int(length) if length.isdigit() and len(length) < 19 else 0
        if b"transfer-encoding" in fields:
            self._expected = None
        self._state = _State.ANSWER if self._expected == 0 else _State.BODY
        self._pass_on()

    def body_ended(self) -> None:
        """Note that the application has received the whole body."""
        if self._state is _State.BODY:
            self._state = _State.ANSWER

    def end(self) -> None:
        """Note that the answer has been sent. What the application left of the body is thrown away."""
        if self.lost:
            return
        if self._state is not _State.BODY:
            self._state = _State.HEAD
        self._wait_for_request()
        self._pass_on()

    def abort(self) -> None:
        """Close the connection without sending what is left."""
        if self.lost:
            return
        # The kernel would keep megabytes that the client does not read for many minutes more.
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()

    def _wait_for_request(self) -> None:
        Connection.waiting[self] = None
        self._timer = self._loop.call_later(self.patience, self.abort)

    def _stop_waiting(self) -> None:
        Connection.waiting.pop(self, None)
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _pass_on(self) -> None:
        while self._held and not self.lost and not self._transport.is_closing():
            size = self._allowed()
            if not size:
                return
            with memoryview(self._held) as held:
                part = bytes(held[:size])
            del self._held[:size]
            self._protocol.data_received(part)

    def _allowed(self) -> int:
        """How many of the held bytes the protocol may have now."""
        if self._state is _State.HEAD:
            return self._head()
        if self._state is _State.BODY:
            return self._body()
        if len(self._held) > AHEAD_LIMIT and self._state is _State.ANSWER:
            self.abort()
        return 0

    def _head(self) -> int:
        end = self._held.find(_END, 0, HEAD_LIMIT)
        if end >= 0:
            self._state = _State.STARTING
            return end + len(_END)
        if len(self._held) >= HEAD_LIMIT:
            self._held.clear()
            self._transport.write(_TOO_LONG)
            self._transport.close()
        return 0

    def _body(self) -> int:
        if self._expected is None:
            return min(CHUNK, len(self._held))
        size = min(self._expected, len(self._held))
        self._expected -= size
        if not self._expected:
            self._state = _State.ANSWER if self._timer is None else _State.HEAD
        return size

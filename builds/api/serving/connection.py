"""Limit the time and the size of requests on a connection, before uvicorn's protocol parses them.

uvicorn waits without limit for the end of a request's headers, and httptools accepts headers of any size and
parses all requests of a packet at once. ``Connection`` holds bytes back until the protocol may have them: the
headers when they are complete, a body up to its announced length or the end of its last chunk, and the next
request when the answer has ended. It passes the bytes on unchanged and in order.
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

#: Max bytes of the request line and all headers. Also max bytes that a chunked body may have without content
#: in between: sizes and extensions of chunks, and trailers. The time that httptools needs for a header or
#: trailer that arrives in many parts grows with the square of its length.
HEAD_LIMIT = 32 * 1024
#: Bytes of pipelined requests that are kept until the answer before them has ended.
AHEAD_LIMIT = 64 * 1024
#: Bytes of a chunked body that are parsed at once.
CHUNK = 1024
#: Connections per process. Above this number, each new one closes the one that has been idle longest.
MAX_CONNECTIONS = 5000
#: ``struct linger``: on, 0 seconds.
_NO_LINGER = struct.pack("ii", 1, 0)
_END = b"\r\n\r\n"
_HEADERS_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)

Headers = Iterable[tuple[bytes, bytes]]


def content_length(headers: Headers) -> int:
    """Return the length that a request announces for its body; 0 if it announces none.

    httptools has checked the value. It keeps white space after it (RFC 9110, 5.5) and leading zeros.
    """
    digits = dict(headers).get(b"content-length", b"").strip().lstrip(b"0")[:20]
    return int(digits) if digits.isdigit() else 0


class _State(Enum):
    HEAD = auto()
    #: The protocol has the headers, and the application has not started.
    STARTING = auto()
    BODY = auto()
    ANSWER = auto()


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which reports the content and the end of a body to the connection."""

    connection: Connection

    def on_body(self, body: bytes) -> None:
        """Take content of a body from the parser."""
        self.connection.content_received()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request from the parser."""
        super().on_message_complete()
        self.connection.message_ended()


#: One buffer for all reads. Without it, the event loop would allocate 256 KiB for each.
_buffer = bytearray(64 * 1024)


class Connection(asyncio.BufferedProtocol):
    """The protocol that uvicorn creates for each connection (its setting ``http``).

    The application finds it in its scope under ``state``, and reports when a request begins and ends.
    """

    #: Idle connections, the longest idle first.
    waiting: dict[Connection, None] = {}
    count = 0

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.timeout = float(settings.MBS.CLIENT_TIMEOUT)
        self.writable = True
        self.lost = False
        self._loop = _loop or asyncio.get_event_loop()
        self._protocol = _Protocol(
            config=config,
            server_state=server_state,
            app_state={**app_state, "connection": self},
            _loop=_loop,
        )
        self._protocol.connection = self
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._state = _State.HEAD
        self._held = bytearray()
        #: Remaining bytes of the body; None if it is chunked.
        self._expected: int | None = 0
        #: Bytes of a chunked body since its last content.
        self._without_content = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a request."""
        self._transport = transport
        Connection.count += 1
        if Connection.count > MAX_CONNECTIONS and Connection.waiting:
            next(iter(Connection.waiting)).abort()
        self._wait_for_request()
        self._protocol.connection_made(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything that belongs to the connection."""
        self.lost = True
        Connection.count -= 1
        self._stop_waiting()
        self._held.clear()
        self._protocol.connection_lost(exc)
        # Break the reference cycle, so that the memory is freed without the garbage collector.
        self._protocol = None  # type: ignore[assignment]  # not used any more

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return the buffer that the event loop reads into."""
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that were read."""
        with memoryview(_buffer) as buffer:
            self._held += buffer[:nbytes]
        self._pass_on()

    def eof_received(self) -> None:
        """Report the end of input to uvicorn's protocol."""
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Note that the client does not keep up with the answer."""
        self.writable = False
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Note that the client keeps up again."""
        self.writable = True
        self._protocol.resume_writing()

    def begin(self, headers: Headers) -> None:
        """Note that the application has received a request, whose body may follow."""
        if self.lost:
            return
        self._stop_waiting()
        self._expected = content_length(headers)
        if b"transfer-encoding" in dict(headers):
            self._expected, self._without_content = None, 0
        self._state = _State.ANSWER if self._expected == 0 else _State.BODY
        self._pass_on()

    def content_received(self) -> None:
        """Note that the protocol has received content of a body."""
        self._without_content = 0

    def message_ended(self) -> None:
        """Note that the protocol has received a whole request: hold back the bytes after a chunked body."""
        if self._state is _State.BODY and self._expected is None:
            self._state = self._after_body()

    def body_ended(self) -> None:
        """Note that the application has received the whole body."""
        if self._state is _State.BODY:
            self._state = _State.ANSWER

    def end(self) -> None:
        """Note that the answer was sent. The unread rest of the body is discarded."""
        if self.lost:
            return
        if self._state is not _State.BODY:
            self._state = _State.HEAD
        self._wait_for_request()
        self._pass_on()

    def abort(self) -> None:
        """Close the connection, and discard unsent bytes."""
        if self.lost:
            return
        # Otherwise the kernel keeps megabytes for minutes for a client that does not read them.
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def _wait_for_request(self) -> None:
        Connection.waiting[self] = None
        self._timer = self._loop.call_later(self.timeout, self.abort)

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
        """Return how many of the held bytes the protocol may have now."""
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
            self._refuse_headers()
        return 0

    def _refuse_headers(self) -> None:
        self._held.clear()
        self._transport.write(_HEADERS_TOO_LARGE)
        self._transport.close()

    def _body(self) -> int:
        if self._expected is None:
            return self._chunk()
        size = min(self._expected, len(self._held))
        self._expected -= size
        if not self._expected:
            self._state = self._after_body()
        return size

    def _chunk(self) -> int:
        if self._without_content > HEAD_LIMIT:
            self._refuse_headers()
            return 0
        # The end of a body is an empty line: nothing after it is parsed together with it.
        end = self._held.find(_END, 0, CHUNK)
        size = min(CHUNK, len(self._held)) if end < 0 else end + len(_END)
        self._without_content += size
        return size

    def _after_body(self) -> _State:
        return _State.ANSWER if self._timer is None else _State.HEAD

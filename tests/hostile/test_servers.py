"""Servers that send clients answers without end, too slowly, or of another shape."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mbs.client import answers, importing, provider
from mbs.client.event_stream import parse
from mbs.client.local import downloads
from mbs.client.logins import Provider
from mbs.client.logs import Reader
from mbs.client.rest import Client, UnexpectedAnswer, Unreachable
from mbs.errors import MBSError, TooLarge, Unavailable

#: Bytes that a client reads at most, and seconds that it waits at most for an answer.
LIMIT, SECONDS = 1 << 20, 0.5
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


class Hostile:
    """A server that answers each connection with bytes of its own.

    Attributes:
        start: The bytes that it sends first.
        more: The bytes that it sends after that, again and again; empty: none.
        pause: Seconds before each of them.
        sent: How many bytes it has sent.
    """

    def __init__(self) -> None:
        self.start, self.more, self.pause, self.sent = JSON, b"", 0.0, 0
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(self.start)
            while self.more and not self._over.wait(self.pause):
                connection.sendall(self.more)
                self.sent += len(self.more)

    def close(self) -> None:
        """Stop it."""
        self._over.set()
        self._socket.close()


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    """A server, for clients with small bounds."""
    for module, name, value in (
        (answers, "MAX_ANSWER", LIMIT),
        (answers, "MIN_RATE", 1e6),
        (provider, "TIMEOUT", SECONDS),
        (importing, "TIMEOUT", SECONDS),
    ):
        monkeypatch.setattr(module, name, value)
    server = Hostile()
    yield server
    server.close()


def client(server: Hostile) -> Client:
    return Client(server.url, timeout=SECONDS)


#: Each kind of answer that a client reads.
KINDS: dict[str, Callable[[Hostile], object]] = {
    "object": lambda server: client(server).about(),
    "list": lambda server: list(client(server).builds({}, limit=10)),
    "page": lambda server: client(server).log_info(1, "lib"),
    "log": lambda server: list(client(server).log(1, "lib", "build.log", 0, 1000)),
    "provider": lambda server: provider.begin(Provider(server.url, "mbs"), "http://127.0.0.1"),
    "import": lambda server: importing.fetch(server.url),
}
kinds = pytest.mark.parametrize("read", KINDS.values(), ids=KINDS)


@kinds
@pytest.mark.parametrize("status", [b"200 OK", b"500 Trouble"])
def test_answers_without_end_are_left(
    hostile: Hostile, read: Callable[[Hostile], object], status: bytes
) -> None:
    hostile.start, hostile.more = JSON.replace(b"200 OK", status), b"[" * 65536
    with pytest.raises(MBSError) as caught:
        read(hostile)
    assert isinstance(caught.value, UnexpectedAnswer | Unreachable | TooLarge | Unavailable)
    assert hostile.sent < 64 << 20


@kinds
@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", JSON], ids=["header", "body"])
def test_answers_of_single_bytes_are_left(
    hostile: Hostile, read: Callable[[Hostile], object], start: bytes
) -> None:
    hostile.start, hostile.more, hostile.pause = start, b" ", 0.02
    with pytest.raises((Unreachable, Unavailable)):
        read(hostile)
    assert hostile.sent < 1000


@kinds
def test_compressed_answers_are_left(hostile: Hostile, read: Callable[[Hostile], object]) -> None:
    hostile.start = JSON.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    hostile.more = gzip.compress(b" " * (1 << 20))
    with pytest.raises((UnexpectedAnswer, TooLarge)):
        read(hostile)


def test_pages_without_rows_and_without_end_are_left(hostile: Hostile) -> None:
    body = b'{"items": [], "meta": {"next": "?page=2"}}'
    hostile.start = JSON.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
    with pytest.raises(UnexpectedAnswer):
        list(client(hostile).tokens())


@pytest.mark.parametrize("size", [b'"1"', b"-1", b"1e99", b"1" + b"0" * 40, b"[1]"])
def test_wrong_sizes_of_logs_are_refused(hostile: Hostile, size: bytes) -> None:
    body = b'{"name": "build.log", "size": %s}' % size
    hostile.start = JSON.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
    with pytest.raises(UnexpectedAnswer):
        list(Reader(client(hostile), 1, "lib").news())


def test_an_event_without_end_is_left(hostile: Hostile) -> None:
    hostile.start = JSON.replace(b"application/json", b"text/event-stream") + b"data: "
    hostile.more = b"x" * 65536
    with pytest.raises(UnexpectedAnswer):
        list(parse(client(hostile).events({}, "", silence=SECONDS)))


def test_a_stream_of_events_that_does_not_begin_is_left(hostile: Hostile) -> None:
    hostile.start, hostile.more, hostile.pause = b"HTTP/1.1 200 OK\r\nX: ", b" ", 0.02
    with pytest.raises(Unreachable):
        list(parse(client(hostile).events({}, "", silence=60)))


def test_a_download_whose_header_does_not_end_is_left(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_SECONDS", SECONDS)
    hostile.start, hostile.more, hostile.pause = b"HTTP/1.1 200 OK\r\nX: ", b" ", 0.02
    with pytest.raises(Unavailable):
        downloads.Downloads(hostile.url).save(hostile.url, tmp_path / "file", limit=100)
    assert not list(tmp_path.iterdir())

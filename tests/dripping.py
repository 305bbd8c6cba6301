"""A server that answers one byte at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: Seconds between two bytes, and number of bytes.
_PAUSE, _BYTES = 0.05, 400
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"


@dataclass
class Dripping:
    """The server.

    Attributes:
        url: Its address.
        patient: Whether a client has waited for all bytes.
        start: Bytes that are sent at once.
    """

    url: str
    start: bytes
    patient: bool = False
    _stopped: threading.Event = field(default_factory=threading.Event)

    def serve(self, service: socket.socket) -> None:
        """Answer one client after the other, until the server is stopped."""
        while not self._stopped.is_set():
            try:
                client, _ = service.accept()
                with client:
                    self._answer(client)
            except OSError:
                continue

    def _answer(self, client: socket.socket) -> None:
        client.recv(1 << 16)
        client.sendall(self.start)
        for _ in range(_BYTES):
            if self._stopped.wait(_PAUSE):
                return
            client.sendall(b"x")
        self.patient = True

    def stop(self, service: socket.socket) -> None:
        """Stop the server."""
        self._stopped.set()
        service.shutdown(socket.SHUT_RDWR)


@contextmanager
def dripping(part: str) -> Iterator[Dripping]:
    """Run a server.

    Args:
        part: The part of its answers that comes one byte at a time: ``head`` or ``body``.
    """
    with socket.create_server(("127.0.0.1", 0)) as service:
        start = _HEAD + (b"X: " if part == "head" else b"\r\n")
        server = Dripping(f"http://127.0.0.1:{service.getsockname()[1]}", start)
        thread = threading.Thread(target=server.serve, args=(service,))
        thread.start()
        try:
            yield server
        finally:
            server.stop(service)
            thread.join()

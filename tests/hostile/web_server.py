"""A real web server with one worker, and connections to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.processes import ROOT, free_port, wait_for

LIVE = "/health/live"
_MANAGE = (sys.executable, "manage.py")


@dataclass
class Web:
    """A web server with one worker."""

    port: int
    process: subprocess.Popen[bytes]

    def get(self, path: str, *headers: str) -> bytes:
        """A GET request."""
        return "\r\n".join((f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", "")).encode()

    @contextmanager
    def connection(self, data: bytes = b"", receive_buffer: int = 0) -> Iterator[socket.socket]:
        """A connection on which this was sent, as far as the server takes it."""
        with socket.socket() as connection:
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", self.port))
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            yield connection

    def answer(self, data: bytes) -> bytes:
        """All that is answered to this until the server closes the connection."""
        with self.connection(data) as connection:
            return read_all(connection)

    def is_well(self) -> bool:
        """Whether an honest request is answered."""
        answer = self.answer(self.get(LIVE, "Connection: close"))
        return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b'{"status": "ok"}')

    @property
    def memory(self) -> float:
        """MiB."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = bytearray()
    try:
        while part := connection.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return bytes(found)


@contextmanager
def serving(folder: Path, prepare: str = "", **options: str) -> Iterator[Web]:
    """Start a web server, and stop it at the end.

    Args:
        folder: Its data, and its log.
        prepare: Python code to run in Django's shell before it starts.
        options: Options of the service, in upper case.
    """
    port = free_port()
    defaults = {
        "CONFIG_FILE": "",
        "CONFIG_SECTION": "standalone",
        "SYSTEM": "simulated",
        "DATA_DIR": str(folder),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "WEB_THREADS": "2",
    }
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MBS_")},
        "DJANGO_SETTINGS_MODULE": "config.settings",
        **{f"MBS_{name}": value for name, value in (defaults | options).items()},
    }
    subprocess.run([*_MANAGE, "migrate", "-v0"], cwd=ROOT, env=environ, check=True)
    if prepare:
        subprocess.run([*_MANAGE, "shell", "-c", prepare], cwd=ROOT, env=environ, check=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_MANAGE, "web", f"--port={port}"], cwd=ROOT, env=environ, stdout=log, stderr=log
        )
    server = Web(port, process)
    try:
        wait_for(lambda: _answers(server), what="the web server")
        yield server
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM, (folder / "log").read_text()
        assert "Traceback" not in Path(folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def _answers(server: Web) -> bool:
    try:
        return server.is_well()
    except ConnectionRefusedError:
        return False

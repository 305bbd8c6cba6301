"""A proxy for tests, which forwards requests in the name of a Kerberos user."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def front(port: int, remote_user: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Run the proxy; yield its url and the headers of the requests.

    Args:
        port: Port of the service.
        remote_user: Value of ``X-Remote-User``, which replaces that of the client.
    """
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append(
                {"method": self.command, **{key.lower(): value for key, value in self.headers.items()}}
            )
            headers = {key: value for key, value in self.headers.items() if key.lower() != "x-remote-user"}
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.request(
                    self.command, self.path, body or None, {**headers, "X-Remote-User": remote_user}
                )
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = forward  # noqa: N815 - the names are the library's

        def log_message(self, *_: Any) -> None:
            """Do nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

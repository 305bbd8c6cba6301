"""A proxy before a hub that holds requests back: the client gives up, and the hub executes them later."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

#: In a multicall that starts builds.
_BUILD = re.compile(rb"<name>methodName</name>\s*<value><string>build</string>")
#: Seconds until a request that is never let through is dropped.
_AT_MOST = 600


@dataclass
class Delays:
    """Which requests are held back.

    Attributes:
        config: Configuration of a Koji client that uses the proxy.
        profile: Its profile.
        held: Number of requests that start builds and were held back.
    """

    config: Path
    profile: str = "late"
    held: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)
    _open: threading.Event = field(default_factory=threading.Event)

    def let_through(self) -> None:
        """Send what was held back to the hub, and wait until the hub has answered."""
        self._open.set()
        for thread in self._threads:
            thread.join(_AT_MOST)

    def hold(self) -> None:
        """Hold the current request back until it is let through."""
        self.held += 1
        self._threads.append(threading.current_thread())
        self._open.wait(_AT_MOST)


@contextmanager
def delaying(server: str, folder: Path) -> Iterator[Delays]:
    """Run the proxy.

    Args:
        server: URL of the hub.
        folder: Folder for the configuration of the client.
    """
    address = urlsplit(server)
    delays = Delays(folder / "late.conf")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if _BUILD.search(body):
                delays.hold()
            upstream = http.client.HTTPConnection(address.netloc, timeout=_AT_MOST)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            upstream.request("POST", self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            # The client may have gone.
            with suppress(OSError):
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "text/xml"))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            upstream.close()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        url = address._replace(netloc=f"127.0.0.1:{proxy.server_port}").geturl()
        delays.config.write_text(f"[{delays.profile}]\nserver = {url}\nauthtype = password\n")
        yield delays
        delays._open.set()
        proxy.shutdown()

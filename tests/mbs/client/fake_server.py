"""A server that implements docs/contract/rest.md with builds in memory."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

ROOT = "/module-build-service/2/"
#: The last bytes of a log that is complete.
END = b"end\n"
STATES = ["init", "wait", "build", "done", "failed", "ready", "garbage"]


def module_build(number: int, state: str = "init", **more: Any) -> dict[str, Any]:
    """Return a module build in its default form."""
    return {
        "id": number,
        "name": "quiet",
        "stream": "1",
        "version": "20230101000000",
        "context": f"c{number}",
        "state": STATES.index(state),
        "state_name": state,
        "state_reason": None,
        "scratch": False,
        "batch": 0,
        "owner": "ann",
        "time_submitted": "2023-01-01T00:00:00Z",
        "time_completed": None,
        "waiting_for": None,
        "error": None,
    } | more


def component_build(number: int, build: int, batch: int, **more: Any) -> dict[str, Any]:
    """Return a component build in its verbose form."""
    return {
        "id": number,
        "package": f"package{number}",
        "module_build": build,
        "batch": batch,
        "state": None,
        "state_reason": None,
        "nvr": None,
        "buildonly": False,
        "task_url": None,
        "weight": 10.0,
        "reuse": None,
        "time_started": None,
        "time_completed": None,
    } | more


class FakeServer:
    """A server whose builds and components tests add, and whose requests they examine.

    Attributes:
        logs: Logs by build and package; a log that does not end with ``END`` is still being written.
        events: Parts of the stream of events, which is open until None follows; None: there is no stream.
        queued: Answers ``(status, body, headers)`` to the next requests, whatever they ask for.
    """

    def __init__(self, port: int = 0) -> None:
        self.builds: dict[int, dict[str, Any]] = {}
        self.components: list[dict[str, Any]] = []
        self.queued: list[tuple[int, bytes, dict[str, str]]] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.per_page_bound = 100
        self.user = "ann"
        self.predictions: list[dict[str, Any]] = []
        self.comparison: dict[str, Any] = {}
        self.logs: dict[tuple[str, str], bytes] = {}
        self.events: queue.Queue[bytes | None] | None = None
        self.http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        if self.events:
            self.events.put(None)
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()

    def add(self, build: dict[str, Any], *components: dict[str, Any]) -> None:
        """Add a build with components."""
        self.builds[build["id"]] = build
        self.components += components

    def refuse_next(self, status: int, **body: Any) -> None:
        """Refuse the next request."""
        self.queued.append((status, json.dumps({"status": status, **body}).encode(), {}))

    def answer(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        """Return status and JSON for a request."""
        parts = urlsplit(url)
        query = parse_qsl(parts.query)
        path = parts.path.removeprefix(ROOT).strip("/").split("/")
        match (method, *path):
            case ("GET", "about"):
                return 200, {"version": "0.1.0", "api_version": 2, "auth_method": "oidc"}
            case ("POST", "import-module"):
                return 201, {"module": module_build(1, "ready"), "messages": ["Imported."]}
            case ("GET", "queue") if self.predictions:
                return 200, {"builds": self.predictions}
            case ("GET", "me"):
                return 200, {"username": self.user, "groups": [], "scopes": None}
            case ("GET", "module-builds", _, "compare"):
                return 200, self.comparison
            case ("POST", "module-builds", number, "retry" | "retire") if int(number) in self.builds:
                return 200, self.builds[int(number)]
            case ("POST", "module-builds"):
                build = module_build(len(self.builds) + 1, scratch=body.get("scratch", False))
                self.add(build)
                return 201, [build]
            case ("GET", "module-builds"):
                states = [value for key, value in query if key == "state"]
                found = [each for each in self.builds.values() if not states or each["state_name"] in states]
                return 200, self._page(parts.path, query, sorted(found, key=lambda each: -each["id"]))
            case ("GET", "component-builds"):
                wanted = int(dict(query)["module_build"])
                found = [each for each in self.components if each["module_build"] == wanted]
                return 200, self._page(parts.path, query, found)
            case ("GET", "module-builds", number) if int(number) in self.builds:
                return 200, self.builds[int(number)]
            case ("PATCH", "module-builds", number) if int(number) in self.builds:
                build = self.builds[int(number)]
                build |= {"state": 4, "state_name": "failed", "state_reason": "Canceled by ann."}
                return 200, build
        return 404, {"status": 404, "error": "Not Found", "message": "No such thing.", "code": "not_found"}

    def log(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]] | None:
        """Return the answer to a request for a log; None if it is for something else."""
        match urlsplit(url).path.strip("/").split("/"):
            case ["builds", number, package, "log"] if (number, package) in self.logs:
                data = self.logs[number, package]
                first, _, last = headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
                if headers["Accept"] != "application/json":
                    return 206, data[int(first) : int(last) + 1], {}
                info = {"name": "build.log", "size": len(data), "complete": data.endswith(END), "task_id": 1}
                return 200, json.dumps(info).encode(), {}
        return None

    def _page(self, path: str, query: list[tuple[str, str]], items: list[Any]) -> dict[str, Any]:
        asked = dict(query)
        page, size = int(asked.get("page", 1)), min(int(asked.get("per_page", 10)), self.per_page_bound)
        others = [(key, value) for key, value in query if key not in ("page", "per_page")]
        following = urlencode([*others, ("page", page + 1), ("per_page", size)])
        more = page * size < len(items)
        return {
            "items": items[(page - 1) * size : page * size],
            # The address of an internal server, as behind a proxy.
            "meta": {"page": page, "next": f"http://inside.invalid{path}?{following}" if more else None},
        }

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - "self" is the handler's below
        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                if fake.events and self.path.startswith("/events"):
                    self._stream(fake.events)
                    return
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw else None
                fake.requests.append((self.command, self.path, body))
                fake.headers.append(dict(self.headers.items()))
                if fake.queued:
                    status, content, headers = fake.queued.pop(0)
                elif found := fake.log(self.path, self.headers):
                    status, content, headers = found
                else:
                    status, answer = fake.answer(self.command, self.path, body)
                    content, headers = json.dumps(answer).encode(), {}
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def _stream(self, events: queue.Queue[bytes | None]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                while part := events.get():
                    self.wfile.write(part)
                    self.wfile.flush()

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class calls these names

            def log_message(self, *_: object) -> None:
                """Tests print nothing."""

        return Handler

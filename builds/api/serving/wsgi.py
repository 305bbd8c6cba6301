"""Run Django's WSGI application under ASGI, in a fixed set of threads.

Django's own ASGI handler uses a new thread, and so a new database connection, for each request, which takes
longer than most answers. Here a thread gets a complete request, returns a complete answer, and never waits
for a client. An answer that is a file is passed on as a file (PEP 3333, "Optional Platform-Specific File
Handling").
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from email.utils import quote
from functools import partial
from typing import Any

from django.utils.http import parse_header_parameters

from builds.api.authentication import SAFE
from builds.api.serving import files, waiting
from builds.api.serving.types import Receive, Scope, Send

Environ = dict[str, Any]
#: A WSGI application (PEP 3333).
WSGIApplication = Callable[[Environ, Callable[..., Any]], Any]


class FileWrapper:
    """An answer that is an open file (``wsgi.file_wrapper`` of PEP 3333)."""

    def __init__(self, file: Any, block_size: int = files.PART) -> None:
        self.read = file.read
        self.close = file.close


@dataclass
class Answer:
    """A complete answer, with its body as bytes or as an open file."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes | FileWrapper = b""

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., Any]:
        """Take status and headers (``start_response`` of PEP 3333).

        The returned function ``write()`` is not supported and raises RuntimeError.
        """
        self.status = int(status.partition(" ")[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return _write


def _write(data: bytes) -> None:
    raise RuntimeError("The function write() of WSGI is not supported.")


class ThreadedWSGI:
    """Run a WSGI application in a fixed set of threads.

    Requests that change something have their own threads, since a submission may wait for a git server, and a
    login for a password check. Those that may wait for the build system run in the threads of
    ``builds.api.serving.waiting``.

    Args:
        threads: Number of threads for reads, and of those for changes.
        apart: Regular expressions of paths that have two threads each, so that they and others do not delay
            each other.
    """

    def __init__(self, application: WSGIApplication, threads: int, apart: Iterable[str] = ()) -> None:
        self.application = application
        self.reading = ThreadPoolExecutor(threads, thread_name_prefix="reading")
        self.changing = ThreadPoolExecutor(threads, thread_name_prefix="changing")
        self.apart = {re.compile(path): ThreadPoolExecutor(2, thread_name_prefix=path) for path in apart}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for a request."""
        if scope["type"] != "http":
            return
        loop = asyncio.get_running_loop()
        context = copy_context()
        request = environ(scope)
        waits = waiting.may_wait(scope)
        refusal = scope.get("refusal") or (waiting.refusal(scope) if waits else None)
        if refusal:
            request[waiting.REFUSAL], waits = refusal, False
        work = partial(context.run, self._answer, request)
        if waits:
            answer = await waiting.answer(scope, work)
        else:
            # Refusing is quick, also while submissions occupy all threads for changes.
            threads = self.reading if refusal else self._threads(scope)
            answer = await loop.run_in_executor(threads, work)
        body, answer.body = answer.body, b""
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        except BaseException:
            _close(body)
            raise
        if isinstance(body, bytes):
            message = {"type": "http.response.body", "body": body}
            del body
            await send(message)
        elif scope["method"] == "HEAD":
            _close(body)
            await send({"type": "http.response.body", "body": b""})
        else:
            await files.send(body, send, run=partial(waiting.run, scope) if waits else files.in_thread)

    def _threads(self, scope: Scope) -> ThreadPoolExecutor:
        for path, threads in self.apart.items():
            if path.fullmatch(scope["path"]):
                return threads
        return self.reading if scope["method"] in SAFE else self.changing

    def _answer(self, request: Environ) -> Answer:
        answer = Answer()
        result = self.application(request, answer.start)
        if isinstance(result, FileWrapper):
            answer.body = result
            return answer
        try:
            answer.body = b"".join(result)
        finally:
            _close(result)
        return answer


def _close(result: Any) -> None:
    close = getattr(result, "close", None)
    if close:
        close()


def environ(scope: Scope) -> Environ:
    """Return the environment of a WSGI request (PEP 3333) for an ASGI request with a complete body."""
    root = scope.get("root_path", "")
    server, port = scope.get("server") or ("localhost", None)
    client, client_port = scope.get("client") or ("", 0)
    found: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server,
        "SERVER_PORT": str(port or 80),
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": scope["body"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    for name, value in scope["headers"]:
        text = name.decode("latin-1").upper().replace("-", "_")
        key = text if text in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{text}"
        joined = (found[key], value.decode("latin-1")) if key in found else (value.decode("latin-1"),)
        found[key] = ("; " if key == "HTTP_COOKIE" else ",").join(joined)
    if kind := found.get("CONTENT_TYPE"):
        found["CONTENT_TYPE"] = _without_charset(kind)
    return found


def _without_charset(content_type: str) -> str:
    """Return a ``Content-Type`` with no parameter but the boundary; empty if it cannot be parsed.

    Django would decode query strings and forms with Python's codec of the charset. Some codecs fail before
    Django handles errors (hex), and others hide a parameter from ``builds.api.serving.waiting`` (UTF-7).
    """
    try:
        kind, parameters = parse_header_parameters(content_type)
    except ValueError:  # a parameter in an unknown charset (RFC 2231)
        return ""
    boundary = parameters.get("boundary")
    return f'{kind}; boundary="{quote(boundary)}"' if boundary else kind

"""Stream the lines of a log as server-sent events while a build writes them.

The address is ``/builds/<id>/<package>/log/events``. Like ``builds.api.events.asgi``, this is an ASGI
application in front of Django: each watcher is a coroutine, and other requests go to Django. All watchers
poll at the same moments, and those at the same position share one read of the build system.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlencode

from django.db import DatabaseError, InterfaceError, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from builds.api import links
from builds.api.serving import waiting
from builds.api.serving.places import Places, client_of, refuse
from builds.api.serving.streams import disconnected, end, headers_of, host_allowed, part, start
from builds.api.serving.types import Application, Message, Receive, Scope, Send
from builds.encoding import encode
from builds.models import ComponentBuild
from builds.observability import log_context
from builds.observability.requests import count, request_number
from builds.services.logs.components import component, log_of, reader
from builds.services.logs.lines import WINDOW, numbered
from builds.web.errors import failure, safe_methods_only
from builds.web.log_html import Group, Style, groups
from buildsys.base import BuildSystemUnavailable
from buildsys.logs import NoSuchLog
from mbs.errors import MBSError, NotFound
from mbs.text import whole_number

PATH = re.compile(r"/builds/([0-9]{1,18})/([^/]{1,255})/log/events/?")
ROUTE = "builds/<pk>/<package>/log/events"
#: Max watchers of a process, and of one client. Above the first, clients get the existing lines from Django's
#: view, and poll; a client above the second gets 429.
_WATCHERS, _SHARE = 500, 50
#: Max bytes that a watcher may lag behind before lines are skipped.
_BEHIND = 10 * WINDOW
#: Polls of the log between two checks whether the component has ended, or is built again.
_CHECK = 30
#: Milliseconds after which a browser reconnects.
_RETRY = b"retry: 3000\n\n"
_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,18})")

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """The position of a watcher in a log.

    Attributes:
        path: Path of the log's page.
        name: Name of the log.
        task_id: Number of the submission.
        offset: Offset of the first byte that was not sent.
        line: Number of the line that begins there; 0 if it was not counted.
    """

    path: str
    name: str
    task_id: int
    offset: int
    line: int

    @classmethod
    def asked(cls, row: ComponentBuild, query: dict[str, list[str]], last_id: str, prefix: str) -> Place:
        """Return the place that a request names, or the one after the last event that the client received.

        Args:
            row: The component.
            query: The parameters of the request.
            last_id: The id of the last event, or empty.
            prefix: The path under which the front server serves the service.
        """

        def number(name: str) -> int:
            return whole_number(query.get(name, [""])[0]) or 0

        path = f"{prefix}/builds/{row.module_build_id}/{quote(row.package, safe='')}/log"
        match = _ID.fullmatch(last_id)
        numbers = map(int, match.groups()) if match else (number("task"), number("from"), number("line"))
        return cls(path, query.get("name", [""])[0], *numbers)

    def moved(self, offset: int, line: int) -> Place:
        """Return another place of the same log."""
        return Place(self.path, self.name, self.task_id, offset, line)

    def event(self, kind: str, data: object) -> bytes:
        """Return a server-sent event whose id is this place."""
        number = f"{self.task_id}-{self.offset}-{self.line}".encode()
        return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), number, encode(data))


@dataclass(frozen=True)
class News:
    """New content of a log after a place.

    Attributes:
        text: Server-sent events.
        place: The place after them.
        more: Whether there is more to read immediately.
        over: Whether the log has ended.
    """

    text: bytes
    place: Place
    more: bool = False
    over: bool = False


def news(place: Place) -> News:
    """Read the new content after a place.

    Raises:
        BuildSystemUnavailable: The build system does not answer.
    """
    try:
        part = reader().read_log(place.task_id, place.name, place.offset, place.offset + WINDOW)
    except NoSuchLog:
        return News(place.event("end", {}), place, over=True)
    if part.size - place.offset > _BEHIND:
        # The first line after the jump may lack its beginning.
        place = place.moved(part.size - WINDOW, 0)
        return News(place.event("skipped", {}), place, more=True)
    behind = place.offset + len(part.data)
    last = part.complete and behind >= part.size
    whole = part.data.rfind(b"\n") + 1
    # A line that is longer than a window is divided; one that is still being written is left for later.
    data = part.data if last or (not whole and len(part.data) == WINDOW) else part.data[:whole]
    text = b""
    if data:
        window = numbered(place.offset, data, place.line or None)
        html = groups(window.lines, Style(), f"{place.path}?{urlencode({'name': place.name})}&")
        place = place.moved(window.stop, place.line and place.line + data.count(b"\n"))
        first = html[0] if html and not html[0].phase else None
        rest = "".join(map(_phase, html[1 if first else 0 :]))
        text = place.event("lines", {"more": first.html if first else "", "groups": rest})
    if last:
        text += place.event("end", {})
    return News(text, place, more=bool(data) and behind < part.size, over=last)


def _phase(group: Group) -> str:
    summary = f"<summary><b>{group.phase}</b></summary>"
    return f'<details class="phase" open>{summary}<pre>{group.html}</pre></details>'


@safe_methods_only
def events(request: HttpRequest, pk: str, package: str) -> HttpResponseBase:
    """Return the new lines, and the time after which the client asks again, if streaming is not possible."""
    try:
        row = component(int(pk), package)
        log_of(row, "")
        query = {name: request.GET.getlist(name) for name in request.GET}
        place = Place.asked(row, query, request.headers.get("Last-Event-ID", ""), links.prefix())
        text = news(place).text if place.task_id == row.task_id else place.event("replaced", {})
    except MBSError as error:
        return failure(error)(request)
    return HttpResponse(
        _RETRY + text,
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


class LogTails:
    """Serves streams of lines, and passes other requests on.

    Args:
        application: Application for all other requests.
        interval: Seconds between two polls of a log.
        heartbeat: Seconds of silence after which a comment is sent, so that proxies keep the connection.
    """

    def __init__(self, application: Application, *, interval: float = 1.0, heartbeat: float = 15.0) -> None:
        self.application = application
        self.interval = interval
        self.heartbeat = heartbeat
        self.places = Places(_WATCHERS, _SHARE)
        self.reads = 0
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="log streams")
        #: Running reads by their places, and those that wait for the turn of a client by client and place.
        self._shared: dict[Hashable, asyncio.Task[News | None]] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a stream, or pass the request on."""
        match = (
            PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        )
        headers = headers_of(scope)
        if match and not self.places.full and host_allowed(headers):
            if self.places.greedy(scope):
                count("GET", ROUTE, 429)
                return await refuse(send, request_number(headers.get(b"x-request-id", "")))
            build, package = int(match[1]), match[2]
            query, prefix = scope.get("query_string", b""), scope.get("root_path", "")
            with self.places.take(scope):
                place = await self._in_thread(_place, build, package, query, headers, prefix)
                if place is not None:
                    return await self._serve(place, build, package, scope, receive, send)
        return await self.application(scope, receive, send)

    async def _serve(
        self, place: Place, build: int, package: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        number = request_number(headers_of(scope).get(b"x-request-id", ""))
        log_context.restart(request_id=number, build=build)
        count("GET", ROUTE, 200)
        await send(start(200, number))
        await send(part(_RETRY))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await self._stream(place, build, package, scope, send, gone)
        finally:
            gone.cancel()

    async def _stream(
        self,
        place: Place,
        build: int,
        package: str,
        scope: Scope,
        send: Send,
        gone: asyncio.Future[None],
    ) -> None:
        loop = asyncio.get_running_loop()
        looks, silent_since = 0, loop.time()
        while not gone.done():
            looks += 1
            found = await self._read(place, scope)
            text, over = (found.text, found.over) if found else (b"", False)
            place = found.place if found else place
            if not over and looks % _CHECK == 0:
                ending = await self._in_thread(_ending, place, build, package)
                text, over = text + (ending or b""), bool(ending)
            if over:
                return await send(end(text))
            if not text and loop.time() - silent_since >= self.heartbeat:
                text = b": still here\n\n"
            if text:
                silent_since = loop.time()
                await send(part(text))
            if not (found and found.more):
                # All watchers poll at the same moments, so that they can share a read.
                pause = self.interval - loop.time() % self.interval
                await asyncio.wait({gone}, timeout=pause)
        return None

    async def _read(self, place: Place, scope: Scope) -> News | None:
        """Return the new content after a place; None if the build system does not answer.

        All watchers share a running read, but each waits for a turn of its own client.
        """
        return await self._once((client_of(scope), place), partial(self._read_in_turn, place, scope))

    async def _read_in_turn(self, place: Place, scope: Scope) -> News | None:
        async with waiting.turn(scope):
            return await self._once(place, partial(self._read_now, place))

    async def _read_now(self, place: Place) -> News | None:
        self.reads += 1
        return await waiting.in_thread(_news, place)

    async def _once(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, News | None]]) -> News | None:
        """Return the result of the running work with a key, or of new work if there is none."""
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = asyncio.ensure_future(work())
            shared.add_done_callback(lambda _: self._shared.pop(key, None))
        return await asyncio.shield(shared)

    async def _in_thread(self, work: Callable[..., Result], *args: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args))


def _place(build: int, package: str, query: bytes, headers: dict[bytes, str], prefix: str) -> Place | None:
    """Return the first place of a watcher; None if the request is not for a stream."""
    try:
        values = parse_qs(query.decode("latin-1"), max_num_fields=20)
        row = component(build, package)
        place = Place.asked(row, values, headers.get(b"last-event-id", ""), prefix)
        return place if row.task_id is not None and place.task_id == row.task_id else None
    except (MBSError, DatabaseError, InterfaceError, ValueError):  # ValueError: the query is too long
        return None
    finally:
        connections.close_all()


def _news(place: Place) -> News | None:
    try:
        return news(place)
    except BuildSystemUnavailable as error:
        logger.warning("The log %s of the build %s cannot be read: %s", place.name, place.task_id, error)
        return None
    except MBSError as error:
        logger.warning("The log %s of the build %s is not shown: %s", place.name, place.task_id, error)
        return News(place.event("end", {}), place, over=True)


def _ending(place: Place, build: int, package: str) -> bytes | None:
    """Return the last event of a stream, after its component has ended or is built again."""
    try:
        row = component(build, package)
    except NotFound:
        return place.event("end", {})
    except (DatabaseError, InterfaceError):
        return None
    finally:
        connections.close_all()
    if row.task_id != place.task_id:
        return place.event("replaced", {})
    return place.event("end", {}) if row.settled else None

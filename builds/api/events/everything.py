"""Stream the events of all module builds as server-sent events: ``/events``.

Parameters limit the stream to an owner, a module, a stream of a module or a kind of event. A client that
reconnects with the id of the last event it received gets the events that it missed. Like
``builds.api.events.asgi``, this is an ASGI application in front of Django: one reader of the database
serves all clients of a process.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs

from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.http import HttpRequest, HttpResponse

from builds.api.events.cursor import Cursor
from builds.api.events.feed import message
from builds.api.serving.places import Places, refuse
from builds.api.serving.streams import disconnected, end, headers_of, host_allowed, part, start
from builds.api.serving.types import Application, Message, Receive, Send
from builds.observability import log_context
from builds.observability.requests import count, request_number
from builds.selectors import all_events
from builds.selectors.all_events import ModuleEvent
from builds.selectors.events import Kind
from mbs.errors import InvalidInput

log = logging.getLogger(__name__)

PATHS = ("/events", "/events/")
ROUTE = "events"
#: Milliseconds after which a browser reconnects.
RETRY = b"retry: 3000\n\n"
#: Events kept in memory for slow clients, and max events that a reconnecting client may have missed.
_KEPT, _MISSED = 5000, 1000
#: Max events of each kind that one query reads.
_READ = 2000
#: Streams of a process, and of one client (``builds.api.events.asgi``).
_WATCHERS, _SHARE = 1000, 50
#: Max seconds for the first query.
_PATIENCE = 10.0
#: Max characters of a filter.
_LONGEST = 255
_KINDS = (Kind.STATE, Kind.COMPONENT)


@dataclass(frozen=True)
class Choice:
    """The filters of a stream; an empty text does not filter."""

    owner: str = ""
    name: str = ""
    stream: str = ""
    kind: str = ""

    @classmethod
    def of(cls, query: dict[str, list[str]]) -> Choice:
        """Return the filters of a query.

        Raises:
            InvalidInput: A filter is too long, or there is no such kind of event.
        """
        texts = {key: query.get(key, [""])[0] for key in ("owner", "name", "stream", "kind")}
        for key, text in texts.items():
            if len(text) > _LONGEST:
                raise InvalidInput(f"The filter {key!r} is longer than {_LONGEST} characters.")
        if texts["kind"] and texts["kind"] not in _KINDS:
            raise InvalidInput(
                f"There is no kind of event {texts['kind'][:40]!r}.", hint="Use state or component."
            )
        return cls(**texts)

    def takes(self, event: ModuleEvent) -> bool:
        """Return whether an event matches the filters."""
        return all(wanted in ("", getattr(event, key)) for key, wanted in vars(self).items())


def present() -> Cursor:
    """Return the cursor of a client that has seen all events so far."""
    cursor, now = Cursor(), datetime.now(UTC)
    for kind, number, time in sorted(all_events.newest(_READ), key=lambda row: row[:2]):
        cursor.seen[kind].add(number, time, now)
    return cursor


def unseen(cursor: Cursor, limit: int) -> list[ModuleEvent]:
    """Return events that a client has not seen, ordered by time and, within each kind, by number."""
    found = all_events.after({kind: cursor.seen[kind].floor for kind in _KINDS}, limit)
    fresh = [event for event in found if not cursor.has(event)]
    # Cursors rely on the order of numbers.
    by_kind = ([event for event in fresh if event.kind is kind] for kind in _KINDS)
    return list(heapq.merge(*by_kind, key=lambda event: event.time))


def encode_events(events: Collection[ModuleEvent], cursor: Cursor, choice: Choice) -> bytes:
    """Return the unseen events that match the filters as server-sent events; mark all as seen."""
    now, texts = datetime.now(UTC), []
    for event in events:
        if not cursor.has(event):
            cursor.add(event, now)
            if choice.takes(event):
                texts.append(message(event.kind, event.data, cursor))
    return b"".join(texts)


def missed(cursor: Cursor, choice: Choice) -> tuple[bytes, Cursor]:
    """Return the events that a reconnecting client has missed, and its cursor after them.

    A client that missed too many events gets the event ``skipped`` instead, and continues with new events.
    """
    found = unseen(cursor, _MISSED + 1)
    if any(sum(event.kind is kind for event in found) > _MISSED for kind in _KINDS):
        cursor = present()
        return message("skipped", b"{}", cursor), cursor
    return encode_events(found, cursor, choice), cursor


class Reader:
    """Reads new events while there are clients.

    Args:
        interval: Seconds between two queries.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.watching = 0
        self.rounds = 0
        self._events: deque[ModuleEvent] = deque(maxlen=_KEPT)
        #: position after the last event
        self.end = 0
        #: time of the last query that read all visible events
        self.read_at = datetime.now(UTC)
        self.ready = asyncio.Event()
        self._cursor: Cursor | None = None
        self._news: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Start to read, unless it is reading already."""
        if self._task is None or self._task.done():
            self._cursor = None
            self.ready.clear()
            self._task = asyncio.create_task(self._read_while_watched())

    def since(self, place: int) -> list[ModuleEvent] | None:
        """Return the events from a position on; None if some of them are no longer in memory."""
        first = self.end - len(self._events)
        return None if place < first else [self._events[at - first] for at in range(place, self.end)]

    def news(self) -> asyncio.Future[None]:
        """Return a future that is done when something has happened."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        return self._news

    async def _read_while_watched(self) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="all events") as thread:
            try:
                while self.watching:
                    await self._round(thread)
                    await asyncio.sleep(self.interval)
            finally:
                thread.submit(connections.close_all)

    async def _round(self, thread: ThreadPoolExecutor) -> None:
        self.rounds += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(thread, self._read)
        except (DatabaseError, InterfaceError) as error:
            log.warning("New events cannot be read, the database is unavailable: %s", error)
            return
        self.ready.set()
        if found:
            self._events.extend(found)
            self.end += len(found)
            self.news().set_result(None)

    def _read(self) -> list[ModuleEvent]:
        close_old_connections()
        now = datetime.now(UTC)
        if self._cursor is None:
            self._cursor = present()
            self.read_at = now
            return []
        found = unseen(self._cursor, _READ)
        for event in found:
            self._cursor.add(event, now)
        if len(found) < _READ:
            self._cursor.settle(now)
            self.read_at = now
        return found


class AllEvents:
    """Serves streams of all events, and passes other requests on.

    Args:
        application: Application for all other requests.
        interval: Seconds between two queries for new events.
        heartbeat: Seconds of silence after which a comment is sent.
    """

    def __init__(self, application: Application, *, interval: float = 1.0, heartbeat: float = 15.0) -> None:
        self.application = application
        self.reader = Reader(interval)
        self.places = Places(_WATCHERS, _SHARE)
        self.heartbeat = heartbeat
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="missed events")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a stream, or pass the request on."""
        asked = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in PATHS
        if not asked or self.places.full:
            return await self.application(scope, receive, send)
        headers = headers_of(scope)
        try:
            choice = Choice.of(parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20))
            last = headers.get(b"last-event-id", "")
            known = Cursor.parse(last) if last else None
        except (InvalidInput, ValueError):
            return await self.application(scope, receive, send)
        if not host_allowed(headers):
            return await self.application(scope, receive, send)
        if self.places.greedy(scope):
            count("GET", ROUTE, 429)
            return await refuse(send, request_number(headers.get(b"x-request-id", "")))
        with self.places.take(scope):
            self.reader.watching += 1
            self.reader.watch()
            try:
                await self._serve(known, choice, headers, receive, send)
            finally:
                self.reader.watching -= 1
        return None

    async def _serve(
        self, known: Cursor | None, choice: Choice, headers: dict[bytes, str], receive: Receive, send: Send
    ) -> None:
        number = request_number(headers.get(b"x-request-id", ""))
        log_context.restart(request_id=number)
        count("GET", ROUTE, 200)
        await send(start(200, number))
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.reader.ready.wait()
            # Later events come from the reader, earlier ones from the database.
            place = self.reader.end
            text, cursor = await asyncio.get_running_loop().run_in_executor(
                self._thread, _begin_apart, known, choice
            )
        except (DatabaseError, InterfaceError, TimeoutError):
            return await send(end(RETRY))
        await send(part(RETRY + text))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            while not gone.done():
                news = self.reader.news()
                found, place = self.reader.since(place), self.reader.end
                if found is None:
                    return await send(end())
                if text := encode_events(found, cursor, choice):
                    await send(part(text))
                cursor.settle(self.reader.read_at)
                done, _ = await asyncio.wait(
                    {gone, news}, timeout=self.heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    # Clients remember an id without data, but report no event.
                    await send(part(b": still here\nid: %b\n\n" % str(cursor).encode()))
        finally:
            gone.cancel()
        return None


def _begin(known: Cursor | None, choice: Choice) -> tuple[bytes, Cursor]:
    """Return the first events of a client: the missed ones, or ``begin`` for a new client."""
    if known is not None:
        return missed(known, choice)
    cursor = present()
    return message("begin", b"{}", cursor), cursor


def _begin_apart(known: Cursor | None, choice: Choice) -> tuple[bytes, Cursor]:
    close_old_connections()
    try:
        return _begin(known, choice)
    finally:
        connections.close_all()


def view(request: HttpRequest) -> HttpResponse:
    """Return the events since the last one, under servers without streaming.

    Raises:
        InvalidInput: The id of the last event, or the kind, is not one of this service.
    """
    choice = Choice.of({key: request.GET.getlist(key) for key in request.GET})
    last = request.headers.get("Last-Event-ID", "")
    text, _ = _begin(Cursor.parse(last) if last else None, choice)
    return HttpResponse(
        b"retry: 5000\n\n" + text,
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )

"""Watchers, as an ASGI application before Django's.

Django keeps a thread for each request until its answer has ended: its middlewares are synchronous, and the
thread that they ran in is the request's own. A watcher here is a coroutine and a place in a list. What is
not a stream to be told (a build that does not exist, a malformed header) is left to Django's view.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from builds.api.events.cursor import Cursor
from builds.api.events.feed import Feed, Hub
from builds.api.serving.types import Application, Message, Receive, Send
from builds.observability import log_context
from builds.observability.requests import count, request_number
from mbs.errors import InvalidInput

PATH = re.compile(r"/module-build-service/[12]/module-builds/([0-9]{1,18})/events/?")
ROUTE = "module-build-service/<version>/module-builds/<pk>/events"
#: milliseconds after which a browser comes back when the connection broke
RETRY = b"retry: 3000\n\n"
#: events that are put together before the loop is given to others
_CHUNK = 100
#: watchers of a process; others get what there is, and when to come back, from Django's view
_WATCHERS = 2000
#: largest number of rows in PostgreSQL and SQLite
_LARGEST = 2**63 - 1


class Events:
    """Serves streams of events, and hands everything else on.

    Args:
        heartbeat: Seconds of silence after which a comment is sent, so that no proxy hangs up.
        patience: Seconds that the first look at the database may take.
    """

    def __init__(
        self,
        application: Application,
        *,
        interval: float = 1.0,
        heartbeat: float = 15.0,
        patience: float = 10.0,
    ) -> None:
        self.application = application
        self.hub = Hub(interval)
        self.heartbeat = heartbeat
        self.patience = patience

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        asked = _asked(scope) if self.hub.watching < _WATCHERS else None
        if asked is None or not await self._serve(*asked, _headers(scope), receive, send):
            await self.application(scope, receive, send)

    async def _serve(
        self, build_id: int, cursor: Cursor, headers: dict[bytes, str], receive: Receive, send: Send
    ) -> bool:
        """Answer with a stream; False: there is nothing to stream."""
        async with self.hub.feed(build_id) as feed:
            if not await self._loaded(feed) or feed.progress is None:
                return False
            number = request_number(headers.get(b"x-request-id", ""))
            log_context.begin(request_id=number, build=build_id)
            first = feed.tell(cursor, 0, _CHUNK)
            status = 200 if first or not feed.over or len(feed.events) > _CHUNK else 204
            count("GET", ROUTE, status)
            await send(_start(status, number))
            if status == 204:  # whoever comes back after the end stays away
                await send({"type": "http.response.body", "body": b""})
                return True
            await send(_part(RETRY + first))
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await self._stream(feed, cursor, send, gone)
            finally:
                gone.cancel()
            return True

    async def _loaded(self, feed: Feed) -> bool:
        """Wait for the first look at the database; False: it takes too long."""
        try:
            async with asyncio.timeout(self.patience):
                while not feed.loaded:
                    await asyncio.wait({self.hub.news()})
        except TimeoutError:
            return False
        return True

    async def _stream(self, feed: Feed, cursor: Cursor, send: Send, gone: asyncio.Future[None]) -> None:
        place = min(_CHUNK, len(feed.events))
        while not gone.done():
            news, over = self.hub.news(), feed.over
            text = feed.tell(cursor, place, place + _CHUNK)
            place = min(place + _CHUNK, len(feed.events))
            if text:
                await send(_part(text))
            if place < len(feed.events):
                await asyncio.sleep(0)
            elif over:
                end = b"event: end\nid: %b\ndata: {}\n\n" % str(cursor).encode()
                await send({"type": "http.response.body", "body": end})
                return
            else:
                done, _ = await asyncio.wait(
                    {gone, news}, timeout=self.heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    await send(_part(b": still here\n\n"))


def _asked(scope: Message) -> tuple[int, Cursor] | None:
    """The build whose events are asked for, and what was seen of them; None: not ours to answer."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    match = PATH.fullmatch(scope["path"])
    if match is None or int(match[1]) > _LARGEST:
        return None
    headers = _headers(scope)
    host, _ = split_domain_port(headers.get(b"host", ""))
    if not validate_host(host, settings.ALLOWED_HOSTS):
        return None
    try:
        return int(match[1]), Cursor.parse(headers.get(b"last-event-id", ""))
    except InvalidInput:
        return None


def _headers(scope: Message) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in scope["headers"]}


async def _gone(receive: Receive) -> None:
    """Ends when the watcher has."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, number: str) -> dict[str, Any]:
    headers = {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",  # nginx would keep events back
        "access-control-allow-origin": "*",
        "x-request-id": number,
    }
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}

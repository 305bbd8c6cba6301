"""Serve event streams in an ASGI application in front of Django.

Django holds a thread per request until the answer ends, since its middlewares are synchronous. Here a
client costs a coroutine and a list position. Requests that get no stream, such as one for a build that does
not exist or with a malformed header, are passed on to Django's view.
"""

from __future__ import annotations

import asyncio
import re

from builds.api.events.cursor import Cursor
from builds.api.events.feed import Feed, FeedHub
from builds.api.serving.places import Places, refuse
from builds.api.serving.streams import disconnected, headers_of, host_allowed, part, start
from builds.api.serving.types import Application, Message, Receive, Send
from builds.observability import log_context
from builds.observability.requests import count, request_number
from mbs.errors import InvalidInput

PATH = re.compile(r"/module-build-service/[12]/module-builds/([0-9]{1,18})/events/?")
ROUTE = "module-build-service/<version>/module-builds/<pk>/events"
#: Browsers reconnect this many milliseconds after a connection broke.
RETRY = b"retry: 3000\n\n"
#: Events that are rendered before other coroutines get to run.
_CHUNK = 100
#: Streams of a process, and of one client. Above the first, clients get the events so far, and a time to
#: retry, from Django's view; a client above the second gets 429.
_WATCHERS, _SHARE = 2000, 100
_MAX_ID = 2**63 - 1


class EventStreams:
    """Serve event streams, and pass all other requests on.

    Args:
        application: The application that gets the other requests.
        interval: Seconds between two queries for new events.
        heartbeat: Seconds of silence after which a comment is sent, so that proxies keep the connection.
        timeout: Seconds that the first query may take.
    """

    def __init__(
        self,
        application: Application,
        *,
        interval: float = 1.0,
        heartbeat: float = 15.0,
        timeout: float = 10.0,
    ) -> None:
        self.application = application
        self.hub = FeedHub(interval)
        self.places = Places(_WATCHERS, _SHARE)
        self.heartbeat = heartbeat
        self.timeout = timeout

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a stream, or pass the request on."""
        asked = None if self.places.full else _stream_request(scope)
        if asked is None:
            return await self.application(scope, receive, send)
        headers = headers_of(scope)
        if self.places.greedy(scope):
            count("GET", ROUTE, 429)
            return await refuse(send, request_number(headers.get(b"x-request-id", "")))
        with self.places.take(scope):
            served = await self._serve(*asked, headers, receive, send)
        if not served:
            await self.application(scope, receive, send)
        return None

    async def _serve(
        self, build_id: int, cursor: Cursor, headers: dict[bytes, str], receive: Receive, send: Send
    ) -> bool:
        """Answer with a stream, and return True; return False without an answer if there is no such build."""
        async with self.hub.feed(build_id) as feed:
            if not await self._wait_until_loaded(feed) or feed.progress is None:
                return False
            number = request_number(headers.get(b"x-request-id", ""))
            log_context.restart(request_id=number, build=build_id)
            first = feed.render(cursor, 0, _CHUNK)
            status = 200 if first or not feed.ended or len(feed.events) > _CHUNK else 204
            count("GET", ROUTE, status)
            await send(start(status, number))
            if status == 204:  # the client has seen the end; 204 stops it from reconnecting
                await send({"type": "http.response.body", "body": b""})
                return True
            await send(part(RETRY + first))
            gone = asyncio.ensure_future(disconnected(receive))
            try:
                await self._stream(feed, cursor, send, gone)
            finally:
                gone.cancel()
            return True

    async def _wait_until_loaded(self, feed: Feed) -> bool:
        """Wait until the feed is read for the first time, and return whether it was read in time."""
        try:
            async with asyncio.timeout(self.timeout):
                while not feed.loaded:
                    await asyncio.wait({self.hub.changed()})
        except TimeoutError:
            return False
        return True

    async def _stream(self, feed: Feed, cursor: Cursor, send: Send, gone: asyncio.Future[None]) -> None:
        place = min(_CHUNK, len(feed.events))
        while not gone.done():
            change, ended = self.hub.changed(), feed.ended
            text = feed.render(cursor, place, place + _CHUNK)
            place = min(place + _CHUNK, len(feed.events))
            if text:
                await send(part(text))
            if place < len(feed.events):
                await asyncio.sleep(0)
            elif ended:
                end = b"event: end\nid: %b\ndata: {}\n\n" % str(cursor).encode()
                await send({"type": "http.response.body", "body": end})
                return
            else:
                done, _ = await asyncio.wait(
                    {gone, change}, timeout=self.heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    await send(part(b": keep-alive\n\n"))


def _stream_request(scope: Message) -> tuple[int, Cursor] | None:
    """Return the build and the cursor of a request for a stream, or None for any other request."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    match = PATH.fullmatch(scope["path"])
    if match is None or int(match[1]) > _MAX_ID:
        return None
    headers = headers_of(scope)
    if not host_allowed(headers):
        return None
    try:
        return int(match[1]), Cursor.parse(headers.get(b"last-event-id", ""))
    except InvalidInput:
        return None

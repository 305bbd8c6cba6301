"""Feeds of build events: one database reader per process serves all clients."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from builds.api.events.cursor import SETTLE, Cursor
from builds.encoding import encode
from builds.selectors import events
from builds.selectors.events import Event, Kind, Progress

log = logging.getLogger(__name__)


@dataclass
class Feed:
    """The events of one build.

    Attributes:
        events: All events, in the order in which they are sent. The list only grows.
        progress: The state of the build; None if it was not read yet, or does not exist.
        loaded: Whether it was read at least once.
        numbers: Kind and row number of each event.
    """

    build_id: int
    events: list[Event] = field(default_factory=list)
    progress: Progress | None = None
    loaded: bool = False
    numbers: set[tuple[Kind, int]] = field(default_factory=set)

    def update(self, found: Collection[Event], progress: Progress | None) -> bool:
        """Add events that were read, and return whether there is anything new to send."""
        changed = bool(found) or progress != self.progress or not self.loaded
        by_kind = (
            sorted((event for event in found if event.kind is kind), key=lambda event: event.number)
            for kind in Kind
        )
        # Cursors rely on number order within each kind.
        self.events += heapq.merge(*by_kind, key=lambda event: event.time)
        self.numbers.update((event.kind, event.number) for event in found)
        self.progress, self.loaded = progress, True
        return changed

    def render(self, cursor: Cursor, start: int, stop: int | None = None) -> bytes:
        """Return the events from position ``start`` that the cursor has not seen, as server-sent events.

        The cursor is moved. After the last event, a change of batch or phase follows.
        """
        now, texts = datetime.now(UTC), []
        for event in self.events[start:stop]:
            if not cursor.has(event):
                cursor.add(event, now)
                texts.append(message(event.kind, event.data, cursor))
        if self.progress is not None and (stop is None or stop >= len(self.events)):
            cursor.settle(now)
            at = f"{self.progress.batch}-{self.progress.phase}"
            if self.progress.batch and at != cursor.batch:
                cursor.batch = at
                data = {
                    "module_build": self.build_id,
                    "batch": self.progress.batch,
                    "phase": self.progress.phase,
                }
                texts.append(message("batch", encode(data), cursor))
        return b"".join(texts)

    @property
    def ended(self) -> bool:
        """Whether no event will be added."""
        return self.loaded and (self.progress is None or self.progress.over)


def message(name: str, data: bytes, cursor: Cursor) -> bytes:
    """Return one server-sent event."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), str(cursor).encode(), data)


def read(
    feeds: Collection[Feed], above: Mapping[Kind, int]
) -> tuple[dict[int, list[Event]], dict[int, Progress]]:
    """Read new events and the progress of builds.

    Args:
        feeds: The builds to read.
        above: For feeds that were read before, only rows with higher numbers than these are read.

    Returns:
        New events by build, and the progress of each build that exists.
    """
    numbers = {feed.build_id: feed.numbers for feed in feeds}
    fresh = [feed.build_id for feed in feeds if not feed.loaded]
    known = [feed.build_id for feed in feeds if feed.loaded]
    rows, progress = events.rows(fresh, known, above)
    news = [row for row in rows if (row.kind, row.number) not in numbers[row.build_id]]
    loaded = events.load(news)
    found: dict[int, list[Event]] = {}
    for row in news:
        found.setdefault(row.build_id, []).append(loaded[row.kind, row.number])
    return found, progress


class FeedHub:
    """The feeds of a process, kept up to date as long as they have watchers.

    Args:
        interval: Seconds between two queries, independent of the number of watchers.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = interval
        self.rounds = 0
        self._feeds: dict[int, Feed] = {}
        self._watchers: dict[int, int] = {}
        self._above: dict[Kind, int] = {}
        self._next = 0.0
        self._change: asyncio.Future[None] | None = None
        self._reader: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def feed(self, build_id: int) -> AsyncIterator[Feed]:
        """Provide the feed of a build, which is kept up to date until the context ends."""
        feed = self._feeds.setdefault(build_id, Feed(build_id))
        self._watchers[build_id] = self._watchers.get(build_id, 0) + 1
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_while_watched())
        try:
            yield feed
        finally:
            self._watchers[build_id] -= 1
            if not self._watchers[build_id]:
                del self._watchers[build_id], self._feeds[build_id]

    def changed(self) -> asyncio.Future[None]:
        """Return a future that is done when any feed has grown."""
        if self._change is None or self._change.done():
            self._change = asyncio.get_running_loop().create_future()
        return self._change

    async def _read_while_watched(self) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="events") as thread:
            try:
                while self._feeds:
                    await asyncio.sleep(max(0.0, self._next - loop.time()))
                    self._next = loop.time() + self.interval
                    await self._round(thread)
            finally:
                thread.submit(connections.close_all)

    async def _round(self, thread: ThreadPoolExecutor) -> None:
        feeds = list(self._feeds.values())
        self.rounds += 1
        try:
            found, progress = await asyncio.get_running_loop().run_in_executor(
                thread, self._read, feeds, dict(self._above)
            )
        except (DatabaseError, InterfaceError) as error:
            log.warning("No events are sent, since the database is unavailable: %s", error)
            return
        except Exception:
            log.exception("No events are sent, since they cannot be read")
            return
        grown = [feed.update(found.get(feed.build_id, ()), progress.get(feed.build_id)) for feed in feeds]
        settled = datetime.now(UTC) - SETTLE
        for event in (event for some in found.values() for event in some if event.time < settled):
            self._above[event.kind] = max(event.number, self._above.get(event.kind, 0))
        if any(grown):
            change = self.changed()
            self._change = None
            change.set_result(None)

    def _read(
        self, feeds: Collection[Feed], above: Mapping[Kind, int]
    ) -> tuple[dict[int, list[Event]], dict[int, Progress]]:
        close_old_connections()
        return read(feeds, above)

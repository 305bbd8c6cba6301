"""Connections of clients that watch a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from django.db import connections


async def django(scope: Any, receive: Any, send: Any) -> None:
    """Answer requests that a stream passes on to Django."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Watcher:
    """A connection: the status, headers and events that a client got so far."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.text = ""
        self.ended = False
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """Return the end of the connection once the client is ``gone``."""
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Keep a part of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.text += message["body"].decode()
            self.ended = not message.get("more_body")

    @property
    def events(self) -> list[dict[str, str]]:
        """The events so far."""
        blocks = [block for block in self.text.split("\n\n") if block.startswith("event:")]
        return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]

    @property
    def names(self) -> list[str]:
        """The names of the events so far."""
        return [event["event"] for event in self.events]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, for at most a minute."""
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)


async def in_database(work: Callable[[], Any]) -> Any:
    """Do something as another process would: in a connection of its own."""

    def do() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    return await asyncio.to_thread(do)


def scope(path: str, query: str = "", prefix: str = "", client: str = "", **headers: str) -> dict[str, Any]:
    """Return the ASGI scope of a request for a stream."""
    pairs = {"host": "testserver", **headers}
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": prefix,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs.items()],
        "client": (client, 1234) if client else None,
    }


@asynccontextmanager
async def watching(application: Any, path: str, *args: str, **given: str) -> AsyncIterator[Watcher]:
    """Open a stream; the other arguments are those of ``scope``. The client disconnects at the end."""
    watcher = Watcher()
    task = asyncio.create_task(application(scope(path, *args, **given), watcher.receive, watcher.send))
    try:
        yield watcher
    finally:
        watcher.gone.set()
        async with asyncio.timeout(30):
            await task
